/**
 * Files by small scripts that run inside the container as the sandbox's user, so that no path reaches
 * the node. Each script resolves the links in a path first and refuses what leaves the workspace;
 * arguments are passed beside the script, never inside it.
 */
import { Effect } from "effect"
import { FileError, SandboxError, type SandboxLost } from "../domain/SandboxError.ts"
import { workspace } from "./Container.ts"
import type { FileEntry, SandboxFiles } from "./Sandbox.ts"

/** Runs a command of our own inside the container; `output` bounds what is kept of its stdout, in bytes. */
type Run = (
  argv: ReadonlyArray<string>,
  input: Uint8Array | undefined,
  output: number,
) => Effect.Effect<{ readonly code: number; readonly stdout: Uint8Array }, SandboxError | SandboxLost>

export const make = (run: Run): SandboxFiles => {
  const script = (
    body: string,
    path: string,
    args: ReadonlyArray<string>,
    input?: Uint8Array,
    output = 4096,
  ): Effect.Effect<Uint8Array, FileError | SandboxError | SandboxLost> =>
    Effect.gen(function* () {
      const argv = ["/bin/sh", "-c", prelude + body, "sh", path, ...args]
      const { code, stdout } = yield* run(argv, input, output)
      if (code === 0) return stdout
      // No answer of the script's: it was killed, or never ran.
      if (code >= 126) return yield* new SandboxError({ operation: "exec", cause: `it ended with ${code}` })
      return yield* new FileError({ path, reason: reasons[code] ?? "denied" })
    })

  return {
    read: (path, offset, length) =>
      script(readScript, path, [String(offset), String(length)], undefined, length + 64).pipe(
        Effect.map((output) => {
          const header = output.indexOf(newline)
          return {
            data: output.subarray(header + 1),
            size: Number(Buffer.from(output.subarray(0, header)).toString()),
          }
        }),
      ),

    write: (path, data) => Effect.asVoid(script(writeScript, path, [String(data.length)], data)),

    list: (path, depth, limit) =>
      script(listScript, path, [String(depth), String(limit + 1)], undefined, (limit + 1) * 5000).pipe(
        Effect.map((output) => {
          const entries = Buffer.from(output).toString().split("\0").slice(0, -1).map(entryOf)
          return {
            entries: entries.slice(0, limit),
            truncated: entries.length > limit,
          }
        }),
      ),
  }
}

const newline = 10

const entryOf = (record: string): FileEntry => {
  const [kind = "", size = "0", ...path] = record.split("\t")
  // The paths that find writes begin with "./".
  return { path: path.join("\t").slice(2), kind: kinds[kind] ?? "other", size: Number(size) }
}

const kinds: Readonly<Record<string, FileEntry["kind"]>> = { f: "file", d: "directory", l: "link" }

/** The exit codes by which the scripts say what is wrong. */
const reasons: Readonly<Record<number, FileError["reason"]>> = {
  61: "outside",
  62: "missing",
  63: "not_a_file",
  64: "not_a_directory",
  65: "no_space",
}

/** Sets `real` to where `$1` leads. */
const prelude = `
real=$(realpath -m -- "$1" && echo .) || exit 1
real=\${real%??}
case "$real/" in ${workspace}/*) ;; *) exit 61 ;; esac
`

const readScript = `
[ -e "$real" ] || exit 62
[ -f "$real" ] || exit 63
[ -r "$real" ] || exit 1
stat -c %s -- "$real" || exit 1
tail -c +"$(($2 + 1))" -- "$real" | head -c "$3"
`

const writeScript = `
[ -d "$real" ] && exit 63
[ -e "$real" ] && [ ! -f "$real" ] && exit 63
folder=$(dirname -- "$real" && echo .)
folder=\${folder%??}
mkdir -p -- "$folder" 2>/dev/null || { [ -d "$folder" ] && exit 1; df --output=iavail,avail ${workspace} | grep -qw 0 && exit 65; exit 64; }
new=$(mktemp -p "$folder" .codegen-write.XXXXXX) || { df --output=iavail,avail ${workspace} | grep -qw 0 && exit 65; exit 1; }
if head -c "$2" > "$new" && [ "$(stat -c %s -- "$new")" = "$2" ]; then
  if [ -e "$real" ]; then chmod --reference="$real" -- "$new"; else chmod "$(printf %o $((0666 & ~$(umask))))" -- "$new"; fi
  mv -fT -- "$new" "$real" && exit 0
fi
rm -f -- "$new"
exit 65
`

const listScript = `
[ -e "$real" ] || exit 62
[ -d "$real" ] || exit 64
cd ${workspace} || exit 1
inside=\${real#${workspace}}
find "./\${inside#/}" -mindepth 1 -maxdepth "$2" -printf '%y\\t%s\\t%p\\0' 2>/dev/null |
  LC_ALL=C sort -z -t "$(printf '\\t')" -k 3 | head -z -n "$3"
`
