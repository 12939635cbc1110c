import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { FileError } from "../../../src/domain/SandboxError.ts"
import { failureOf } from "../../../src/domain/Failure.ts"
import { parse, readFile } from "../../../src/tools/checks/CodegenFile.ts"
import * as FakeSandbox from "../../support/FakeSandbox.ts"

const read = (text: string) => parse("/workspace/p/.codegen.yml", "/workspace/p", text)
const refusal = (text: string) => Effect.map(Effect.flip(read(text)), failureOf)

describe("CodegenFile", () => {
  it.effect("names steps with commands of their own, and ours by their names alone", () =>
    Effect.gen(function* () {
      const text = [
        "# what this project checks",
        "steps:",
        "  - name: install",
        "  - { name: build, command: 'make all', cwd: sub }",
        "  - name: lint",
        "    command: |",
        "      npm run lint",
        "      npm run more",
        "  - name: outside",
        "    command: ls",
        "    cwd: /tmp",
        "keep_going: true",
      ].join("\n")
      assert.deepStrictEqual(yield* read(text), {
        keepGoing: true,
        steps: [
          { _tag: "BuiltIn", name: "install", isAskedFor: true },
          { _tag: "Command", name: "build", line: "make all", folder: "/workspace/p/sub" },
          { _tag: "Command", name: "lint", line: "npm run lint\nnpm run more\n", folder: "/workspace/p" },
          { _tag: "Command", name: "outside", line: "ls", folder: "/tmp" },
        ],
      })
    }),
  )

  const wrong: ReadonlyArray<readonly [what: string, text: string, says: string | RegExp]> = [
    ["nothing", "", "cannot be used"],
    ["no YAML", "steps: [", "cannot be used"],
    ["no steps", "steps: []", "at least 1"],
    ["a step without a name", "steps: [{command: ls}]", "name"],
    ["a step that is a text", "steps: [lint]", "lint"],
    ["a name without a command", "steps: [{name: deploy}]", "none of install, format, lint, types, tests"],
    ["a word that is not known", "steps: [{name: lint, run: ls}]", "run"],
    ["a setting that is not known", "steps: [{name: lint}]\nstop: true", "stop"],
    ["a number for a command", "steps: [{name: a, command: 3}]", "command"],
    ["two steps of one name", "steps: [{name: lint}, {name: lint, command: ls}]", "two steps"],
    ["a folder without a command", "steps: [{name: lint, cwd: a}]", "takes no cwd"],
    ["a NUL", 'steps: [{name: a, command: "a\\0b"}]', "NUL"],
    ["an alias", "steps: &a [{name: lint}]\nkeep_going: *a", "cannot be used"],
    ["21 steps", `steps: [${"{name: a, command: ls},".repeat(21)}]`, "at most 20"],
    ["a tag", "steps: !!js/function 'x'", "cannot be used"],
    ["what is nested without end", "[".repeat(30_000), "cannot be used"],
    ["keys of keys without end", "? ".repeat(15_000), "cannot be used"],
  ]
  for (const [what, text, says] of wrong) {
    it.effect(`is refused with ${what}`, () =>
      Effect.gen(function* () {
        const { code, message, next } = yield* refusal(text)
        assert.strictEqual(code, "invalid_codegen_file")
        assert.include(message, String(says))
        assert.isBelow(message.length, 700)
        assert.include(next, "`steps` is a list")
      }),
    )
  }

  it.effect("is not looked for further than its folder, nor read where it is too large", () =>
    Effect.gen(function* () {
      const sandboxOf = (file: Uint8Array | undefined) =>
        FakeSandbox.make({
          files: {
            read: (path, offset, length) => {
              assert.strictEqual(path, "/workspace/p/.codegen.yml")
              if (file === undefined) return Effect.fail(new FileError({ path, reason: "missing" }))
              const data = file.subarray(offset, offset + length)
              return Effect.succeed({ data, size: file.length, mode: 0o644, bytes: data.length })
            },
          },
        })
      assert.isUndefined(yield* readFile(sandboxOf(undefined), "/workspace/p"))
      const file = yield* readFile(sandboxOf(Buffer.from("steps: [{name: lint}]")), "/workspace/p")
      assert.lengthOf(file?.steps ?? [], 1)
      const large = yield* Effect.flip(readFile(sandboxOf(Buffer.alloc(100_000, "#")), "/workspace/p"))
      assert.include(large.message, "more than 32768 bytes")
    }),
  )
})
