/** What it takes to run tests with one program: `runners/` has a file for each. */
import type { Collector } from "./Collector.ts"
import type { TestedProject } from "./TestedProject.ts"
import type { RunnerName } from "./TestReport.ts"

/** Which of a project's tests are to run; all where nothing narrows it. */
export interface Selection {
  /** A file or folder, relative to the project. */
  readonly path: string | undefined
  /** Tests whose name contains this. */
  readonly name: string | undefined
  /** These tests and no others, by their ids in an earlier report; that of a suite stands for all of its tests. */
  readonly only: ReadonlyArray<string>
  /** Tests that what has changed since the last commit concerns. */
  readonly onlyChanged: boolean
  /** More arguments for the runner. */
  readonly args: ReadonlyArray<string>
}

/** A script for sh: `$1` is a folder of its own for what it makes, the rest of its arguments follow. */
interface Invocation {
  readonly script: string
  readonly args: ReadonlyArray<string>
}

/** Takes a report in pieces, and tells what it finds to a collector. It holds a bounded part. */
export interface ReportReader {
  readonly push: (piece: Uint8Array) => void
  readonly end: () => void
}

export interface RunnerOutput {
  /** Undefined where the runner did not exit by itself. */
  readonly code: number | undefined
  readonly stdout: string
  readonly stderr: string
}

export interface Runner {
  readonly name: RunnerName
  /** Whether a project's tests are made for it. */
  readonly isUsedIn: (project: TestedProject) => boolean
  /** How a user comes by it, for the next step of a failure. */
  readonly install: string
  /** Whether it can tell which tests a change concerns. */
  readonly knowsChanged: boolean
  /** The script leaves its report in the file `report` of its folder. It exits with 127 where the runner is missing. */
  readonly invocation: (selection: Selection, project: TestedProject) => Invocation
  /** `folder` is where the tests ran, absolute. */
  readonly reader: (collector: Collector, folder: string) => ReportReader
  /** Finds in the output why tests did not run, where the report does not say it. */
  readonly explain?: (output: RunnerOutput, collector: Collector) => void
}
