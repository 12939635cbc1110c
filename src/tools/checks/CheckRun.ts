/** Runs checkers on a project, one after another, as the commands of one operation. */
import { Effect } from "effect"
import type { CommandEnd } from "../../domain/Command.ts"
import * as Monotonic from "../../domain/Monotonic.ts"
import type { commandsOf, Ran } from "../commands/ToolCommand.ts"
import type { Checker } from "./Checker.ts"
import { ending, type Finding, tidy } from "./Finding.ts"
import type { CheckedProject } from "./CheckedProject.ts"
import { written } from "./Written.ts"

/** `broken`: it found nothing, and failed all the same. */
type CheckerStatus = "passed" | "failed" | "broken" | "not_installed" | "timed_out" | "cancelled"

export interface CheckerRun {
  readonly checker: string
  /** As it was run. */
  readonly command: string
  readonly status: CheckerStatus
  readonly exitCode: number | undefined
  /** Wall time in milliseconds. */
  readonly durationMs: number
  readonly findings: ReadonlyArray<Finding>
  /** Files that it changed, relative to /workspace. */
  readonly formatted: ReadonlyArray<string>
  /** Bytes of its output that were not kept: there may be more findings. */
  readonly skipped: number
  /** The end of what it wrote, where it is broken; where it is not installed, what to install. */
  readonly output: string
}

/** Where commands run, and until when. */
export interface Place {
  readonly commands: ReturnType<typeof commandsOf>
  readonly project: CheckedProject
  /** By the monotonic clock, in milliseconds. */
  readonly deadline: number
}

/** Runs them until one of them has no time left, or is cancelled. */
export const runCheckers = Effect.fnUntraced(function* (
  checkers: ReadonlyArray<Checker>,
  place: Place,
  write: boolean,
) {
  const runs: Array<CheckerRun> = []
  for (const checker of checkers) {
    const run = yield* runChecker(checker, place, write)
    runs.push(run)
    if (run.status === "timed_out" || run.status === "cancelled") break
  }
  return runs as ReadonlyArray<CheckerRun>
})

/** With `write`, a formatter changes the files that it finds fault with, and is then asked again. */
const runChecker = Effect.fnUntraced(function* (checker: Checker, place: Place, write: boolean) {
  const program = place.project.programs.get(checker.program)
  if (program === undefined) return notInstalled(checker)
  const begin = yield* Monotonic.milliseconds
  const check = Effect.fnUntraced(function* (args: ReadonlyArray<string>) {
    const ran = yield* runProgram(checker, program, args, place)
    return runOf(checker, args, ran, place)
  })
  const first = yield* check(checker.args)
  if (!write || checker.writeArgs === undefined || first.status !== "failed") return first
  const writing = yield* check(checker.writeArgs)
  if (writing.status === "timed_out" || writing.status === "cancelled") return writing
  const second = yield* check(checker.args)
  const left = new Set(second.findings.map(({ file }) => file))
  const formatted = first.findings.flatMap(({ file, rule }) =>
    rule === "format" && file !== undefined && !left.has(file) ? [file] : [],
  )
  return { ...second, formatted, durationMs: (yield* Monotonic.milliseconds) - begin }
})

const runProgram = Effect.fnUntraced(function* (
  { env, name }: Checker,
  program: string,
  args: ReadonlyArray<string>,
  { commands, deadline, project }: Place,
) {
  const left = deadline - (yield* Monotonic.milliseconds)
  if (left <= 0) return undefined
  commands.say(`${name}\n`)
  return yield* commands.run(
    {
      argv: [program, ...args],
      cwd: project.folder,
      env: { NO_COLOR: "1", ...env },
      stdin: "none",
      tty: false,
      timeoutMs: left,
    },
    shown(name, args),
  )
})

const runOf = (
  checker: Checker,
  args: ReadonlyArray<string>,
  ran: Ran | undefined,
  { project }: Place,
): CheckerRun => {
  const common = { checker: checker.name, command: shown(checker.program, args), formatted: [] }
  if (ran === undefined) {
    return {
      ...common,
      status: "timed_out",
      exitCode: undefined,
      durationMs: 0,
      findings: [],
      skipped: 0,
      output: "",
    }
  }
  const { end, page } = ran
  const code = end._tag === "Exited" ? end.code : undefined
  const stdout = written(page.stdout)
  const stderr = written(page.stderr)
  const findings = checker.read({ stdout, stderr, code }).map(tidy(checker.name, project.folder))
  const status = statusOf(end, findings)
  const text = [stdout, stderr].map(({ head, tail }) => ending((tail || head).trim(), outputLimit))
  return {
    ...common,
    status,
    exitCode: code,
    durationMs: end.durationMs,
    findings,
    skipped: stdout.skipped + stderr.skipped,
    output: status === "broken" ? [why(end), ...text].filter((part) => part !== "").join("\n") : "",
  }
}

const statusOf = (end: CommandEnd, findings: ReadonlyArray<Finding>): CheckerStatus => {
  if (end._tag === "TimedOut") return "timed_out"
  if (end._tag === "Cancelled") return "cancelled"
  const isFine = end._tag === "Exited" && end.code === 0
  if (findings.some(({ severity }) => severity === "error")) return "failed"
  return isFine ? "passed" : findings.length > 0 ? "failed" : "broken"
}

const why = (end: CommandEnd) =>
  end._tag === "TooMuchOutput"
    ? "It was killed, for it wrote too much."
    : end._tag === "Signalled"
      ? `It was ended by ${end.signal}.`
      : ""

const notInstalled = ({ name, install }: Checker): CheckerRun => ({
  checker: name,
  command: "",
  status: "not_installed",
  exitCode: undefined,
  durationMs: 0,
  findings: [],
  formatted: [],
  skipped: 0,
  output: `The project asks for it. Install ${install}.`,
})

const shown = (name: string, args: ReadonlyArray<string>) => [name, ...args].join(" ").slice(0, 200)

/** Characters of each stream. */
const outputLimit = 1500
