/** What the files of a project say of the checkers that it uses, and which programs are there. */
import { Effect, Option, Schema } from "effect"
import type { Sandbox } from "../../sandbox/Sandbox.ts"
import { script } from "../commands/SandboxScript.ts"
import type { Language } from "./Checker.ts"

export interface CheckedProject {
  /** Absolute. */
  readonly folder: string
  /** A file of this name stands in the project's folder. */
  readonly has: (...names: ReadonlyArray<string>) => boolean
  /** A table of this name stands in `pyproject.toml`, or in a file that is written as `setup.cfg` is. */
  readonly hasTable: (name: string) => boolean
  /** What it is made with names this package. */
  readonly needs: (language: "Python" | "JavaScript", dependency: string) => boolean
  /** A field of `package.json`. */
  readonly field: (name: string) => unknown
  readonly languages: ReadonlySet<Language>
  /** Absolute paths of those programs that are there. */
  readonly programs: ReadonlyMap<string, string>
}

/** Looks at a project. Its files say what they will: what cannot be read counts as not there. */
export const lookAt = Effect.fn("checks.lookAt")(function* (
  sandbox: Sandbox,
  folder: string,
  programs: ReadonlyArray<string>,
) {
  const { entries } = yield* sandbox.files.list(folder, 1, maxEntries)
  const names = new Set(entries.map(({ path }) => path.slice(path.lastIndexOf("/") + 1)))
  const textOf = (name: string) =>
    names.has(name)
      ? sandbox.files.read(`${folder}/${name}`, 0, maxManifest).pipe(
          Effect.map(({ data }) => Buffer.from(data).toString()),
          Effect.catchTag("FileError", () => Effect.succeed("")),
        )
      : Effect.succeed("")
  const packageJson = Option.getOrElse(decodePackage(yield* textOf("package.json")), () =>
    recordOf(undefined),
  )
  const python = yield* Effect.forEach([...requirements, "pyproject.toml"], textOf)
  const tables = yield* Effect.forEach(["pyproject.toml", "setup.cfg", "tox.ini"], textOf)
  const isPython =
    ["pyproject.toml", "setup.py", "setup.cfg", ...requirements].some((name) => names.has(name)) ||
    (yield* sandbox.files.glob(folder, "*.py", 1)).paths.length > 0

  const dependencies = new Set(dependencyFields.flatMap((field) => Object.keys(recordOf(packageJson[field]))))
  const project: CheckedProject = {
    folder,
    has: (...wanted) => wanted.some((name) => names.has(name)),
    hasTable: (name) => tables.some((text) => text.split("\n").some((line) => isTable(line, name))),
    needs: (language, dependency) =>
      language === "JavaScript"
        ? dependencies.has(dependency)
        : python.some((text) => new RegExp(`(^|["'\\s])${dependency}([\\s"'=<>~!;\\[]|$)`, "m").test(text)),
    field: (name) => packageJson[name],
    languages: new Set<Language>([
      ...(isPython ? (["Python"] as const) : []),
      ...(names.has("package.json") ? (["JavaScript"] as const) : []),
      ...(names.has("go.mod") ? (["Go"] as const) : []),
      ...(names.has("Cargo.toml") ? (["Rust"] as const) : []),
    ]),
    programs: yield* findPrograms(sandbox, folder, programs),
  }
  return project
})

/** Programs of the project come first, then those of the workspace around it, then those on the PATH. */
const findPrograms = Effect.fnUntraced(function* (
  sandbox: Sandbox,
  folder: string,
  programs: ReadonlyArray<string>,
) {
  const found = yield* script(sandbox, look, [folder, ...new Set(programs)]).pipe(
    Effect.map((stdout) => Buffer.from(stdout).toString().split("\n")),
    // An image without a shell has no programs to find either.
    Effect.catchTag("CommandNotStarted", () => Effect.succeed([])),
  )
  return new Map(
    found.flatMap((line) => {
      const [name, path] = line.split("\t")
      return name !== undefined && programs.includes(name) && path?.startsWith("/") ? [[name, path]] : []
    }),
  )
})

const look = `cd "$1" && shift || exit
for name; do
  for place in "$PWD/node_modules/.bin" "$PWD/.venv/bin" "$PWD/venv/bin" /workspace/node_modules/.bin /workspace/.venv/bin "$HOME/.local/bin"; do
    if [ -x "$place/$name" ]; then printf '%s\\t%s\\n' "$name" "$place/$name"; continue 2; fi
  done
  path=$(command -v "$name") && printf '%s\\t%s\\n' "$name" "$path"
done`

const isTable = (line: string, name: string) => {
  const text = line.trim()
  if (!text.startsWith("[")) return false
  const table = text
    .slice(text.lastIndexOf("[") + 1)
    .split("]", 1)[0]!
    .trim()
  return table === name || table.startsWith(`${name}.`)
}

const recordOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {}

const decodePackage: (text: string) => Option.Option<Readonly<Record<string, unknown>>> =
  Schema.decodeUnknownOption(Schema.parseJson(Schema.Record({ key: Schema.String, value: Schema.Unknown })))

const requirements = ["requirements.txt", "requirements-dev.txt", "dev-requirements.txt"]
const dependencyFields = ["dependencies", "devDependencies", "optionalDependencies", "peerDependencies"]

/** Bytes of a file that says what a project is made with, and entries of its folder that are looked at. */
const maxManifest = 256 * 1024
const maxEntries = 2000
