/** Checkers of this repository, and pytest of the default image, on small projects with known faults. */
import { assert, layer } from "@effect/vitest"
import { Context, Effect, Layer, Stream } from "effect"
import { execFileSync } from "node:child_process"
import { join } from "node:path"
import { failureOf } from "../../../src/domain/Failure.ts"
import { ObjectId } from "../../../src/domain/Identity.ts"
import type { Sandbox } from "../../../src/sandbox/Sandbox.ts"
import { format } from "../../../src/tools/checks/Format.ts"
import { lint } from "../../../src/tools/checks/Lint.ts"
import { runChecks } from "../../../src/tools/checks/RunChecks.ts"
import { typecheck } from "../../../src/tools/checks/Typecheck.ts"
import type { StoredObject } from "../../../src/workspace/ObjectRows.ts"
import type { Objects } from "../../../src/workspace/Objects.ts"
import * as FakeSandbox from "../../support/FakeSandbox.ts"
import { output, SharedSandbox } from "../../support/SharedSandbox.ts"

const root = join(import.meta.dirname, "../../..")

/** The packages, as a gzipped archive. */
const archive = () =>
  execFileSync(
    "tar",
    [
      "--create",
      "--use-compress-program=gzip -1",
      "--exclude=typescript/lib/typescript.js",
      "--exclude=typescript/lib/??",
      "--exclude=typescript/lib/??-??",
      "node_modules/oxlint",
      "node_modules/@oxlint",
      "node_modules/prettier",
      "node_modules/typescript",
    ],
    { cwd: root, maxBuffer: 100_000_000 },
  )

class Checked extends Context.Tag("codegen-mcp/test/Checked")<Checked, Sandbox>() {
  /** With oxlint, prettier and tsc in /workspace/node_modules, as npm would put them there. */
  static readonly layer = Layer.effect(
    Checked,
    Effect.gen(function* () {
      const sandbox = yield* SharedSandbox
      yield* sandbox.files.write("/workspace/tools.tar.gz", archive())
      yield* output(
        sandbox,
        `tar xzf tools.tar.gz && rm tools.tar.gz && mkdir node_modules/.bin && cd node_modules/.bin &&
          ln -s ../oxlint/bin/oxlint ../typescript/bin/tsc . && ln -s ../prettier/bin/prettier.cjs prettier`,
      )
      return sandbox
    }),
  ).pipe(
    Layer.provide(
      SharedSandbox.layerOf({
        SANDBOX_WORKSPACE: String(192 * 1024 * 1024),
        SANDBOX_MEMORY: String(512 * 1024 * 1024),
      }),
    ),
  )
}

const write = (sandbox: Sandbox, folder: string, files: Readonly<Record<string, string>>) =>
  Effect.forEach(
    Object.entries(files),
    ([path, text]) => sandbox.files.write(`/workspace/${folder}/${path}`, Buffer.from(text)),
    { discard: true },
  )

/** Artifacts that are kept nowhere but here, the newest first. */
const kept: Array<{ readonly object: StoredObject; readonly content: string }> = []
const objects: Objects["Type"] = {
  ...FakeSandbox.noObjects,
  save: (asked, source) =>
    Effect.map(Stream.runCollect(source), (pieces) => {
      const { epoch: _, ...given } = asked
      const content = Buffer.concat([...pieces]).toString()
      const id = ObjectId.make(`a_${String(kept.length).padStart(32, "0")}`)
      const facts = { size: content.length, sha256: "", createdAt: 0, expiresAt: null, isSessionOpen: true }
      const object = { ...given, ...facts, id }
      kept.unshift({ object, content })
      return object
    }),
  list: () => Effect.succeed(kept.map(({ object }) => object)),
}

const callOf = (sandbox: Sandbox) => ({ ...FakeSandbox.call(Effect.succeed(sandbox)), objects })

const places = ({
  findings,
}: {
  readonly findings: ReadonlyArray<{
    readonly file?: string | undefined
    readonly line?: number | undefined
    readonly rule?: string | undefined
  }>
}) => findings.map(({ file, line, rule }) => [file, line, rule])

const javascript = {
  "package.json": `${JSON.stringify({ type: "module", devDependencies: { oxlint: "*", prettier: "*" } }, null, 2)}\n`,
  "tsconfig.json": '{ "compilerOptions": { "types": [], "lib": ["ES5"] }, "include": ["src"] }\n',
  "src/total.ts":
    "export const total = (prices: number[]): string => {\n  debugger;\n  return prices.reduce((a, b) => a + b, 0);\n};\n",
  "src/form.ts": "export const form   = 'x'\n",
}

layer(Checked.layer, { excludeTestServices: true })("Checks", (it) => {
  it.effect("name exactly the known faults of a project, by the checkers that it asks for", () =>
    Effect.gen(function* () {
      const sandbox = yield* Checked
      yield* write(sandbox, "js", javascript)
      const linted = yield* lint.handler({ cwd: "js" }, callOf(sandbox))
      assert.deepStrictEqual(places(linted), [["js/src/total.ts", 2, "eslint(no-debugger)"]])
      assert.deepStrictEqual(
        linted.checkers.map(({ checker, exit_code, status }) => [checker, status, exit_code]),
        [["oxlint", "passed", 0]],
      )
      assert.isTrue(linted.passed)
      assert.strictEqual(linted.verdict, "PASSED: oxlint passed (1 warning)")

      const typed = yield* typecheck.handler({ cwd: "/workspace/js/" }, callOf(sandbox))
      assert.deepStrictEqual(places(typed), [["js/src/total.ts", 3, "TS2322"]])
      assert.isFalse(typed.passed)
      assert.strictEqual(typed.verdict, "FAILED: tsc failed (1 error)")

      const unformatted = yield* format.handler({ cwd: "js" }, callOf(sandbox))
      assert.deepStrictEqual(places(unformatted), [["js/src/form.ts", undefined, "format"]])
      assert.deepStrictEqual([unformatted.passed, unformatted.formatted], [false, []])
      const formatted = yield* format.handler({ cwd: "js", write: true }, callOf(sandbox))
      assert.deepStrictEqual([formatted.passed, formatted.formatted], [true, ["js/src/form.ts"]])
      assert.strictEqual(yield* output(sandbox, "cat js/src/form.ts"), 'export const form = "x";\n')
    }),
  )

  it.effect("run one after another, and on where the caller wants that, with what each of them found", () =>
    Effect.gen(function* () {
      const sandbox = yield* Checked
      yield* write(sandbox, "all", {
        ...javascript,
        "src/form.ts": "export const form = 1;\n",
        "test_sum.py": "def test_sum():\n    assert 1 + 1 == 3\n",
      })
      const told: Array<string> = []
      const call = { ...callOf(sandbox), progress: ({ message = "" }) => void told.push(message) }
      const all = yield* runChecks.handler({ cwd: "all", keep_going: true }, call)
      assert.includeMembers(told, ["[1/4] format\n", "[3/4] types\n"])
      assert.deepStrictEqual(
        all.steps.map(({ name, status }) => [name, status]),
        [
          ["format", "passed"],
          ["lint", "passed"],
          ["types", "failed"],
          ["tests", "failed"],
        ],
      )
      assert.strictEqual(all.verdict, "FAILED at types: format, lint passed; types, tests failed")
      const [, linted, typed, tested] = all.steps
      assert.deepStrictEqual(places(linted!.checks!), [["all/src/total.ts", 2, "eslint(no-debugger)"]])
      assert.deepStrictEqual(places(typed!.checks!), [["all/src/total.ts", 3, "TS2322"]])
      assert.deepInclude(tested?.tests?.counts, { passed: 0, failed: 1 })
      assert.strictEqual(tested?.tests?.failures[0]?.id, "test_sum.py::test_sum")
      assert.deepStrictEqual([all.passed, all.status, all.from], [false, "finished", "project"])
      const [report] = kept
      assert.deepStrictEqual(all.report_artifact, report?.object.id)
      assert.deepStrictEqual(
        [report?.object.name, report?.object.mime],
        ["checks.json", "application/vnd.codegen-mcp.checks+json"],
      )
      const { steps } = JSON.parse(report?.content ?? "") as { readonly steps: typeof all.steps }
      assert.deepStrictEqual(
        steps.map(({ name, status }) => [name, status]),
        all.steps.map(({ name, status }) => [name, status]),
      )
    }),
  )

  it.effect(
    "run the steps that .codegen.yml names up to the first that fails, with what their commands wrote",
    () =>
      Effect.gen(function* () {
        const sandbox = yield* Checked
        yield* write(sandbox, "own", {
          ".codegen.yml":
            "steps:\n  - name: build\n    command: echo made > out.txt && echo done\n    cwd: sub\n" +
            "  - name: broken\n    command: echo why >&2; exit 3\n  - name: never\n    command: touch never\n",
          "sub/x.txt": "",
        })
        const answer = yield* runChecks.handler({ cwd: "own" }, callOf(sandbox))
        assert.deepStrictEqual(
          answer.steps.map(({ name, status, exit_code, output, reason }) => [
            name,
            status,
            exit_code,
            output ?? reason,
          ]),
          [
            ["build", "passed", 0, undefined],
            ["broken", "failed", 3, "why"],
            ["never", "skipped", undefined, "broken failed"],
          ],
        )
        assert.strictEqual(answer.from, ".codegen.yml")
        assert.strictEqual(yield* output(sandbox, "cat own/sub/out.txt; ls own"), "made\nsub\n")

        yield* write(sandbox, "slow", {
          ".codegen.yml": "steps: [{name: slow, command: sleep 60}, {name: lint}]",
        })
        const late = yield* runChecks.handler({ cwd: "slow", timeout_ms: 500 }, callOf(sandbox))
        assert.deepStrictEqual(
          [late.status, late.passed, runChecks.stateOf?.(late), ...late.steps.map(({ status }) => status)],
          ["timed_out", false, "timed_out", "timed_out", "skipped"],
        )
      }),
  )

  it.effect("answer shortly, and say what is cut, where a checker of the workspace writes without end", () =>
    Effect.gen(function* () {
      const sandbox = yield* Checked
      yield* write(sandbox, "hostile", {
        "package.json": "{}",
        "node_modules/.bin/oxlint": [
          "#!/usr/bin/python3",
          "import json",
          "text = (chr(34) + chr(92) + chr(7)) * 80",
          "name = 'a/' + chr(10) + chr(27) + '[31mb.js'",
          "one = {'message': text, 'severity': 'error', 'filename': name, 'labels': []}",
          "print(json.dumps({'diagnostics': [one] * 40000}))",
          "raise SystemExit(1)",
        ].join("\n"),
      })
      yield* output(
        sandbox,
        "chmod +x hostile/node_modules/.bin/oxlint; hostile/node_modules/.bin/oxlint | wc -c",
      )
      const answer = yield* lint.handler({ cwd: "hostile" }, callOf(sandbox))
      assert.isBelow(JSON.stringify(answer).length, 36_000)
      assert.isFalse(answer.passed)
      assert.isAbove(answer.errors, 500)
      assert.strictEqual(answer.findings[0]?.message, '"\\'.repeat(80))
      assert.strictEqual(answer.findings[0]?.file, "hostile/a/\nb.js")
      assert.strictEqual(answer.omitted, answer.errors - answer.findings.length)
      assert.match(answer.note ?? "", /bytes more than are kept \(OUTPUT_LIMIT\)/)
    }),
  )

  it.effect("say what to install where there is nothing to check with", () =>
    Effect.gen(function* () {
      const sandbox = yield* Checked
      yield* write(sandbox, "asks", { "pyproject.toml": "[tool.ruff]\nline-length = 99\n", "a.py": "" })
      const missing = failureOf(yield* Effect.flip(lint.handler({ cwd: "asks" }, callOf(sandbox))))
      assert.strictEqual(missing.code, "checker_not_installed")
      assert.match(missing.message, /asks for ruff, which is not installed/)
      assert.match(missing.next, /^Install the pip package ruff,/)
      yield* write(sandbox, "empty", { "notes.txt": "" })
      const none = failureOf(yield* Effect.flip(lint.handler({ cwd: "empty" }, callOf(sandbox))))
      assert.deepStrictEqual([none.code, none.next], ["no_checker", "Name the project's folder in `cwd`."])
      const nothing = failureOf(yield* Effect.flip(runChecks.handler({ cwd: "empty" }, callOf(sandbox))))
      assert.strictEqual(nothing.code, "no_checks")
      const absent = failureOf(yield* Effect.flip(typecheck.handler({ cwd: "absent" }, callOf(sandbox))))
      assert.strictEqual(absent.code, "not_found")
    }),
  )
})
