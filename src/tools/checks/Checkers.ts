/** The checkers that there are, and which of them a project is checked by. */
import { Effect, Schema } from "effect"
import { type Checker, type Kind, languages } from "./Checker.ts"
import { biome, biomeFormat } from "./checkers/Biome.ts"
import { black } from "./checkers/Black.ts"
import { cargoCheck, clippy, rustfmt } from "./checkers/Cargo.ts"
import { eslint } from "./checkers/Eslint.ts"
import { flake8 } from "./checkers/Flake8.ts"
import { goBuild, gofmt, goVet } from "./checkers/Go.ts"
import { mypy } from "./checkers/Mypy.ts"
import { oxlint } from "./checkers/Oxlint.ts"
import { prettier } from "./checkers/Prettier.ts"
import { pyright } from "./checkers/Pyright.ts"
import { ruff, ruffFormat } from "./checkers/Ruff.ts"
import { tsc } from "./checkers/Tsc.ts"
import type { CheckedProject } from "./CheckedProject.ts"

/** In order of preference, where a project asks for none and several are installed. */
export const checkers: ReadonlyArray<Checker> = [
  ruff,
  flake8,
  eslint,
  biome,
  oxlint,
  goVet,
  clippy,
  mypy,
  pyright,
  tsc,
  goBuild,
  cargoCheck,
  ruffFormat,
  black,
  biomeFormat,
  prettier,
  gofmt,
  rustfmt,
]

/**
 * Those that the project asks for. Of a language in which it asks for none, the first one that is installed and needs
 * no asking.
 */
export const chosenFor = (project: CheckedProject, kind: Kind): ReadonlyArray<Checker> => {
  const all = checkers.filter((checker) => checker.kind === kind)
  return languages.flatMap((language) => {
    const those = all.filter((checker) => checker.language === language)
    const asked = those.filter((checker) => checker.isAskedFor(project))
    if (asked.length > 0 || !project.languages.has(language)) return asked
    return those.filter(({ isCommon, program }) => isCommon && project.programs.has(program)).slice(0, 1)
  })
}

/** As `chosenFor`, for a caller who wants to have something checked. */
export const neededFor = (
  project: CheckedProject,
  kind: Kind,
): Effect.Effect<ReadonlyArray<Checker>, NoChecker> => {
  const chosen = chosenFor(project, kind)
  if (chosen.some(({ program }) => project.programs.has(program))) return Effect.succeed(chosen)
  const missing = chosen.length > 0
  const useful = missing
    ? chosen
    : checkers.filter(
        (checker) => checker.kind === kind && checker.isCommon && project.languages.has(checker.language),
      )
  return Effect.fail(
    new NoChecker({
      kind,
      folder: project.folder,
      missing: chosen.map(({ name }) => name),
      languages: [...project.languages],
      install: useful.map(({ install }) => install),
    }),
  )
}

/** There is nothing that could check. */
class NoChecker extends Schema.TaggedError<NoChecker>()("NoChecker", {
  kind: Schema.Literal("lint", "types", "format"),
  folder: Schema.String,
  /** What the project asks for. */
  missing: Schema.Array(Schema.String),
  languages: Schema.Array(Schema.String),
  install: Schema.Array(Schema.String),
}) {
  get code() {
    return this.missing.length > 0 ? "checker_not_installed" : "no_checker"
  }
  override get message() {
    if (this.missing.length > 0) {
      return `The project in ${this.folder} asks for ${this.missing.join(" and ")}, which is not installed: neither in node_modules/.bin, .venv/bin nor on the PATH.`
    }
    return this.languages.length === 0
      ? `In ${this.folder} stands no project that can be checked: there is no pyproject.toml, package.json, go.mod or Cargo.toml, and no Python file.`
      : `The ${this.languages.join(" and ")} project in ${this.folder} asks for no ${names[this.kind]}, and none that goes without settings is installed.`
  }
  get next() {
    return this.install.length === 0
      ? "Name the project's folder in `cwd`."
      : `Install ${this.install.join(this.missing.length > 0 ? " and " : " or ")}, then call again.`
  }
}

const names = { lint: "linter", types: "type checker", format: "formatter" }

export const programsOf = (kinds: ReadonlyArray<Kind>) =>
  checkers.filter(({ kind }) => kinds.includes(kind)).map(({ program }) => program)
