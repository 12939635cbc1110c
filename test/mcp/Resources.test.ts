import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { FileError } from "../../src/domain/SandboxError.ts"
import * as Resources from "../../src/mcp/Resources.ts"
import { filePaths } from "../../src/tools/files/WorkspaceResources.ts"

/** An owner whose workspace holds these files. */
const owner =
  (files: Readonly<Record<string, Uint8Array>>, truncated = false): Resources.AskOwner =>
  (tool: { readonly name: string }, input: { readonly path?: string; readonly pattern?: string }): any => {
    if (tool.name === filePaths.name) {
      const begin = input.pattern!.replace(/\*\*$/, "").replace(/\\(.)/g, "$1")
      return Effect.succeed({
        paths: Object.keys(files)
          .sort()
          .filter((path) => path.startsWith(begin)),
        truncated,
      })
    }
    const content = files[input.path!]
    return content === undefined
      ? Effect.fail(new FileError({ path: input.path!, reason: "missing" }))
      : Effect.succeed({ base64: Buffer.from(content).toString("base64") })
  }

describe("Resources", () => {
  it.effect("lists the files of the workspace, page by page, each once and in order", () =>
    Effect.gen(function* () {
      const paths = Array.from({ length: 450 }, (_, index) => `src/file ${String(index).padStart(3, "0")}.ts`)
      const ask = owner(Object.fromEntries(paths.map((path) => [path, new Uint8Array()])))
      const listed: Array<string> = []
      let cursor: string | undefined
      do {
        const page: Effect.Effect.Success<ReturnType<typeof Resources.list>> = yield* Resources.list(
          ask,
          cursor,
        )
        listed.push(...page.resources.map(({ name }) => name))
        cursor = page.nextCursor
      } while (cursor !== undefined)
      assert.deepStrictEqual(listed, paths)
    }),
  )

  it.effect("says at the end of a list that the workspace has more files", () =>
    Effect.gen(function* () {
      const paths = Array.from({ length: 201 }, (_, index) => `${index}`)
      const ask = owner(Object.fromEntries(paths.map((path) => [path, new Uint8Array()])), true)
      const first = yield* Resources.list(ask, undefined)
      assert.isUndefined(first._meta)
      const { _meta } = yield* Resources.list(ask, first.nextCursor)
      assert.include(_meta?.["io.codegen-mcp/truncated"], "Only 10,000 files are listed")
    }),
  )

  it.effect("names a file by a URI under which it is read again, whatever its name", () =>
    Effect.gen(function* () {
      const name = "ä b/100%?#.txt"
      const ask = owner({ [name]: Buffer.from("text") })
      const [resource] = (yield* Resources.list(ask, undefined)).resources
      assert.strictEqual(resource?.uri, "workspace:///%C3%A4%20b/100%25%3F%23.txt")
      const { contents } = yield* Resources.read(ask, resource!.uri)
      assert.deepStrictEqual(contents, [{ uri: resource!.uri, mimeType: "text/plain", text: "text" }])
    }),
  )

  it.effect("gives text as text and anything else in base64, with its type", () =>
    Effect.gen(function* () {
      const ask = owner({
        "a.ts": Buffer.from("x"),
        "a.png": Buffer.from([0x89, 0x50]),
        Makefile: Buffer.from("all:\n"),
        blob: Buffer.from([0, 1]),
      })
      const read = (path: string) =>
        Effect.map(Resources.read(ask, `workspace:///${path}`), ({ contents }) => contents[0])
      assert.deepInclude(yield* read("a.ts"), { mimeType: "text/x-typescript", text: "x" })
      assert.deepInclude(yield* read("a.png"), { mimeType: "image/png", blob: "iVA=" })
      assert.deepInclude(yield* read("Makefile"), { mimeType: "text/plain", text: "all:\n" })
      assert.deepInclude(yield* read("blob"), { mimeType: "application/octet-stream", blob: "AAE=" })
    }),
  )

  it.effect("says which resource there is not, by the protocol's code", () =>
    Effect.gen(function* () {
      const ask = owner({})
      const missing = Resources.errorOf(yield* Effect.flip(Resources.read(ask, "workspace:///none")))
      assert.deepInclude([missing.code, missing.message.includes("none")], -32002)
      for (const uri of ["file:///etc/passwd", "workspace:///", "workspace:///%", "nonsense"]) {
        assert.strictEqual(Resources.errorOf(yield* Effect.flip(Resources.read(ask, uri))).code, -32602)
      }
    }),
  )

  it.effect("completes a path from its beginning, also one with signs that patterns know", () =>
    Effect.gen(function* () {
      const ask = owner({
        "src/a[1].ts": new Uint8Array(),
        "src/b.ts": new Uint8Array(),
        "test/a.ts": new Uint8Array(),
      })
      const workspace = { type: "ref/resource" as const, uri: "workspace:///{+path}" }
      const values = (begin: string) =>
        Effect.map(Resources.complete(ask, workspace, begin), ({ completion }) => completion.values)
      assert.deepStrictEqual(yield* values("src/"), ["src/a[1].ts", "src/b.ts"])
      assert.deepStrictEqual(yield* values("src/a["), ["src/a[1].ts"])
      assert.deepStrictEqual(yield* values("none"), [])
    }),
  )
})
