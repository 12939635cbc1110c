import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { ObjectId } from "../../../src/domain/Identity.ts"
import { downloadArchive } from "../../../src/tools/files/DownloadArchive.ts"
import * as FakeSandbox from "../../support/FakeSandbox.ts"

/** The name that an archive of a folder is kept under. */
const nameOf = (path: string) =>
  Effect.gen(function* () {
    const sandbox = FakeSandbox.make({ files: { pack: () => Stream.empty } })
    const call = FakeSandbox.call(Effect.succeed(sandbox))
    const { name } = yield* downloadArchive.handler(
      { path },
      {
        ...call,
        objects: {
          ...call.objects,
          save: ({ session, ...object }) =>
            Effect.succeed({
              ...object,
              session,
              id: ObjectId.make(`a_${"0".repeat(32)}`),
              size: 0,
              sha256: "",
              createdAt: 0,
              expiresAt: null,
              isSessionOpen: true,
            }),
          url: ({ name }) =>
            Effect.sync(() => ({ url: `http://localhost/${encodeURIComponent(name)}`, expires: 0 })),
        },
      },
    )
    return name
  })

describe("DownloadArchive", () => {
  it.effect(
    "names the archive after its folder, cut between characters, and such that a URL can hold it",
    () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* nameOf("src/"), "src.tar.gz")
        assert.strictEqual(yield* nameOf("."), "workspace.tar.gz")
        assert.strictEqual(yield* nameOf(`a/${"x".repeat(99)}😀😀`), `${"x".repeat(99)}😀.tar.gz`)
        assert.strictEqual(yield* nameOf("a\ud83d"), "a\ufffd.tar.gz")
      }),
  )
})
