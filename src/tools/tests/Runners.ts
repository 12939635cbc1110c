/** All runners, in the order in which a project is asked for them, and which one is a project's. */
import { Effect, Schema } from "effect"
import type { Sandbox } from "../../sandbox/Sandbox.ts"
import { look, type TestedProject, searched } from "./TestedProject.ts"
import type { Runner } from "./Runner.ts"
import { cargoTest } from "./runners/CargoTest.ts"
import { goTest } from "./runners/GoTest.ts"
import { jest } from "./runners/Jest.ts"
import { nodeTest } from "./runners/NodeTest.ts"
import { pytest } from "./runners/Pytest.ts"
import { unittest } from "./runners/Unittest.ts"
import { vitest } from "./runners/Vitest.ts"
import { RunnerName } from "./TestReport.ts"

const runners: ReadonlyArray<Runner> = [vitest, jest, nodeTest, goTest, cargoTest, pytest, unittest]

/** What runs a folder's tests: as it is named, or as the folder looks. `others` are runners that it has tests for too. */
export const choose = Effect.fnUntraced(function* (
  sandbox: Sandbox,
  folder: string,
  { path, runner: name }: { readonly path?: string | undefined; readonly runner?: RunnerName | undefined },
) {
  const known = yield* look(sandbox, folder)
  const named = runners.find((runner) => runner.name === name)
  if (named !== undefined) return { runner: named, project: known, others: [] }
  const usedIn = (project: TestedProject) =>
    runners.filter((runner) => runner.isUsedIn(project) && (path === undefined || fits(runner, path)))
  const marked = usedIn(known)
  const project = marked.length > 0 ? known : yield* searched(sandbox, folder, known)
  const [runner, ...others] = marked.length > 0 ? marked : usedIn(project)
  if (runner !== undefined) return { runner, project, others: others.map(({ name }) => name) }
  return yield* new NoTests({ folder, below: project.paths.filter(isManifest).slice(0, 5) })
})

/** A file's name tells the language of its tests. */
const fits = ({ name }: Runner, path: string) => {
  const languages = { py: ["pytest", "unittest"], go: ["go"], rs: ["cargo"] } as const
  const ending = /\.(\w+)$/.exec(path)?.[1] ?? ""
  const names: ReadonlyArray<RunnerName> | undefined =
    ending in languages
      ? languages[ending as keyof typeof languages]
      : /^[cm]?[jt]sx?$/.test(ending)
        ? ["vitest", "jest", "node"]
        : undefined
  return names === undefined || names.includes(name)
}

const isManifest = (path: string) => /(^|\/)(package\.json|pyproject\.toml|go\.mod|Cargo\.toml)$/.test(path)

/** Nothing in a folder looks like tests that we know how to run. */
class NoTests extends Schema.TaggedError<NoTests>()("NoTests", {
  folder: Schema.String,
  /** Manifests of projects further down. */
  below: Schema.Array(Schema.String),
}) {
  override get message() {
    const below = this.below.length === 0 ? "" : ` There are projects further down: ${this.below.join(", ")}.`
    return `No tests of a known runner were found in ${this.folder}.${below}`
  }
  readonly next = `Name the project's folder as \`cwd\`, or give \`runner\`: ${RunnerName.literals.join(", ")}.`
}
