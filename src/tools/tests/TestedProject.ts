/** What a folder shows of the tests in it, as far as it takes to choose a runner. */
import { Effect, Option, Schema } from "effect"
import type { Sandbox } from "../../sandbox/Sandbox.ts"

export interface TestedProject {
  /** Names of what is in the folder itself. */
  readonly names: ReadonlySet<string>
  /** Files below it that look like tests, or like the root of a project; not all, and none before `searched`. */
  readonly paths: ReadonlyArray<string>
  /** Texts of the files that settings of runners stand in, from their beginning; empty where there is none. */
  readonly texts: Readonly<Record<(typeof textFiles)[number], string>>
  readonly packageJson: typeof PackageJson.Type
}

/** Looks at a folder of the workspace, by its absolute path. */
export const look = Effect.fnUntraced(function* ({ files }: Sandbox, folder: string) {
  const { entries } = yield* files.list(folder, 1, maxNames)
  const names = new Set(entries.map(({ path }) => path.split("/").at(-1) ?? ""))
  const textOf = (name: string) =>
    files.read(`${folder}/${name}`, 0, maxText).pipe(
      Effect.map(({ data }) => Buffer.from(data).toString()),
      Effect.catchTag("FileError", () => Effect.succeed("")),
    )
  const texts = yield* Effect.forEach(textFiles, (name) =>
    Effect.map(names.has(name) ? textOf(name) : Effect.succeed(""), (text) => [name, text] as const),
  )
  const contents = Object.fromEntries(texts) as TestedProject["texts"]
  return {
    names,
    paths: [],
    texts: contents,
    packageJson: Option.getOrElse(decodePackage(contents["package.json"]), () => ({})),
  } satisfies TestedProject
})

/** The same after a search of all that is below the folder, which takes longer. */
export const searched = ({ files }: Sandbox, folder: string, project: TestedProject) =>
  Effect.map(files.glob(folder, marks, maxPaths), ({ paths }): TestedProject => ({
    ...project,
    paths: paths.filter((path) => !/(^|\/)(node_modules|\.venv|venv)\//.test(path)),
  }))

const Dependencies = Schema.optional(Schema.Record({ key: Schema.String, value: Schema.Unknown }))

const PackageJson = Schema.Struct({
  scripts: Dependencies,
  dependencies: Dependencies,
  devDependencies: Dependencies,
  jest: Schema.optional(Schema.Unknown),
})
const decodePackage = Schema.decodeUnknownOption(Schema.parseJson(PackageJson))

/** Whether the manifest of a Node project names a package. */
export const needs = ({ packageJson: { dependencies, devDependencies } }: TestedProject, name: string) =>
  dependencies?.[name] !== undefined || devDependencies?.[name] !== undefined

/** What `npm test` would run. */
export const testScript = ({ packageJson }: TestedProject) => {
  const script = packageJson.scripts?.["test"]
  return typeof script === "string" ? script : ""
}

const textFiles = ["package.json", "pyproject.toml", "setup.cfg", "tox.ini"] as const

export const isPythonTest = (path: string) => /(^|\/)(test[^/]*|[^/]*_test)\.py$/.test(path)
export const isScriptTest = (path: string) => /(^|\/)([^/]+[._-]test|test-[^/]*|test)\.[cm]?[jt]s$/.test(path)

const marks =
  "{test*.py,*_test.py,*test.js,*test.mjs,*test.cjs,*test.ts,*test.mts,*test.cts,test-*.js,test-*.mjs,test-*.cjs," +
  "package.json,pyproject.toml,go.mod,Cargo.toml}"
const maxNames = 5000
const maxPaths = 500
const maxText = 256 * 1024
