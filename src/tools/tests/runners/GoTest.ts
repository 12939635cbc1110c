/** go test, from Go 1.10 on. */
import { GoReport, goError } from "../reports/GoReport.ts"
import type { Runner } from "../Runner.ts"
import { literal } from "./Packages.ts"

export const goTest: Runner = {
  name: "go",
  isUsedIn: ({ names }) => names.has("go.mod") || names.has("go.work"),
  install: "Start the session from a template whose image has Go.",
  knowsChanged: false,
  invocation: ({ args, name, only, path }) => {
    const tests = only.map((id) => id.split(" > "))
    const packages = [...new Set(tests.map(([name = ""]) => name))]
    const names = [...new Set(tests.map(([, test = ""]) => test.split("/")[0] ?? ""))]
    const isWhole = names.length === 0 || names.includes("")
    const pattern = isWhole
      ? name === undefined
        ? ""
        : patternOf(name)
      : `^(${names.map(literal).join("|")})$`
    return {
      script: `
command -v go >/dev/null || exit 127
dir=$1 path=$2 pattern=$3
shift 3
printf '{"Module":"%s"}\\n' "$(sed -n 's/^module  *"\\{0,1\\}\\([^" ]*\\).*/\\1/p' go.mod 2>/dev/null | head -n 1)" >"$dir/report"
case $path in
*.go)
  # A file alone is none of Go's units: its package, and the tests that stand in it.
  [ -n "$pattern" ] || pattern="^($(sed -n 's/^func \\(\\(Test\\|Example\\|Fuzz\\)[A-Za-z0-9_]*\\)(.*/\\1/p' "$path" | paste -sd'|'))$"
  case $path in */*) path=\${path%/*} ;; *) path=. ;; esac
  set -- "$@" "./$path" ;;
?*) set -- "$@" "./\${path%/}/..." ;;
esac
[ -z "$pattern" ] || set -- "-run=$pattern" "$@"
exec go test -json "$@" >>"$dir/report"`,
      args: [
        path ?? "",
        pattern,
        ...args,
        ...(only.length > 0 ? packages : path === undefined ? ["./..."] : []),
      ],
    }
  },
  reader: (collector, folder) => new GoReport(collector, folder),
  explain: ({ stderr }, collector) => {
    for (const line of stderr.split("\n").slice(0, 2000)) {
      const error = goError(line)
      if (error !== undefined) collector.error(error)
    }
  },
}

/** Go matches the parts of a name between slashes one by one. */
const patternOf = (name: string) =>
  name
    .split("/")
    .map((part) => literal(part.replaceAll(" ", "_")))
    .join("/")
