/** Installs packages of pip and npm: those that are named, or those that the project's own files name. */
import { Effect, Schema } from "effect"
import type { CommandSpec } from "../../domain/Command.ts"
import type { Sandbox } from "../../sandbox/Sandbox.ts"
import { commandAnswer, standing, summary } from "../commands/CommandAnswer.ts"
import { cancelCommand, commandsOf, type Ran, soFar, TimeoutMs, timeoutOf } from "../commands/ToolCommand.ts"
import { InvalidArguments } from "../InvalidArguments.ts"
import { absolute, defaultWaitMs, optional, ownerTool, WaitMs, WorkspacePath } from "../Tool.ts"
import { NetworkNeeded } from "./NetworkNeeded.ts"
import { isPackage } from "./PackageNames.ts"

const Manager = Schema.Literal("pip", "npm")
type Manager = typeof Manager.Type

export const installPackages = ownerTool({
  name: "install_packages",
  title: "Install packages",
  description:
    "Install packages with pip (into /workspace/.venv, made at first use: run /workspace/.venv/bin/python) or npm (into " +
    "`cwd`). Without `packages`, what the project's own files name: requirements.txt or pyproject.toml, and package.json " +
    "with its lock file. Needs a network policy that allows the registries (set_network_policy).",
  input: Schema.Struct({
    manager: optional(
      Manager.annotations({ description: "Needed with `packages`; otherwise what the project has." }),
    ),
    packages: optional(
      Schema.Array(Schema.String).pipe(Schema.minItems(1), Schema.maxItems(100)).annotations({
        description: "Names with versions, as `requests==2.32.3` or `react@18`; no flags, URLs or paths.",
      }),
    ),
    dev: optional(Schema.Boolean.annotations({ description: "With npm: note them as devDependencies." })),
    cwd: optional(WorkspacePath.annotations({ description: "The project's folder; /workspace otherwise." })),
    wait_ms: optional(
      WaitMs.annotations({ description: `Time to wait for the end; ${defaultWaitMs} otherwise.` }),
    ),
    timeout_ms: TimeoutMs,
  }),
  output: Schema.Struct({
    ...commandAnswer,
    truncated: Schema.Boolean,
    steps: Schema.Array(Schema.String).annotations({
      description: "The commands that were run, in order; status and output are the last one's.",
    }),
  }),
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: true },
  changes: true,
  stateOf: ({ status }) => (status === "timed_out" || status === "cancelled" ? status : "succeeded"),
  handler: Effect.fnUntraced(function* (input, call) {
    yield* check(input)
    const { most, policy } = call.network
    if (policy().length === 0) return yield* new NetworkNeeded({ needed: "registries", policy: [], most })
    const timeoutMs = yield* timeoutOf(input.timeout_ms ?? call.limits.maxCommandTimeoutMs, call.limits)
    const sandbox = yield* call.sandbox
    const { say, run } = commandsOf(call)
    const steps: Array<string> = []
    const cwd = absolute(input.cwd ?? ".")
    const install = Effect.gen(function* () {
      let last: Ran | undefined
      for (const argv of yield* planOf(input, sandbox, cwd)) {
        const shown = argv.join(" ")
        steps.push(shown)
        say(shown)
        const spec: CommandSpec = { argv, cwd, env: {}, stdin: "none", tty: false, timeoutMs }
        last = yield* run(spec, shown.slice(0, 200))
        if (last.end._tag !== "Exited" || last.end.code !== 0) break
      }
      return last
    })
    const last = yield* call.commands.inTurn("packages", install)
    if (last === undefined) return yield* new InvalidArguments({ problem: nothingFound(cwd) })
    return { ...standing(last.command, last.end, call), ...summary(last.page), steps }
  }),
  cancel: cancelCommand,
  partial: {
    waitMs: ({ wait_ms = defaultWaitMs }) => wait_ms,
    answer: (_, call) => Effect.map(soFar(call), (answer) => ({ ...answer, steps: [] })),
  },
})

interface Input {
  readonly manager?: Manager
  readonly packages?: ReadonlyArray<string>
  readonly dev?: boolean
}

const check = ({ manager, packages }: Input) => {
  if (packages === undefined) return Effect.void
  if (manager === undefined) {
    return Effect.fail(new InvalidArguments({ problem: "`packages` needs a `manager`: pip or npm." }))
  }
  const wrong = packages.find((name) => !isPackage(manager, name))
  return wrong === undefined
    ? Effect.void
    : Effect.fail(
        new InvalidArguments({
          problem: `${JSON.stringify(wrong.slice(0, 100))} is no name of a package with a version, as ${manager} takes it from its registry.`,
        }),
      )
}

type Argv = CommandSpec["argv"]

/** The commands to run, in order; none where the project names nothing. */
const planOf = Effect.fnUntraced(function* (input: Input, { files }: Sandbox, cwd: string) {
  const has = (name: string) => Effect.isSuccess(files.stat(`${cwd}/${name}`))
  const isMeant = (manager: Manager) => input.manager === undefined || input.manager === manager
  const plan: Array<Argv> = []
  const withPip = Effect.fnUntraced(function* (what: ReadonlyArray<string>) {
    if (!(yield* Effect.isSuccess(files.stat(`${venv}/pyvenv.cfg`))))
      // What the image has, pytest above all, is there too.
      plan.push(["python3", "-m", "venv", "--system-site-packages", venv])
    plan.push([`${venv}/bin/python`, "-m", "pip", "install", "--no-input", "--progress-bar", "off", ...what])
  })
  const npm = (...what: ReadonlyArray<string>) => plan.push(["npm", ...what, "--no-audit", "--no-fund"])
  const { packages, dev = false, manager } = input
  if (packages !== undefined) {
    if (manager === "pip") yield* withPip(packages)
    else npm("install", ...(dev ? ["--save-dev"] : []), ...packages)
    return plan
  }
  if (isMeant("pip")) {
    if (yield* has("requirements.txt")) yield* withPip(["-r", "requirements.txt"])
    else if (yield* has("pyproject.toml")) yield* withPip(["-e", "."])
  }
  if (isMeant("npm") && (yield* has("package.json"))) {
    const isLocked = (yield* has("package-lock.json")) || (yield* has("npm-shrinkwrap.json"))
    npm(isLocked ? "ci" : "install")
  }
  return plan
})

const venv = "/workspace/.venv"

const nothingFound = (cwd: string) =>
  `There is no requirements.txt, pyproject.toml or package.json in ${cwd} that says what to install; name \`packages\`, or another \`cwd\`.`
