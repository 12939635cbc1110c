/** Runs a snippet of code, and answers as exec does, with the files that it made. */
import { Effect, Schema } from "effect"
import type { Sandbox } from "../../sandbox/Sandbox.ts"
import { commandAnswer, noPage, standing, summary } from "../commands/CommandAnswer.ts"
import { cancelCommand, commandsOf, start, TimeoutMs, timeoutOf } from "../commands/ToolCommand.ts"
import { absolute, defaultWaitMs, optional, ownerTool, WaitMs, WorkspacePath } from "../Tool.ts"
import { script } from "../commands/SandboxScript.ts"
import { interpreters, InterpreterMissing, Language } from "./Languages.ts"
import { type Made, MadeFile, madeSince } from "./MadeFiles.ts"

export const runCode = ownerTool({
  name: "run_code",
  title: "Run code",
  description:
    "Run a snippet of Python, JavaScript, TypeScript (its types are only left out) or bash, in /workspace. Answers as " +
    "exec does, with the files that it made or changed there; images among them are shown. Print what you want to see.",
  input: Schema.Struct({
    language: Language.annotations({ description: "What `code` is written in." }),
    code: Schema.String.pipe(Schema.minLength(1), Schema.maxLength(1_000_000)).annotations({
      description: "The whole snippet.",
    }),
    stdin: optional(Schema.String.annotations({ description: "Standard input, as text." })),
    cwd: optional(WorkspacePath.annotations({ description: "Folder to run in; /workspace otherwise." })),
    wait_ms: optional(
      WaitMs.annotations({
        description: `Time to wait for the end, in milliseconds; ${defaultWaitMs} otherwise. Then it goes on, as with exec.`,
      }),
    ),
    timeout_ms: TimeoutMs,
  }),
  output: Schema.Struct({
    ...commandAnswer,
    truncated: Schema.Boolean.annotations({ description: "The middle of the output is left out." }),
    files: Schema.Array(MadeFile).annotations({
      description: "Files of the workspace that were made or changed.",
    }),
    files_omitted: Schema.optional(
      Schema.Number.annotations({ description: "Files beside those; see list_files." }),
    ),
  }),
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: false, openWorldHint: true },
  changes: true,
  stateOf: ({ status }) => (status === "timed_out" || status === "cancelled" ? status : "succeeded"),
  handler: Effect.fnUntraced(function* ({ code, cwd = ".", language, stdin, timeout_ms }, call) {
    const timeoutMs = yield* timeoutOf(timeout_ms, call.limits)
    const sandbox = yield* call.sandbox
    const folder = absolute(cwd)
    const own = `/tmp/codegen-mcp-code-${call.operation}`
    const { file, options } = interpreters[language]
    return yield* Effect.gen(function* () {
      const program = yield* place(sandbox, { code, folder, language, own })
      const { cursor } = yield* sandbox.files.watch
      const ran = yield* commandsOf(call).run(
        {
          argv: [program, ...options, `${own}/${file}`],
          cwd: folder,
          // The snippet stands elsewhere, and imports what stands here.
          env: { PYTHONPATH: folder, PYTHONDONTWRITEBYTECODE: "1" },
          stdin: stdin === undefined ? "none" : "open",
          tty: false,
          timeoutMs,
        },
        `${language}: ${code.trim()}`.slice(0, 200),
        stdin === undefined ? undefined : { data: Buffer.from(stdin), end: true },
      )
      const isTooOld = ran.end._tag === "Exited" && ran.end.code === badOption
      if (isTooOld && Buffer.from(ran.page.stderr.data).toString().includes(`bad option: ${options[0]}`)) {
        return yield* new InterpreterMissing({ language })
      }
      const made = yield* madeSince(sandbox.files, cursor, call.show)
      const answer = { ...standing(ran.command, ran.end, call), ...summary(ran.page), ...answerOf(made) }
      return made.isUnknown ? { ...answer, note: [answer.note ?? "", unknown].join(" ").trim() } : answer
    }).pipe(Effect.ensuring(Effect.ignore(script(sandbox, 'rm -rf "$1"', [own]))))
  }),
  cancel: cancelCommand,
  partial: {
    waitMs: ({ wait_ms = defaultWaitMs }) => wait_ms,
    answer: Effect.fnUntraced(function* (_, call) {
      const command = call.commands.find(call.operation)
      const page =
        command === undefined ? noPage : yield* command.sandbox.read(command.id, start, 0, "output")
      const from = command ?? { operation: call.operation, startedAt: Date.now() }
      return { ...standing(from, undefined, call), ...summary(page), files: [] }
    }),
  },
})

/** Puts the snippet where it runs, in a folder of its own; gives the program that runs it. */
const place = Effect.fnUntraced(function* (
  sandbox: Sandbox,
  {
    code,
    folder,
    language,
    own,
  }: { readonly code: string; readonly folder: string; readonly language: Language; readonly own: string },
) {
  const { file, programs } = interpreters[language]
  const found = yield* script(sandbox, placing, [own, file, folder, ...programs], Buffer.from(code)).pipe(
    // An image without a shell.
    Effect.catchTag("CommandNotStarted", () => Effect.succeed(new Uint8Array())),
  )
  const program = Buffer.from(found).toString().trim()
  return program === "" ? yield* new InterpreterMissing({ language }) : program
})

/** Where Node looks for packages of the folder: from the snippet's file upwards. */
const placing = `mkdir -p "$1" && cat >"$1/$2" && ln -s "$3/node_modules" "$1/node_modules"
cd "$3" 2>/dev/null
shift 3
for program; do
  case $program in
    ./*) [ -x "$program" ] && { echo "$PWD/$program"; exit; } ;;
    *) command -v "$program" && exit ;;
  esac
done`

const answerOf = ({ files, omitted }: Made) => ({
  files,
  ...(omitted === 0 ? {} : { files_omitted: omitted }),
})

const unknown = "So many files changed that nobody knows which."

/** The exit code of Node for an option that it does not know. */
const badOption = 9
