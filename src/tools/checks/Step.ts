/** A step of a project's checks, and what it came to. */
import type { TestReport } from "../tests/TestReport.ts"
import type { CheckerRun } from "./CheckRun.ts"

/** Steps that are found by themselves, in their order. */
export const builtIn = ["install", "format", "lint", "types", "tests"] as const
export type BuiltIn = (typeof builtIn)[number]

export const isBuiltIn = (name: string): name is BuiltIn => builtIn.some((known) => known === name)

export type Step =
  | {
      readonly _tag: "BuiltIn"
      readonly name: BuiltIn
      /** By the project's file; then it must not turn out to be nothing. */
      readonly isAskedFor: boolean
    }
  | {
      readonly _tag: "Command"
      readonly name: string
      /** For bash. */
      readonly line: string
      /** Absolute. */
      readonly folder: string
    }

export type StepStatus = "passed" | "failed" | "skipped" | "timed_out" | "cancelled"

export interface StepRun {
  readonly name: string
  readonly status: StepStatus
  /** Wall time in milliseconds. */
  readonly durationMs: number
  /** What a command was, and the code that it exited with. */
  readonly command?: string
  readonly exitCode?: number | undefined
  /** Why it was skipped or failed, where nothing else says that. */
  readonly reason?: string
  readonly checks?: ReadonlyArray<CheckerRun>
  readonly tests?: TestReport
  /** The ends of what a command wrote to stdout and stderr. */
  readonly output?: string
}
