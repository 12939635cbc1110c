/** Node's own runner, from Node 18.15 on. */
import { factLines } from "../reports/FactLines.ts"
import { isScriptTest, type TestedProject, testScript } from "../TestedProject.ts"
import { nodeReporter } from "../reports/ScriptReporters.ts"
import type { Runner } from "../Runner.ts"
import { literal, option, partsOf } from "./Packages.ts"

export const nodeTest: Runner = {
  name: "node",
  isUsedIn: (project) => ownArguments(project) !== undefined || project.paths.some(isScriptTest),
  install: "Start the session from a template whose image has Node 20 or later.",
  knowsChanged: false,
  invocation: ({ args, name, only, path }, project) => {
    const own = ownArguments(project)
    const { files, pattern } = partsOf(only)
    const narrowed = path === undefined ? files : [path]
    return {
      script: `
command -v node >/dev/null || exit 127
dir=$1
printf %s "$2" >"$dir/reporter.mjs"
folder=$3
shift 3
[ -d "$folder" ] && set -- "$@" "$folder/**/*.{test,spec}.{js,mjs,cjs,ts,mts,cts}" "$folder/**/test-*.{js,mjs,cjs,ts,mts,cts}"
[ -f "$folder" ] && set -- "$@" "$folder"
exec node --test --test-reporter=spec --test-reporter-destination=stdout \\
  --test-reporter="$dir/reporter.mjs" --test-reporter-destination="$dir/report" "$@"`,
      args: [
        nodeReporter,
        path ?? "",
        ...args,
        ...(own?.options ?? []),
        ...option("--test-name-pattern", name === undefined ? pattern : literal(name)),
        ...(narrowed.length === 0 ? (own?.patterns ?? []) : files),
      ],
    }
  },
  reader: factLines,
}

/** What the project's own script gives to `node --test`; undefined where it does something else. */
const ownArguments = (project: TestedProject) => {
  const script = testScript(project)
  if (!/^node\s(.*\s)?--test(\s|$)/.test(script) || /[&|;<>$`\\(\n]/.test(script)) return undefined
  const words = [...script.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)]
    .map(([, a, b, c]) => a ?? b ?? c ?? "")
    .slice(1)
  const options: Array<string> = []
  const patterns: Array<string> = []
  words.forEach((word, index) => {
    const before = words[index - 1] ?? ""
    if (word === "--test" || word.startsWith("--test-reporter") || /^--test-reporter[^=]*$/.test(before))
      return
    ;(word.startsWith("-") || takesValue.has(before) ? options : patterns).push(word)
  })
  return { options, patterns }
}

const takesValue = new Set([
  "--import",
  "--require",
  "-r",
  "--loader",
  "--experimental-loader",
  "--conditions",
  "-C",
  "--env-file",
])
