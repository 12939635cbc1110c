/** A small project with a mistake in it, and how an agent that reads the failure of its tests corrects it. */
export interface SampleProject {
  readonly language: string
  /** By path in the workspace. */
  readonly files: Readonly<Record<string, string>>
  readonly folder: string
  /** A shell line that runs the tests in `folder`. */
  readonly test: string
  /** What the tests say, with exit code 1, while the mistake is there. */
  readonly red: RegExp
  /** Finds the place of the failure in their output: its groups are `file` (in `folder`), `line` and `error`. */
  readonly failure: RegExp
  /** The line that is wrong there, and what it becomes. */
  readonly wrong: string
  readonly right: string
  /** What the tests say, with exit code 0, once it is corrected. */
  readonly green: RegExp
}
