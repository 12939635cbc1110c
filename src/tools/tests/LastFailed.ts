/**
 * What failed in a session's last run of tests. It is a file in the session's HOME, so that it is saved with the
 * session's files and found by whichever node goes on with it. A program in the sandbox may write there as it likes.
 */
import { Effect, Option, Schema } from "effect"
import type { Sandbox } from "../../sandbox/Sandbox.ts"
import { script } from "../commands/SandboxScript.ts"
import { RunnerName } from "./TestReport.ts"

const Remembered = Schema.Struct({
  runner: RunnerName,
  cwd: Schema.String.pipe(Schema.maxLength(4096), Schema.startsWith("/workspace")),
  args: Schema.Array(Schema.String).pipe(Schema.maxItems(64)),
  /** Tests, and suites, by their ids. */
  failed: Schema.Array(Schema.String),
  /** What could not start has no name of its own: all is to be run. */
  all: Schema.Boolean,
})
export type Remembered = typeof Remembered.Type

/** Notes it for the next one who asks; nothing failed where it is undefined. */
export const remember = (sandbox: Sandbox, remembered: Remembered | undefined) =>
  remembered === undefined
    ? script(sandbox, 'rm -f -- "$HOME/$1"', [file])
    : script(
        sandbox,
        'mkdir -p -- "$HOME/${1%/*}" && cat >"$HOME/$1"',
        [file],
        Buffer.from(JSON.stringify(remembered)),
      )

/** What failed in the last run; undefined where nothing did. */
export const recall = (sandbox: Sandbox) =>
  Effect.map(
    script(sandbox, '[ -f "$HOME/$1" ] && head -c "$2" "$HOME/$1"', [file, String(maxBytes)]),
    (data) => Option.getOrUndefined(decode(Buffer.from(data).toString())),
  )

/** As many as one command may be given as its arguments. */
export const fitting = (ids: ReadonlyArray<string>) => {
  let bytes = 0
  return ids.filter((id) => (bytes += Buffer.byteLength(JSON.stringify(id)) + 8) <= maxArguments)
}

const decode = Schema.decodeUnknownOption(Schema.parseJson(Remembered))
const file = ".codegen-mcp/failed-tests.json"
const maxBytes = 256 * 1024
/** Linux takes 128 KiB as one argument. */
const maxArguments = 48 * 1024
