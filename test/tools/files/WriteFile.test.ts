import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { failureOf } from "../../../src/domain/Failure.ts"
import { writeFile } from "../../../src/tools/files/WriteFile.ts"
import * as FakeSandbox from "../../support/FakeSandbox.ts"

const write = (input: Parameters<typeof writeFile.handler>[0]) =>
  Effect.gen(function* () {
    const written: Array<readonly [string, string]> = []
    const sandbox = FakeSandbox.make({
      files: {
        write: (path, data) =>
          Effect.sync(() => void written.push([path, Buffer.from(data).toString("hex")])),
      },
    })
    const answer = yield* Effect.either(writeFile.handler(input, FakeSandbox.call(Effect.succeed(sandbox))))
    return { answer: answer._tag === "Left" ? failureOf(answer.left) : answer.right, written }
  })

describe("WriteFile", () => {
  it.effect("writes text as UTF-8, and answers with its size in bytes and no claim to durability", () =>
    Effect.gen(function* () {
      const { answer, written } = yield* write({ path: "ä.txt", content: "é" })
      assert.deepStrictEqual(written, [["/workspace/ä.txt", "c3a9"]])
      assert.deepStrictEqual(answer, { path: "ä.txt", size: 2, checkpoint: { state: "off" } })
    }),
  )

  it.effect("writes base64 as the bytes that it stands for", () =>
    Effect.gen(function* () {
      const { written } = yield* write({ path: "/workspace/a", content: "AP8=", encoding: "base64" })
      assert.deepStrictEqual(written, [["/workspace/a", "00ff"]])
    }),
  )

  it.effect("refuses what is not base64, and writes nothing", () =>
    Effect.gen(function* () {
      const { answer, written } = yield* write({ path: "a", content: "not base64!", encoding: "base64" })
      assert.propertyVal(answer, "code", "invalid_content")
      assert.deepStrictEqual(written, [])
    }),
  )

  it.effect("refuses more than MAX_FILE, counted in bytes, before it needs a sandbox", () =>
    Effect.gen(function* () {
      const limit = FakeSandbox.limits.file
      assert.property((yield* write({ path: "a", content: "x".repeat(limit) })).answer, "size")
      const { answer, written } = yield* write({ path: "a", content: "é".repeat(limit / 2 + 1) })
      assert.propertyVal(answer, "code", "file_too_large")
      assert.deepStrictEqual(written, [])
    }),
  )
})
