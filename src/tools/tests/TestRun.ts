/**
 * Runs a project's tests inside a tool's operation, and reads what they came to. The report is written by the runner to
 * a folder below /tmp that goes when the run is over; it is as little to be trusted as anything in a sandbox.
 */
import { Effect, Schema } from "effect"
import { standing } from "../commands/CommandAnswer.ts"
import type { commandsOf, Ran } from "../commands/ToolCommand.ts"
import { absolute, type OwnerCall } from "../Tool.ts"
import { Collector } from "./Collector.ts"
import { fitting, remember } from "./LastFailed.ts"
import { reading } from "./ReportFile.ts"
import { choose } from "./Runners.ts"
import type { RunnerOutput, Selection } from "./Runner.ts"
import { script } from "../commands/SandboxScript.ts"
import { reportOf } from "./TestEnd.ts"
import { RunnerName } from "./TestReport.ts"

/** What to run; all tests of /workspace, by the runner that they look like, where nothing is given. */
export interface TestRequest {
  /** Folder of the project, absolute or relative to /workspace. */
  readonly cwd?: string | undefined
  readonly runner?: RunnerName | undefined
  /** A file or folder, relative to `cwd` or absolute. */
  readonly path?: string | undefined
  /** Tests whose name contains this. */
  readonly name?: string | undefined
  /** These tests and suites, by their ids in an earlier report. */
  readonly only?: ReadonlyArray<string> | undefined
  readonly onlyChanged?: boolean | undefined
  readonly args?: ReadonlyArray<string> | undefined
  /** Milliseconds, as `timeoutOf` allows them. */
  readonly timeoutMs: number
}

/**
 * Runs tests to their end as a command of the operation, by `commands`, which is to be `commandsOf(call)` and may have
 * run others before. Tests that fail, or cannot start, are a report with `passed: false`. Fails where there are none
 * that a runner is known for, where the runner is not there, and where the sandbox does.
 */
export const runTests = Effect.fnUntraced(function* (
  call: OwnerCall,
  commands: ReturnType<typeof commandsOf>,
  request: TestRequest,
) {
  const sandbox = yield* call.sandbox
  const folder = absolute(request.cwd ?? ".").replace(/\/(\.\/?)?$/, "")
  const { others, project, runner } = yield* choose(sandbox, folder, request)
  if (request.onlyChanged === true && !runner.knowsChanged)
    return yield* new ChangesUnknown({ runner: runner.name })
  const { only: asked = [] } = request
  const only = fitting(asked)
  const selection: Selection = {
    path: request.path === undefined ? undefined : relative(request.path, folder),
    name: request.name,
    only,
    onlyChanged: request.onlyChanged ?? false,
    args: request.args ?? [],
  }
  const collector = new Collector()
  if (others.length > 0) {
    collector.note(`There are tests for ${others.join(" and ")} too: give \`runner\` to run them.`)
  }
  if (only.length < asked.length) {
    collector.note(
      `Of ${asked.length} tests the first ${only.length} are run: there is no room for more names.`,
    )
  }
  const own = `/tmp/codegen-mcp-tests-${call.operation}`
  const reader = runner.reader(collector, folder)
  const more = reading(sandbox, `${own}/report`, call.limits.output, reader, collector)
  const { args, script: lines } = runner.invocation(selection, project)
  const run = commands.run(
    {
      argv: ["/bin/sh", "-c", `mkdir -p "$1"\n${lines}`, "sh", own, ...args],
      cwd: folder,
      // Python takes a module that it has cached for current where its source was changed within a second, and is as long.
      env: { NO_COLOR: "1", PYTHONDONTWRITEBYTECODE: "1" },
      stdin: "none",
      tty: false,
      timeoutMs: request.timeoutMs,
    },
    [runner.name, selection.path ?? "", selection.name ?? ""].join(" ").trim().slice(0, 200),
  )
  commands.say(`Running ${runner.name} …`)
  const ran = yield* Effect.ensuring(
    Effect.gen(function* () {
      const ran = yield* call.progress === undefined
        ? run
        : Effect.raceFirst(run, counting(more, collector, commands.say))
      yield* more
      reader.end()
      return ran
    }),
    Effect.ignore(script(sandbox, 'rm -rf "$1"', [own])),
  )
  const { note } = standing(ran.command, ran.end, call)
  if (note !== undefined) collector.note(note)
  const output = outputOf(ran)
  if (output.code === 127 && collector.isEmpty)
    return yield* new RunnerMissing({ runner: runner.name, folder, install: runner.install })
  const report = reportOf(runner, collector, ran.end, output, selection.onlyChanged)
  if (report.status === "finished") {
    const { errors, failures, passed } = report
    const suites = errors.flatMap(({ suite }) => suite ?? [])
    yield* remember(
      sandbox,
      passed
        ? undefined
        : {
            runner: runner.name,
            cwd: folder,
            args: selection.args,
            failed: fitting([...suites, ...failures.map(({ id }) => id)]),
            all: suites.length < errors.length,
          },
    )
  }
  return report
})

/** Tells how many tests have ended, as long as it is let. */
const counting = <E>(more: Effect.Effect<void, E>, collector: Collector, say: (message: string) => void) => {
  let told = ""
  return Effect.gen(function* () {
    yield* Effect.sleep(countingTime)
    // Tests may leave no process to spare; what is missing is read at the end.
    yield* Effect.ignore(more)
    const { errors, failed, passed, skipped } = collector.counts
    const of = collector.total === undefined ? "" : ` of ${collector.total}`
    const now = `${passed + failed + errors + skipped}${of} tests, ${failed + errors} failed`
    if (now !== told) say(now)
    told = now
  }).pipe(Effect.forever)
}

const countingTime = "2 seconds"

const outputOf = ({ end, page }: Ran): RunnerOutput => ({
  code: end._tag === "Exited" ? end.code : undefined,
  stdout: Buffer.from(page.stdout.data).toString(),
  stderr: Buffer.from(page.stderr.data).toString(),
})

/** A path that no runner takes for an option. */
const relative = (path: string, folder: string) => {
  const short = path.startsWith(`${folder}/`) ? path.slice(folder.length + 1) : path
  return short.startsWith("-") ? `./${short}` : short
}

/** The runner of the tests is not installed. */
class RunnerMissing extends Schema.TaggedError<RunnerMissing>()("RunnerMissing", {
  runner: RunnerName,
  folder: Schema.String,
  install: Schema.String,
}) {
  override get message() {
    return `The tests need ${this.runner}, which the sandbox does not have for ${this.folder}.`
  }
  get next() {
    return this.install
  }
}

/** The runner cannot tell which tests a change concerns. */
class ChangesUnknown extends Schema.TaggedError<ChangesUnknown>()("ChangesUnknown", { runner: RunnerName }) {
  override get message() {
    return `${this.runner} cannot tell which tests a change concerns.`
  }
  readonly next =
    "Leave `only_changed` out; narrow by `path` or `name`, or repeat what failed with run_failed_tests."
}
