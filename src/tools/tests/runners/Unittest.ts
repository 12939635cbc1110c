/** Python's own unittest, where pytest is not chosen: that one runs the same tests, and says more of them. */
import { factLines } from "../reports/FactLines.ts"
import { unittestReporter } from "../reports/PythonReporters.ts"
import type { Runner } from "../Runner.ts"
import { python, pythonRequest } from "./Python.ts"

export const unittest: Runner = {
  name: "unittest",
  // Only by name.
  isUsedIn: () => false,
  install: "Start the session from a template whose image has Python 3.",
  knowsChanged: false,
  invocation: (selection) => ({ script: python, args: [unittestReporter, pythonRequest(selection)] }),
  reader: factLines,
}
