/** All runners, in the order in which a project is asked for them, and which one is a project's. */
import { Effect, Schema } from "effect"
import type { Sandbox } from "../../sandbox/Sandbox.ts"
import { look, searched } from "./Project.ts"
import type { Runner } from "./Runner.ts"
import { pytest } from "./runners/Pytest.ts"
import { RunnerName } from "./TestReport.ts"

const runners: ReadonlyArray<Runner> = [pytest]

export const runnerOf = (name: RunnerName) => runners.find((runner) => runner.name === name) ?? pytest

/** The runner of a folder's tests, and the names of others that it has tests for. */
export const choose = Effect.fnUntraced(function* (
  sandbox: Sandbox,
  folder: string,
  path: string | undefined,
) {
  const usedIn = (project: Parameters<Runner["isUsedIn"]>[0]) =>
    runners.filter((runner) => runner.isUsedIn(project))
  const known = yield* look(sandbox, folder)
  const marked = usedIn(known)
  const used = marked.length > 0 ? marked : usedIn(yield* searched(sandbox, folder, known))
  const [runner] = used
  if (runner === undefined) return yield* new NoTests({ folder, path })
  return { runner, others: used.slice(1).map(({ name }) => name) }
})

/** Nothing in a folder looks like tests that we know how to run. */
export class NoTests extends Schema.TaggedError<NoTests>()("NoTests", {
  folder: Schema.String,
  path: Schema.UndefinedOr(Schema.String),
}) {
  override get message() {
    return `No tests of a known runner were found in ${this.folder}.`
  }
  readonly next = `Name the project's folder as \`cwd\`, or give \`runner\`: ${RunnerName.literals.join(", ")}.`
}
