/**
 * `.codegen.yml`, in which a project says what its checks are:
 *
 *     steps:
 *       - name: lint              # one of ours, where it has no command
 *       - name: unit tests
 *         command: npm test       # a line for bash
 *         cwd: packages/a         # relative to the file's folder
 *     keep_going: true
 */
import { Effect, ParseResult, Schema } from "effect"
import { messageOf } from "../../domain/Failure.ts"
import type { Sandbox } from "../../sandbox/Sandbox.ts"
import { optional } from "../Tool.ts"
import { short } from "./Finding.ts"
import { builtIn, isBuiltIn, type Step } from "./Step.ts"

const fileName = ".codegen.yml"

const Text = (most: number) =>
  Schema.String.pipe(
    Schema.minLength(1),
    Schema.maxLength(most),
    Schema.filter((text) => !text.includes("\0") || "must not contain a NUL character"),
  )

const Steps = Schema.Struct({
  steps: Schema.Array(
    Schema.Struct({ name: Text(40), command: optional(Text(10_000)), cwd: optional(Text(1000)) }),
  ).pipe(Schema.minItems(1), Schema.maxItems(20)),
  keep_going: optional(Schema.Boolean),
})

interface CodegenFile {
  readonly steps: ReadonlyArray<Step>
  readonly keepGoing: boolean
}

/** What the project in this folder says of its checks; undefined where it says nothing. */
export const readFile = Effect.fnUntraced(function* ({ files }: Sandbox, folder: string) {
  const path = `${folder}/${fileName}`
  const file = yield* files.read(path, 0, maxBytes).pipe(
    Effect.catchIf(
      (error) => error._tag === "FileError" && error.reason === "missing",
      () => Effect.succeed(undefined),
    ),
  )
  if (file === undefined) return undefined
  if (file.size > file.data.length) {
    return yield* new InvalidCodegenFile({ path, problem: `it has more than ${maxBytes} bytes` })
  }
  return yield* parse(path, folder, Buffer.from(file.data).toString())
})

/** Strictly: what is not known is refused. */
export const parse = Effect.fnUntraced(function* (path: string, folder: string, text: string) {
  const refuse = (problem: string) => new InvalidCodegenFile({ path, problem: short(problem, 500) })
  // Few projects have such a file: what reads it is loaded when one is there.
  const { load } = yield* Effect.promise(() => import("js-yaml"))
  const value = yield* Effect.try({
    try: (): unknown => load(text, { maxDepth: 8, maxAliases: 0 }),
    catch: (cause) => refuse(messageOf(cause)),
  })
  const { keep_going: keepGoing = false, steps } = yield* Schema.decodeUnknown(Steps)(value, {
    onExcessProperty: "error",
  }).pipe(
    Effect.mapError((error) =>
      refuse(
        ParseResult.ArrayFormatter.formatErrorSync(error)
          .map(({ path, message }) => `${path.join(".")}: ${message}`)
          .join("; "),
      ),
    ),
  )
  const names = steps.map(({ name }) => name)
  const double = names.find((name, index) => names.indexOf(name) < index)
  if (double !== undefined) return yield* refuse(`two steps have the name ${JSON.stringify(double)}`)
  const made: Array<Step> = []
  for (const { name, command, cwd } of steps) {
    if (command !== undefined) {
      made.push({
        _tag: "Command",
        name,
        line: command,
        folder: cwd === undefined ? folder : cwd.startsWith("/") ? cwd : `${folder}/${cwd}`,
      })
    } else if (!isBuiltIn(name)) {
      return yield* refuse(
        `the step ${JSON.stringify(name)} has no command, and is none of ${builtIn.join(", ")}`,
      )
    } else if (cwd !== undefined) {
      return yield* refuse(`the step ${name} takes no cwd without a command`)
    } else {
      made.push({ _tag: "BuiltIn", name, isAskedFor: true })
    }
  }
  return { steps: made, keepGoing } satisfies CodegenFile
})

/** The file cannot be understood; nothing was run. */
class InvalidCodegenFile extends Schema.TaggedError<InvalidCodegenFile>()("InvalidCodegenFile", {
  path: Schema.String,
  problem: Schema.String,
}) {
  override get message() {
    return `${this.path} cannot be used: ${this.problem}.`
  }
  readonly next = `Correct it: \`steps\` is a list of up to 20, each with a name and a command (without one the name is ${builtIn.join(", ")}); \`keep_going\` is true or false.`
}

const maxBytes = 32 * 1024
