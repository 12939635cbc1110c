/** One sandbox for the tests of a file, each of which works in a folder of its own. */
import { Context, Effect, Layer } from "effect"
import type { CommandSpec } from "../../src/domain/Command.ts"
import type { Sandbox } from "../../src/sandbox/Sandbox.ts"
import { Sandboxes } from "../../src/sandbox/Sandboxes.ts"
import { Templates } from "../../src/sandbox/Templates.ts"
import * as TestNode from "./TestNode.ts"

export class SharedSandbox extends Context.Tag("codegen-mcp/test/SharedSandbox")<SharedSandbox, Sandbox>() {
  static readonly layerOf = (settings: Readonly<Record<string, string>>) =>
    Layer.effect(
      SharedSandbox,
      Effect.suspend(() => fresh),
    ).pipe(Layer.provideMerge(TestNode.engine(settings)))

  static readonly layer = SharedSandbox.layerOf({})
}

/** A new sandbox of the default template. */
export const fresh = Effect.gen(function* () {
  const { make } = yield* Sandboxes
  return yield* make((yield* Templates).standard)
})

/** A shell line, with what a test adds. */
export const line = (command: string, more: Partial<CommandSpec> = {}): CommandSpec => ({
  argv: ["/bin/bash", "-c", command],
  cwd: "/workspace",
  env: {},
  stdin: "none",
  tty: false,
  timeoutMs: 30_000,
  ...more,
})

export const start = { stdout: 0, stderr: 0 }

/** Runs a command to its end; gives its output as text. */
export const run = Effect.fnUntraced(function* (sandbox: Sandbox, spec: CommandSpec) {
  const id = yield* sandbox.start(spec)
  const page = yield* sandbox.read(id, start, spec.timeoutMs + 10_000, "end")
  yield* sandbox.forget(id)
  return {
    ...page,
    code: page.end?._tag === "Exited" ? page.end.code : undefined,
    out: Buffer.from(page.stdout.data).toString(),
    err: Buffer.from(page.stderr.data).toString(),
  }
})

/** The output of a line that must exit with 0. */
export const output = (sandbox: Sandbox, command: string) =>
  Effect.flatMap(run(sandbox, line(command)), ({ code, out, err }) =>
    code === 0 ? Effect.succeed(out) : Effect.dieMessage(`${command}: ${code} ${err}`),
  )
