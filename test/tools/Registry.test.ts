import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Layer } from "effect"
import * as StartFailure from "../../src/node/StartFailure.ts"
import { Registry, standard } from "../../src/tools/Registry.ts"
import { prefixed } from "../../src/tools/ToolNames.ts"
import * as TestNode from "../support/TestNode.ts"

const registryOf = (settings: Readonly<Record<string, string>>) =>
  Effect.provide(Registry, Registry.layer.pipe(Layer.provide(TestNode.settings(settings))))

const namesOf = (settings: Readonly<Record<string, string>>) =>
  Effect.map(registryOf(settings), ({ listed }) => listed.map(({ name }) => name))

/** What an operator reads whose settings are refused. */
const refusalOf = (settings: Readonly<Record<string, string>>) =>
  Effect.map(Effect.exit(registryOf(settings)), (exit) =>
    Exit.isFailure(exit) ? StartFailure.explain(exit.cause as Cause.Cause<unknown>) : "it starts",
  )

describe("Registry", () => {
  it.effect("offers all tools where no set is named", () =>
    Effect.gen(function* () {
      const all = standard.listed.map(({ name }) => name)
      assert.deepStrictEqual(yield* namesOf({}), all)
      assert.deepStrictEqual(yield* namesOf({ TOOLSETS: "" }), all)
    }),
  )

  it.effect("offers the sets that are named, in the same order, with what every set needs", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* namesOf({ TOOLSETS: "tests, code,tests" }), [
        "read_output",
        "kill_command",
        "get_result",
        "run_code",
        "run_tests",
        "run_failed_tests",
        "session_info",
        "open_session",
        "list_sessions",
        "close_session",
      ])
      const sessions = yield* registryOf({ TOOLSETS: "sessions" })
      assert.isUndefined(sessions.findListed("exec"))
      assert.isUndefined(sessions.findListed("resource_content"))
      assert.strictEqual(sessions.find("exec")?.name, "exec")
      assert.strictEqual(sessions.find("resource_content")?.name, "resource_content")
    }),
  )

  it.effect("refuses to start with a set that there is not, and names those that there are", () =>
    Effect.gen(function* () {
      for (const name of ["file", "constructor"]) {
        assert.strictEqual(
          yield* refusalOf({ TOOLSETS: `files,${name}` }),
          `TOOLSETS: there is no toolset ${name}; there are commands, files, git, code, tests, checks, network, artifacts, sessions. See codegen-mcp --help.`,
        )
      }
    }),
  )

  it.effect("finds a listed tool by its prefixed name alone, and any tool by its own", () =>
    Effect.gen(function* () {
      const { find, findListed, names } = yield* registryOf({ TOOL_PREFIX: "cg_" })
      assert.strictEqual(findListed("cg_exec")?.name, "exec")
      for (const name of ["exec", "cg_", "cg_cg_exec", "", "cg_resource_content"]) {
        assert.isUndefined(findListed(name), name)
      }
      assert.strictEqual(find("exec")?.name, "exec")
      assert.strictEqual(names.shown("exec"), "cg_exec")
    }),
  )

  it.effect("refuses a prefix by which no client could name a tool", () =>
    Effect.gen(function* () {
      for (const prefix of ["Cg_", "1_", "a-", "_a", "a".repeat(17), "a.b"]) {
        assert.match(
          yield* refusalOf({ TOOL_PREFIX: prefix }),
          /^TOOL_PREFIX: must be up to 16 of a-z/,
          prefix,
        )
      }
      for (const { name } of (yield* registryOf({ TOOL_PREFIX: "a".repeat(16) })).listed) {
        assert.match("a".repeat(16) + name, /^[a-z][a-z0-9_]{1,40}$/)
      }
    }),
  )
})

describe("ToolNames", () => {
  const { inText } = prefixed("cg_", ["exec", "read_output", "format"])

  it("puts the prefix where a text means a tool", () => {
    assert.strictEqual(
      inText("Use exec, then read_output; `exec: rm` or `format`."),
      "Use cg_exec, then cg_read_output; `cg_exec: rm` or `cg_format`.",
    )
  })

  it("leaves words alone that only look so", () => {
    for (const text of [
      "the format of executors",
      "read_outputs",
      "my_exec",
      "pre_read_output",
      "`formatted`",
    ]) {
      assert.strictEqual(inText(text), text)
    }
  })
})
