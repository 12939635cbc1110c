/** One sandbox for the tests of a file, each of which works in a folder of its own. */
import { Context, Effect, Layer } from "effect"
import type { CommandSpec } from "../../src/domain/Command.ts"
import type { Sandbox } from "../../src/sandbox/Sandbox.ts"
import { Sandboxes } from "../../src/sandbox/Sandboxes.ts"
import { Templates } from "../../src/sandbox/Templates.ts"
import * as TestNode from "./TestNode.ts"
import { until } from "./Until.ts"

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

/** The processes in the sandbox whose command line has this text. */
export const processes = (sandbox: Sandbox, text: string) =>
  Effect.map(
    run(sandbox, { ...line(""), argv: ["pgrep", "-f", text] }),
    ({ out }) => out.split("\n").filter((pid) => pid !== "").length,
  )

/** What a command that still runs has written to stdout, once it holds. */
export const shows = (sandbox: Sandbox, id: Parameters<Sandbox["read"]>[0], text: string) =>
  until(
    Effect.map(sandbox.read(id, start, 1000, "output"), ({ stdout }) => Buffer.from(stdout.data).toString()),
    (out) => out.includes(text),
  )
