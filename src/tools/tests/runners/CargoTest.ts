/** cargo test. Its JSON is not stable, its text is. */
import { CargoReport } from "../reports/CargoReport.ts"
import type { Runner } from "../Runner.ts"

export const cargoTest: Runner = {
  name: "cargo",
  isUsedIn: ({ names }) => names.has("Cargo.toml"),
  install: "Start the session from a template whose image has Rust's cargo.",
  knowsChanged: false,
  invocation: ({ args, name, only, path }) => {
    const names = [...new Set(only.map((id) => id.split(" > ").at(-1) ?? ""))]
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
        ...(only.length === 0 ? [] : ["--exact", ...names]),
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
