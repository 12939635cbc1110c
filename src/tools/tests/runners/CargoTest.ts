/** cargo test. Its JSON is not stable, its text is. */
import { CargoReport } from "../reports/CargoReport.ts"
import type { Runner } from "../Runner.ts"

export const cargoTest: Runner = {
  name: "cargo",
  isUsedIn: ({ names }) => names.has("Cargo.toml"),
  install: "Start the session from a template whose image has Rust's cargo.",
  knowsChanged: false,
  invocation: ({ args, name, only, path }) => {
    // A test in a document is file - item (line 1), which cargo tears apart at its spaces: its file stands for it, and
    // then no name is exact.
    const tests = only.map((id) => id.split(" > ").at(-1) ?? "")
    const names = [...new Set(tests.map((test) => test.split(" - ")[0] ?? ""))]
    const isExact = names.length > 0 && !tests.some((test) => test.includes(" - "))
    const behind = args.indexOf("--")
    const [own, more] = behind < 0 ? [args, []] : [args.slice(0, behind), args.slice(behind + 1)]
    return {
      script: `
command -v cargo >/dev/null || exit 127
dir=$1
shift
exec cargo test --no-fail-fast --color=never "$@" >"$dir/report" 2>&1`,
      args: [
        ...own,
        ...(path === undefined ? [] : targetOf(path)),
        "--",
        "--color=never",
        ...more,
        ...(name === undefined ? [] : [name]),
        ...(isExact ? ["--exact"] : []),
        ...names,
      ],
    }
  },
  reader: (collector) => new CargoReport(collector),
}

/** What cargo calls the tests of a file or folder. */
const targetOf = (path: string) => {
  const name = /([^/]+)\.rs$/.exec(path)?.[1]
  if (/(^|\/)tests\/[^/]+\.rs$/.test(path)) return [`--test=${name}`]
  if (/(^|\/)src\/main\.rs$/.test(path)) return ["--bins"]
  if (/(^|\/)tests\/?$/.test(path)) return ["--test=*"]
  return ["--lib"]
}
