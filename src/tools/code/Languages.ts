/** The languages that snippets may be in, and what runs them. */
import { Schema } from "effect"

export const Language = Schema.Literal("python", "javascript", "typescript", "bash")
export type Language = typeof Language.Type

interface Interpreter {
  /** The snippet's file. */
  readonly file: string
  /** Programs that run it, by preference; a path is one of the project's own. */
  readonly programs: readonly [string, ...ReadonlyArray<string>]
  readonly options: ReadonlyArray<string>
  /** What an image needs, for those who lack it. */
  readonly needs: string
}

export const interpreters: Readonly<Record<Language, Interpreter>> = {
  python: {
    file: "main.py",
    programs: ["./.venv/bin/python", "/workspace/.venv/bin/python", "python3", "python"],
    options: [],
    needs: "Python 3",
  },
  javascript: {
    file: "main.js",
    programs: ["node"],
    options: [],
    needs: "Node",
  },
  typescript: {
    file: "main.ts",
    programs: ["node"],
    // Later versions need no option, and take it all the same.
    options: ["--experimental-strip-types", "--disable-warning=ExperimentalWarning"],
    needs: "Node 22.6 or later",
  },
  bash: {
    file: "main.sh",
    programs: ["bash"],
    options: [],
    needs: "bash",
  },
}

/** The sandbox's image cannot run the language. */
export class InterpreterMissing extends Schema.TaggedError<InterpreterMissing>()("InterpreterMissing", {
  language: Language,
}) {
  override get message() {
    return `The sandbox cannot run ${this.language}: its image has no ${interpreters[this.language].needs}.`
  }
  readonly next = "Use another language, or open a session of a template whose image has it (open_session)."
}
