/** Small commands beside what a tool is for. They are none of the operation's own: its output stays the runner's. */
import { Effect } from "effect"
import type { Sandbox } from "../../sandbox/Sandbox.ts"
import { start } from "./ToolCommand.ts"

/** Runs a script for sh, with its arguments from `$1` on, in /workspace; gives what it wrote to stdout, as far as that is kept. */
export const script = (
  sandbox: Sandbox,
  lines: string,
  args: ReadonlyArray<string>,
  input: Uint8Array | undefined = undefined,
) =>
  Effect.acquireUseRelease(
    sandbox.start({
      argv: ["/bin/sh", "-c", lines, "sh", ...args],
      cwd: "/workspace",
      env: {},
      stdin: input === undefined ? "none" : "open",
      tty: false,
      timeoutMs,
    }),
    (id) =>
      Effect.gen(function* () {
        if (input !== undefined) yield* sandbox.write(id, input, true)
        const { stdout } = yield* sandbox.read(id, start, timeoutMs + 15_000, "end")
        return stdout.data
      }),
    (id) => sandbox.forget(id),
  )

const timeoutMs = 20_000
