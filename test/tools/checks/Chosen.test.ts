import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { failureOf } from "../../../src/domain/Failure.ts"
import { FileError } from "../../../src/domain/SandboxError.ts"
import { CommandId } from "../../../src/domain/Command.ts"
import type { Kind } from "../../../src/tools/checks/Checker.ts"
import { chosenFor, neededFor, programsOf } from "../../../src/tools/checks/Checkers.ts"
import { installLine } from "../../../src/tools/checks/Install.ts"
import { lookAt } from "../../../src/tools/checks/CheckedProject.ts"
import * as FakeSandbox from "../../support/FakeSandbox.ts"

const kinds: ReadonlyArray<Kind> = ["lint", "types", "format"]

/** A project of these files, in a sandbox that has these programs. */
const projectOf = (files: Readonly<Record<string, string>>, installed: ReadonlyArray<string> = []) => {
  const stdout = installed.map((name) => `${name}\t/bin/${name}\n`).join("")
  const sandbox = FakeSandbox.make({
    start: () => Effect.succeed(CommandId.make("1")),
    read: () =>
      Effect.succeed({
        stdout: { data: Buffer.from(`${stdout}evil\t/bin/evil\nruff\trelative\n`), skipped: 0, skippedAt: 0 },
        stderr: { data: new Uint8Array(), skipped: 0, skippedAt: 0 },
        next: { stdout: 0, stderr: 0 },
        end: { _tag: "Exited", code: 0, durationMs: 1, limits: [], spilled: {} },
      }),
    files: {
      list: () =>
        Effect.succeed({
          entries: Object.keys(files).map((path) => ({ path: `p/${path}`, kind: "file" as const, size: 1 })),
          truncated: false,
        }),
      read: (path) => {
        const text = files[path.slice("/workspace/p/".length)]
        if (text === undefined || text === "(no file)") {
          return Effect.fail(new FileError({ path, reason: "not_a_file" }))
        }
        return Effect.succeed({ data: Buffer.from(text), size: 1, mode: 0o644, bytes: 1 })
      },
      glob: () =>
        Effect.succeed({
          paths: Object.keys(files).filter((path) => path.endsWith(".py")),
          truncated: false,
        }),
    },
  })
  return lookAt(sandbox, "/workspace/p", programsOf(kinds))
}

const namesOf = (...args: Parameters<typeof projectOf>) =>
  Effect.map(projectOf(...args), (project) =>
    kinds.flatMap((kind) => chosenFor(project, kind).map(({ name }) => name)),
  )

describe("Checkers of a project", () => {
  const cases: ReadonlyArray<
    readonly [
      what: string,
      files: Readonly<Record<string, string>>,
      installed: ReadonlyArray<string>,
      chosen: ReadonlyArray<string>,
    ]
  > = [
    [
      "are those that its settings name",
      { "pyproject.toml": "[tool.ruff.lint]\n[tool.mypy]" },
      [],
      ["ruff", "mypy", "ruff format"],
    ],
    [
      "leave a project's format to black",
      { "pyproject.toml": "[tool.ruff]\n[tool.black]" },
      [],
      ["ruff", "black"],
    ],
    [
      "are those that it depends on",
      { "requirements-dev.txt": "flake8>=7\nmypy\nruffian\n" },
      [],
      ["flake8", "mypy"],
    ],
    [
      "may be several of one kind",
      { "package.json": '{"devDependencies":{"oxlint":"1"}}', "eslint.config.js": "", "biome.json": "{}" },
      [],
      ["eslint", "biome", "oxlint", "biome format"],
    ],
    [
      "are found in package.json itself",
      { "package.json": '{"prettier":{},"eslintConfig":{}}' },
      [],
      ["eslint", "prettier"],
    ],
    ["are tsc where there is a tsconfig.json", { "tsconfig.json": "{}" }, ["tsc"], ["tsc"]],
    ["are Go's own", { "go.mod": "" }, [], ["go vet", "go build", "gofmt"]],
    ["are Rust's own", { "Cargo.toml": "" }, [], ["clippy", "cargo check", "rustfmt"]],
    [
      "are the first that is installed, where it asks for none",
      { "a.py": "" },
      ["black", "flake8", "pyright"],
      ["flake8", "pyright", "black"],
    ],
    ["are none that need settings, where it has none", { "package.json": "{}" }, ["eslint", "tsc"], []],
    ["are none of a language that it is not in", { "notes.txt": "" }, ["ruff", "oxlint", "go"], []],
    [
      "are of each language that it is in",
      { "package.json": "{}", "setup.py": "" },
      ["ruff", "oxlint", "prettier"],
      ["ruff", "oxlint", "ruff format", "prettier"],
    ],
    [
      "do not depend on settings that cannot be read",
      { "package.json": '{"prettier":', "pyproject.toml": "(no file)", "setup.cfg": "[flake8" },
      [],
      ["flake8"],
    ],
    [
      "are not taken from what every object inherits",
      { "package.json": '{"devDependencies":{"__proto__":{"oxlint":"1"}},"dependencies":"biome"}' },
      [],
      [],
    ],
  ]
  for (const [what, files, installed, chosen] of cases) {
    it.effect(what, () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* namesOf(files, installed), chosen)
      }),
    )
  }

  it.effect("are run by the programs that were asked for, by absolute paths", () =>
    Effect.gen(function* () {
      const { programs } = yield* projectOf({ "a.py": "" }, ["mypy"])
      assert.deepStrictEqual([...programs], [["mypy", "/bin/mypy"]])
    }),
  )

  it.effect("that are missing are named with what to install", () =>
    Effect.gen(function* () {
      const asks = yield* projectOf({
        "package.json": '{"devDependencies":{"oxlint":"1","@biomejs/biome":"2"}}',
      })
      const missing = failureOf(yield* Effect.flip(neededFor(asks, "lint")))
      assert.strictEqual(missing.code, "checker_not_installed")
      assert.include(missing.message, "asks for biome and oxlint")
      assert.include(missing.next, "the npm package @biomejs/biome and the npm package oxlint")
      const plain = failureOf(yield* Effect.flip(neededFor(yield* projectOf({ "a.py": "" }), "types")))
      assert.strictEqual(plain.code, "no_checker")
      assert.include(plain.message, "asks for no type checker")
      assert.include(plain.next, "the pip package mypy or the npm package pyright")
    }),
  )

  it.effect("come after what the project's manifests install", () =>
    Effect.gen(function* () {
      const lineOf = (files: Readonly<Record<string, string>>) => Effect.map(projectOf(files), installLine)
      assert.isUndefined(yield* lineOf({ "package.json": "{}", "pyproject.toml": "" }))
      assert.match((yield* lineOf({ "package-lock.json": "{}" })) ?? "", /^npm ci/)
      assert.match(
        (yield* lineOf({ "package-lock.json": "{}", "requirements.txt": "" })) ?? "",
        /^npm ci .* && .*\.venv\/bin\/pip install -r requirements\.txt$/,
      )
    }),
  )
})
