import { assert, describe, it } from "@effect/vitest"
import { OperationId } from "../../src/domain/Identity.ts"
import type { Outcome } from "../../src/domain/Operation.ts"
import { SessionNotFound } from "../../src/domain/SessionError.ts"
import {
  answered,
  argumentsOf,
  failed,
  listingOf,
  refused,
  resultOf,
  sessionlessListingOf,
} from "../../src/mcp/Presentation.ts"
import { standard } from "../../src/tools/Registry.ts"
import { prefixed } from "../../src/tools/ToolNames.ts"

const listing = listingOf(standard.listed)
const sessionlessListing = sessionlessListingOf(standard.listed)

const annotations = ["destructiveHint", "idempotentHint", "openWorldHint", "readOnlyHint"]

/** Every key of an object, at any depth. */
const keysOf = (node: unknown): ReadonlyArray<string> =>
  Array.isArray(node)
    ? node.flatMap(keysOf)
    : typeof node === "object" && node !== null
      ? Object.entries(node).flatMap(([key, value]) => [key, ...keysOf(value)])
      : []

const decode = (name: string, given: Readonly<Record<string, unknown>>) =>
  argumentsOf(standard.find(name)!, given)

describe("Presentation", () => {
  it("says of arguments that do not fit what may stand there, each once, and what stands there", () => {
    for (const [tool, given, ...said] of [
      ["exec", { command: "a", wait_ms: -5 }, "wait_ms: must be an integer from 0 to 600000, not -5"],
      ["exec", { command: "a", timeout_ms: 0 }, "timeout_ms: must be an integer above 0, not 0"],
      ["exec", { command: "" }, 'command: must be a string of 1 or more characters, not ""'],
      ["edit_file", { path: "a", edits: [] }, "edits: must be a list of 1 to 100 items, not []"],
      [
        "edit_file",
        { path: "a", edits: [{ old_text: "" }] },
        'edits.0.old_text: must be a string of 1 or more characters, not ""; edits.0.new_text: is missing',
      ],
      [
        "kill_command",
        { operation_id: "a b", signal: "X".repeat(1000) },
        'operation_id: must be a string that matches ^[A-Za-z0-9_-]{1,64}$, not "a b"; signal: must be one of "SIGINT"',
        `not "${"X".repeat(199)}.`,
      ],
    ] as const) {
      const { failure } = decode(tool, given)
      for (const part of said) assert.include(failure?.message, part)
    }
  })

  it("lists the tools in a fixed order", () => {
    assert.deepStrictEqual(
      listing.map(({ name }) => name),
      [
        "exec",
        "read_output",
        "send_input",
        "kill_command",
        "list_commands",
        "get_result",
        "write_file",
        "read_file",
        "edit_file",
        "apply_patch",
        "list_files",
        "find_files",
        "search_files",
        "move_file",
        "delete_file",
        "upload_archive",
        "download_archive",
        "git_status",
        "git_diff",
        "git_commit",
        "run_code",
        "run_tests",
        "run_failed_tests",
        "lint",
        "typecheck",
        "format",
        "run_checks",
        "set_network_policy",
        "install_packages",
        "git_clone",
        "save_artifact",
        "list_artifacts",
        "get_artifact",
        "delete_artifact",
        "session_info",
        "open_session",
        "list_sessions",
        "close_session",
      ],
    )
  })

  it("lists them in what the strictest clients take: a line of 1 MiB, and few enough tokens for a model", () => {
    for (const tools of [listing, sessionlessListing]) {
      assert.isBelow(JSON.stringify({ tools }).length, 96 * 1024)
      // Some clients keep no more.
      assert.isAtMost(tools.length, 64)
    }
  })

  const unnamed = (tool: (typeof listing)[number]) => ({ ...tool, name: "" })

  it("lists tools by the names that a prefix gives them, also where one names another", () => {
    const names = prefixed(
      "cg_",
      standard.listed.map(({ name }) => name),
    )
    for (const [tools, plain] of [
      [listingOf(standard.listed, names), listing],
      [sessionlessListingOf(standard.listed, names), sessionlessListing],
    ] as const) {
      assert.deepStrictEqual(
        tools.map(({ name }) => name),
        plain.map(({ name }) => `cg_${name}`),
      )
      const text = JSON.stringify(tools.map(unnamed))
      assert.include(text, "cg_read_output")
      assert.notMatch(text, /(?<!cg_)\b(read_output|open_session|get_result|exec)\b/)
      assert.strictEqual(
        JSON.stringify(plain.map(unnamed)),
        text.replaceAll("cg_", ""),
        "nothing else changes",
      )
    }
  })

  it("lists the same tools where there are no connections, which there need a session or take none", () => {
    const withoutSession = ({ inputSchema, ...tool }: (typeof listing)[number]) => {
      const { session_id: _, ...properties } = inputSchema.properties ?? {}
      const required = inputSchema.required?.filter((name) => name !== "session_id")
      return { ...tool, inputSchema: { ...inputSchema, properties, required } }
    }
    assert.deepStrictEqual(sessionlessListing.map(withoutSession), listing.map(withoutSession))
    for (const { inputSchema, name } of sessionlessListing) {
      const needed = ![
        "open_session",
        "list_sessions",
        "list_artifacts",
        "get_artifact",
        "delete_artifact",
      ].includes(name)
      assert.strictEqual("session_id" in (inputSchema.properties ?? {}), needed, name)
      assert.strictEqual(inputSchema.required?.includes("session_id"), needed, name)
    }
  })

  for (const tool of listing) {
    describe(`the tool ${tool.name}`, () => {
      it("has a name that every client accepts, a title and a description", () => {
        assert.match(tool.name, /^[a-z][a-z0-9_]{1,40}$/)
        assert.isAbove(tool.title?.length ?? 0, 3)
        assert.isAbove(tool.description?.length ?? 0, 20)
      })

      it("has schemas of objects, without references", () => {
        for (const schema of [tool.inputSchema, tool.outputSchema] as ReadonlyArray<
          Record<string, unknown>
        >) {
          assert.strictEqual(schema["type"], "object")
          for (const key of ["$ref", "$defs", "definitions", "$schema"])
            assert.notInclude(keysOf(schema), key)
        }
        assert.strictEqual(tool.inputSchema["additionalProperties"], false)
      })

      it("has flat arguments", () => {
        for (const [name, property] of Object.entries(tool.inputSchema.properties ?? {})) {
          const keys = keysOf(property)
          for (const key of ["oneOf", "anyOf", "allOf"]) assert.notInclude(keys, key, name)
        }
      })

      it("requires only arguments that it has", () => {
        for (const name of tool.inputSchema.required ?? []) {
          assert.property(tool.inputSchema.properties, name)
        }
      })

      it("takes an optional session_id", () => {
        assert.propertyVal((tool.inputSchema.properties?.["session_id"] ?? {}) as object, "type", "string")
        assert.notInclude(tool.inputSchema.required ?? [], "session_id")
      })

      it("sets all four annotations", () => {
        for (const name of annotations) {
          assert.isBoolean((tool.annotations as Record<string, unknown>)[name], name)
        }
        if (tool.annotations?.readOnlyHint === true) assert.isFalse(tool.annotations.destructiveHint)
      })
    })
  }

  describe("arguments", () => {
    it("are decoded, with the session that they name apart from the tool's own", () => {
      const given = decode("exec", { session_id: "s_1", argv: ["ls", "-l"], timeout_ms: 5 })
      assert.deepStrictEqual(given, {
        session: "s_1",
        input: { argv: ["ls", "-l"], timeout_ms: 5 },
        decoded: { argv: ["ls", "-l"], timeout_ms: 5 },
      })
    })

    const wrong: ReadonlyArray<readonly [what: string, tool: string, given: object, names: string]> = [
      ["a missing argument", "read_file", {}, "path"],
      ["one that does not exist", "read_file", { path: "a", lenght: 3 }, "lenght"],
      ["a number for a text", "write_file", { path: 3, content: "" }, "path"],
      ["null for a text", "exec", { command: null }, "command"],
      ["a text for a number", "list_files", { depth: "2" }, "depth"],
      ["a fraction", "exec", { command: "ls", timeout_ms: 1.5 }, "timeout_ms"],
      ["a number out of range", "list_files", { depth: 33 }, "depth"],
      ["a negative offset", "read_file", { path: "a", offset: -1 }, "offset"],
      ["an empty command", "exec", { command: "" }, "command"],
      ["an empty argv", "exec", { argv: [] }, "argv"],
      ["an argv of other than texts", "exec", { argv: ["a", 1] }, "argv"],
      ["a variable's name with a =", "exec", { command: "env", env: { "A=B": "c" } }, "env"],
      ["a variable's value that is no text", "exec", { command: "env", env: { A: 1 } }, "env"],
      ["an empty path", "read_file", { path: "" }, "path"],
      ["a path with a NUL", "read_file", { path: "a\0b" }, "path"],
      ["a path of 5000 characters", "read_file", { path: "a".repeat(5000) }, "path"],
      [
        "an encoding that there is not",
        "write_file",
        { path: "a", content: "", encoding: "latin1" },
        "encoding",
      ],
      ["a session's name with a slash", "open_session", { name: "a/b" }, "name"],
      ["a session_id that is no text", "session_info", { session_id: 3 }, "session_id"],
    ]
    for (const [what, tool, given, names] of wrong) {
      it(`refuses ${what} as invalid_arguments, and names it`, () => {
        const { failure } = decode(tool, given as Record<string, unknown>)
        assert.strictEqual(failure?.code, "invalid_arguments")
        assert.include(failure?.message, names)
        assert.isAbove(failure?.next.length ?? 0, 10)
      })
    }

    it("that are wrong in several ways are all named in one answer", () => {
      const { failure } = decode("exec", { command: 1, cwd: 2, timeout_ms: "x", y: 1 })
      assert.include(failure?.message, "command")
      assert.include(failure?.message, "cwd")
    })

    it("of any length are answered shortly", () => {
      const { failure } = decode("exec", { command: 1, ["y".repeat(9000)]: 1 })
      assert.isBelow(failure?.message.length ?? 0, 2200)
    })

    it("are not taken from what every object inherits", () => {
      assert.strictEqual(
        decode("read_file", JSON.parse('{"__proto__":{"path":"a"}}')).failure?.code,
        "invalid_arguments",
      )
    })
  })

  describe("results", () => {
    const output = { stdout: "a\n", exit_code: 1, nested: { list: [1, null] } }
    const failure = { code: "x", message: "what happened", next: "what to do" }
    const outcomes: ReadonlyArray<Outcome> = [
      { _tag: "Answered", state: "succeeded", output },
      { _tag: "Answered", state: "timed_out", output },
      { _tag: "Failed", state: "failed", failure },
      { _tag: "Failed", state: "interrupted", failure },
    ]

    it("carry the same facts as text and as structured content", () => {
      for (const result of [
        answered(output, undefined, "2025-11-25"),
        ...outcomes.slice(0, 2).map((reply) => resultOf(reply, "2025-11-25")),
      ]) {
        assert.notProperty(result, "isError")
        assert.deepStrictEqual(result.structuredContent, output)
        const [content] = result.content
        assert.deepStrictEqual(content?.type === "text" ? JSON.parse(content.text) : undefined, output)
      }
    })

    it("of checks that did not pass are errors only where that is asked for", () => {
      const said = (output: unknown): Outcome => ({ _tag: "Answered", state: "succeeded", output })
      for (const output of [{ passed: false }, { status: "succeeded", result: { passed: false } }]) {
        assert.isUndefined(resultOf(said(output), "2025-11-25").isError)
        assert.isTrue(resultOf(said(output), "2025-11-25", true).isError)
        assert.deepStrictEqual(resultOf(said(output), "2025-11-25", true).structuredContent, output)
      }
      for (const output of [
        { passed: true },
        { result: { passed: true } },
        { exit_code: 1 },
        { result: null },
      ]) {
        assert.isUndefined(resultOf(said(output), "2025-11-25", true).isError)
      }
    })

    it("have links only for clients of versions that know them", () => {
      const link = { type: "resource_link", uri: "http://h/f", name: "f", mimeType: "a/b", size: 1 } as const
      const text = { type: "text", text: "{}" } as const
      const types = (version: string) => answered({}, [text, link], version).content.map(({ type }) => type)
      assert.deepStrictEqual(types("2025-06-18"), ["text", "resource_link"])
      assert.deepStrictEqual(types("2026-07-28"), ["text", "resource_link"])
      for (const version of ["2025-03-26", "2024-11-05"]) assert.deepStrictEqual(types(version), ["text"])
    })

    it("of a failure are errors that the model can read", () => {
      for (const result of [
        failed(failure),
        ...outcomes.slice(2).map((reply) => resultOf(reply, "2025-11-25")),
      ]) {
        assert.isTrue(result.isError)
        const [content] = result.content
        assert.deepStrictEqual(content?.type === "text" ? JSON.parse(content.text) : undefined, failure)
      }
      const [content] = refused(new SessionNotFound({ session: OperationId.make("s") })).content
      assert.propertyVal(
        content?.type === "text" ? JSON.parse(content.text) : {},
        "code",
        "session_not_found",
      )
    })
  })

  for (const tool of listing) {
    it(`${tool.name} has no union at the top of its schemas`, () => {
      for (const schema of [tool.inputSchema, tool.outputSchema] as ReadonlyArray<Record<string, unknown>>) {
        for (const key of ["oneOf", "anyOf", "allOf", "not", "$id"]) assert.notProperty(schema, key)
      }
    })

    it(`${tool.name} says what each argument means`, () => {
      const properties = tool.inputSchema.properties as Record<string, { readonly description?: string }>
      for (const [name, { description }] of Object.entries(properties)) {
        assert.isAbove(description?.length ?? 0, 5, name)
        assert.notInclude(description, "a string", name)
      }
    })
  }

  for (const name of ["session_info", "list_sessions", "close_session"]) {
    it(`${name} refuses arguments, which it has none of`, () => {
      assert.strictEqual(decode(name, { all: true }).failure?.code, "invalid_arguments")
    })
  }
})
