import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { choose } from "../../../src/tools/tests/Runners.ts"
import * as FakeSandbox from "../../support/FakeSandbox.ts"

/** What is chosen for a folder of these files, which stands at /workspace/app. */
const chosen = (files: Readonly<Record<string, string>>, request: Parameters<typeof choose>[2] = {}) => {
  let searches = 0
  const sandbox = FakeSandbox.make({
    files: {
      list: () =>
        Effect.succeed({
          entries: [...new Set(Object.keys(files).map((path) => path.split("/")[0] ?? ""))].map((name) => ({
            path: `app/${name}`,
            kind: "file",
            size: 1,
          })),
          truncated: false,
        }),
      read: (path) => {
        const data = Buffer.from(files[path.slice("/workspace/app/".length)] ?? "")
        return Effect.succeed({ data, size: data.length, mode: 0o644, bytes: data.length })
      },
      glob: () =>
        Effect.sync(() => {
          searches++
          return { paths: Object.keys(files).map((path) => `app/${path}`), truncated: false }
        }),
    },
  })
  return Effect.map(Effect.either(choose(sandbox, "/workspace/app", request)), (found) =>
    found._tag === "Right"
      ? {
          runner: found.right.runner.name,
          others: found.right.others,
          searches,
          project: found.right.project,
        }
      : { problem: found.left.message, searches },
  )
}

const packageOf = (more: object) => ({ "package.json": JSON.stringify(more) })

describe("Runners", () => {
  it.effect("are found by what a project says of itself, without a search", () =>
    Effect.gen(function* () {
      for (const [runner, files] of [
        ["vitest", packageOf({ devDependencies: { vitest: "3" } })],
        ["vitest", { "vitest.config.mts": "" }],
        ["jest", packageOf({ scripts: { test: "jest --coverage" } })],
        ["jest", packageOf({ jest: {} })],
        ["node", packageOf({ scripts: { test: "node --import tsx --test 'src/**/*.test.ts'" } })],
        ["go", { "go.mod": "module a" }],
        ["cargo", { "Cargo.toml": "" }],
        ["pytest", { "pyproject.toml": "[tool.pytest.ini_options]" }],
        ["pytest", { "conftest.py": "" }],
        ["pytest", { "tests.py": "" }],
      ] as const) {
        assert.deepInclude(yield* chosen(files), { runner, searches: 0 }, JSON.stringify(files))
      }
    }),
  )

  it.effect("are found by the names of tests further down, but not of those that are installed", () =>
    Effect.gen(function* () {
      assert.deepInclude(yield* chosen({ "src/a_test.py": "" }), { runner: "pytest", searches: 1 })
      assert.deepInclude(yield* chosen({ "src/a.test.mjs": "" }), { runner: "node", searches: 1 })
      for (const file of ["node_modules/a/a.test.js", ".venv/lib/test_a.py", "src/contest.py", "latest.js"]) {
        assert.include((yield* chosen({ [file]: "" })).problem, "No tests", file)
      }
      assert.include((yield* chosen({ "api/package.json": "{}" })).problem, "app/api/package.json")
    }),
  )

  it.effect("of several are told, and chosen by name or by a file's language", () =>
    Effect.gen(function* () {
      const files = { ...packageOf({ devDependencies: { vitest: "3" } }), "go.mod": "", "test_a.py": "" }
      assert.deepInclude(yield* chosen(files), { runner: "vitest", others: ["go", "pytest"] })
      assert.deepInclude(yield* chosen(files, { path: "a/b_test.go" }), { runner: "go", others: [] })
      assert.deepInclude(yield* chosen(files, { path: "test_a.py" }), { runner: "pytest", others: [] })
      assert.deepInclude(yield* chosen(files, { runner: "unittest" }), { runner: "unittest", others: [] })
    }),
  )

  it.effect("survive a manifest that is none", () =>
    Effect.gen(function* () {
      for (const text of ["{", "[]", '{"scripts": 3}', '{"devDependencies": ["vitest"]}', "null"]) {
        assert.include((yield* chosen({ "package.json": text })).problem, "No tests", text)
      }
    }),
  )

  it.effect(
    "of Node are given what the project's own script gives them, but for reporters and shell lines",
    () =>
      Effect.gen(function* () {
        const select = { path: undefined, name: undefined, only: [], onlyChanged: false, args: ["--x"] }
        const args = Effect.fnUntraced(function* (test: string) {
          const { project } = yield* chosen(packageOf({ scripts: { test } }), { runner: "node" })
          const { nodeTest } = yield* Effect.promise(
            () => import("../../../src/tools/tests/runners/NodeTest.ts"),
          )
          return nodeTest.invocation(select, project!).args.slice(2)
        })
        assert.deepStrictEqual(
          yield* args(
            "node --import tsx --test --test-reporter spec --no-warnings 'src/**/*.ts' --test-concurrency=1",
          ),
          ["--x", "--import", "tsx", "--no-warnings", "--test-concurrency=1", "src/**/*.ts"],
        )
        assert.deepStrictEqual(yield* args("tsc && node --test"), ["--x"])
        assert.deepStrictEqual(yield* args("node --test $(cat list)"), ["--x"])
      }),
  )
})
