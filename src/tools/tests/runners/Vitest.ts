/** vitest, from version 1 on. */
import { factLines } from "../reports/FactLines.ts"
import { needs, testScript } from "../TestedProject.ts"
import { vitestReporter } from "../reports/ScriptReporters.ts"
import type { Runner } from "../Runner.ts"
import { literal, option, packageScript, partsOf } from "./Packages.ts"

export const vitest: Runner = {
  name: "vitest",
  isUsedIn: (project) =>
    needs(project, "vitest") ||
    /\bvitest\b/.test(testScript(project)) ||
    [...project.names].some((name) => /^vitest\.(config|workspace)\.[cm]?[jt]s$/.test(name)),
  install: "Install it in the project: npm install --save-dev vitest.",
  knowsChanged: true,
  invocation: ({ args, name, only, onlyChanged, path }) => {
    const { files, pattern } = partsOf(only)
    return {
      script: `${packageScript("vitest/vitest.mjs", "reporter.mjs")}
exec node "$program" run --reporter=default --reporter="$dir/reporter.mjs" "$@"`,
      args: [
        vitestReporter,
        ...args,
        ...(onlyChanged ? ["--changed"] : []),
        ...option("--testNamePattern", name === undefined ? pattern : literal(name)),
        ...files,
        ...(path === undefined ? [] : [path]),
      ],
    }
  },
  reader: factLines,
}
