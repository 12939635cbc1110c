/** Jest, from version 24 on. */
import { factLines } from "../reports/FactLines.ts"
import { needs, testScript } from "../TestedProject.ts"
import { jestReporter } from "../reports/ScriptReporters.ts"
import type { Runner } from "../Runner.ts"
import { literal, option, packageScript, partsOf } from "./Packages.ts"

export const jest: Runner = {
  name: "jest",
  isUsedIn: (project) =>
    needs(project, "jest") ||
    /\bjest\b/.test(testScript(project)) ||
    project.packageJson.jest !== undefined ||
    [...project.names].some((name) => /^jest\.config\.([cm]?[jt]s|json)$/.test(name)),
  install: "Install it in the project: npm install --save-dev jest.",
  knowsChanged: true,
  invocation: ({ args, name, only, onlyChanged, path }) => {
    const { files, pattern } = partsOf(only)
    return {
      script: `${packageScript("jest/bin/jest.js", "reporter.cjs")}
exec node "$program" --testLocationInResults --reporters=default --reporters="$dir/reporter.cjs" "$@"`,
      args: [
        jestReporter,
        ...args,
        ...(onlyChanged ? ["--onlyChanged"] : []),
        ...option("--testNamePattern", name === undefined ? pattern : literal(name)),
        ...(files.length === 0 ? [] : ["--runTestsByPath", "--", ...files]),
        ...(path === undefined ? [] : ["--", literal(path)]),
      ],
    }
  },
  reader: factLines,
}
