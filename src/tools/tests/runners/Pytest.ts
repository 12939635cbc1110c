/** pytest, which runs the tests of unittest too. */
import { factLines } from "../reports/FactLines.ts"
import { isPythonTest } from "../TestedProject.ts"
import { pytestReporter } from "../reports/PythonReporters.ts"
import type { Runner } from "../Runner.ts"
import { python, pythonRequest } from "./Python.ts"

export const pytest: Runner = {
  name: "pytest",
  isUsedIn: ({ names, paths, texts }) =>
    names.has("pytest.ini") ||
    names.has("conftest.py") ||
    texts["pyproject.toml"].includes("[tool.pytest") ||
    texts["setup.cfg"].includes("[tool:pytest]") ||
    texts["tox.ini"].includes("[pytest]") ||
    [...names, ...paths].some(isPythonTest),
  install: 'Install it in /workspace/.venv (pip install pytest), or give `runner: "unittest"`.',
  knowsChanged: false,
  invocation: (selection) => ({ script: python, args: [pytestReporter, pythonRequest(selection)] }),
  reader: factLines,
}
