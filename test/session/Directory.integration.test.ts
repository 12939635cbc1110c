import { SqlClient } from "@effect/sql"
import { assert, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Principal, randomId } from "../../src/domain/Identity.ts"
import { SessionName } from "../../src/domain/Session.ts"
import { SessionDirectory } from "../../src/domain/SessionDirectory.ts"
import * as Directory from "../../src/session/Directory.ts"
import { RecordedReleases } from "../support/RecordedReleases.ts"
import * as SessionTable from "../support/SessionTable.ts"
import * as TestNode from "../support/TestNode.ts"

const directory = Directory.layer.pipe(
  Layer.provideMerge(RecordedReleases.layer),
  Layer.provideMerge(TestNode.database({ MAX_SESSIONS: "5", TEMPLATES: '{"big": {"cpus": 4}}' })),
)

/** A principal that no other test has. */
const someone = Effect.map(randomId("o_"), (id) => Principal.make(`token:${id}`))

const named = (name: string) => SessionName.make(name)

layer(directory, { excludeTestServices: true, timeout: "60 seconds" })("Directory", (it) => {
  it.effect("makes one session for 20 callers that open one name at once", () =>
    Effect.gen(function* () {
      const { list, open } = yield* SessionDirectory
      const ann = yield* someone
      const opened = yield* Effect.replicateEffect(open(ann, named("project"), "unnamed", undefined), 20, {
        concurrency: "unbounded",
      })
      assert.strictEqual(new Set(opened.map(({ id }) => id)).size, 1)
      assert.lengthOf(
        opened.filter(({ created }) => created),
        1,
      )
      assert.lengthOf(yield* list(ann), 1)
    }),
  )

  it.effect("holds the limit against callers that open at once", () =>
    Effect.gen(function* () {
      const { list, open } = yield* SessionDirectory
      const ann = yield* someone
      yield* Effect.replicateEffect(Effect.either(open(ann, undefined, "unnamed", undefined)), 20, {
        concurrency: "unbounded",
      })
      assert.lengthOf(yield* list(ann), 5)
    }),
  )

  it.effect("makes a new session at each call without a name", () =>
    Effect.gen(function* () {
      const { list, open } = yield* SessionDirectory
      const ann = yield* someone
      const [one, two] = [
        yield* open(ann, undefined, "unnamed", undefined),
        yield* open(ann, undefined, "connection", undefined),
      ]
      assert.notStrictEqual(one.id, two.id)
      assert.deepStrictEqual([one.name, one.created], [null, true])
      assert.deepStrictEqual(
        (yield* list(ann)).map(({ id }) => id),
        [one.id, two.id],
      )
    }),
  )

  it.effect("makes a session by the template that is named, which the session keeps", () =>
    Effect.gen(function* () {
      const { find, list, open } = yield* SessionDirectory
      const ann = yield* someone
      const big = yield* open(ann, named("big-one"), "unnamed", "big")
      assert.strictEqual(big.template, "big")
      assert.strictEqual((yield* open(ann, undefined, "unnamed", undefined)).template, "default")
      assert.strictEqual((yield* open(ann, named("big-one"), "unnamed", "default")).template, "big")
      assert.strictEqual((yield* find(ann, big.id)).template, "big")
      assert.deepStrictEqual(
        (yield* list(ann)).map(({ template }) => template),
        ["big", "default"],
      )
    }),
  )

  it.effect("refuses a template that there is not, names those that there are, and makes nothing", () =>
    Effect.gen(function* () {
      const { list, open } = yield* SessionDirectory
      const ann = yield* someone
      const error = yield* Effect.flip(open(ann, undefined, "unnamed", "huge"))
      assert.strictEqual(error._tag, "UnknownTemplate")
      for (const word of ["huge", "default", "big"]) assert.include(error.message, word)
      assert.deepStrictEqual(yield* list(ann), [])
    }),
  )

  it.effect("gives two principals two sessions under one name", () =>
    Effect.gen(function* () {
      const { open } = yield* SessionDirectory
      const [one, two] = [
        yield* open(yield* someone, named("same"), "unnamed", undefined),
        yield* open(yield* someone, named("same"), "unnamed", undefined),
      ]
      assert.notStrictEqual(one.id, two.id)
      assert.isTrue(two.created)
    }),
  )

  it.effect("shows a session to its principal alone: to anyone else it does not exist, open or closed", () =>
    Effect.gen(function* () {
      const { close, find, list, open } = yield* SessionDirectory
      const [ann, bob] = [yield* someone, yield* someone]
      const { id } = yield* open(ann, named("mine"), "unnamed", undefined)
      assert.strictEqual((yield* find(ann, id)).id, id)
      const missing = (yield* Effect.flip(find(bob, "s_none"))).message.replace("s_none", id)
      for (const attempt of [find(bob, id), close(bob, id)]) {
        const error = yield* Effect.flip(attempt)
        assert.deepStrictEqual([error._tag, error.message], ["SessionNotFound", missing])
      }
      assert.deepStrictEqual(yield* list(bob), [])
      yield* close(ann, id)
      assert.strictEqual((yield* Effect.flip(find(bob, id)))._tag, "SessionNotFound")
      assert.strictEqual((yield* Effect.flip(find(ann, id)))._tag, "SessionClosed")
    }),
  )

  it.effect("takes no text for an id that is none", () =>
    Effect.gen(function* () {
      const { close, find } = yield* SessionDirectory
      const ann = yield* someone
      for (const id of ["", "x", "' OR true --", "s_%", "s_0\u0001", "x".repeat(10_000)]) {
        assert.strictEqual((yield* Effect.flip(find(ann, id)))._tag, "SessionNotFound")
        assert.strictEqual((yield* Effect.flip(close(ann, id)))._tag, "SessionNotFound")
      }
    }),
  )

  it.effect(
    "refuses more open sessions than the limit, finds known names still, and counts no closed one",
    () =>
      Effect.gen(function* () {
        const { close, open } = yield* SessionDirectory
        const ann = yield* someone
        const first = yield* open(ann, named("first"), "unnamed", undefined)
        for (let index = 0; index < 4; index++) yield* open(ann, undefined, "unnamed", undefined)
        const refused = yield* Effect.flip(open(ann, undefined, "unnamed", undefined))
        assert.strictEqual(refused._tag, "TooManySessions")
        assert.include(refused.message, "MAX_SESSIONS")
        assert.strictEqual(
          (yield* Effect.flip(open(ann, named("other"), "unnamed", undefined)))._tag,
          "TooManySessions",
        )
        assert.strictEqual((yield* open(ann, named("first"), "unnamed", undefined)).id, first.id)
        yield* open(yield* someone, undefined, "unnamed", undefined)
        yield* close(ann, first.id)
        yield* open(ann, undefined, "unnamed", undefined)
      }),
  )

  it.effect("frees a name by closing its session; the next one of that name is new", () =>
    Effect.gen(function* () {
      const { close, open } = yield* SessionDirectory
      const ann = yield* someone
      const old = yield* open(ann, named("again"), "unnamed", undefined)
      yield* close(ann, old.id)
      const fresh = yield* open(ann, named("again"), "unnamed", undefined)
      assert.isTrue(fresh.created)
      assert.notStrictEqual(fresh.id, old.id)
    }),
  )

  it.effect("closes a session once, and says so the second time", () =>
    Effect.gen(function* () {
      const { close, open } = yield* SessionDirectory
      const ann = yield* someone
      const { id } = yield* open(ann, undefined, "unnamed", undefined)
      yield* close(ann, id)
      assert.strictEqual((yield* Effect.flip(close(ann, id)))._tag, "SessionClosed")
      const { id: other } = yield* open(ann, undefined, "unnamed", undefined)
      const both = yield* Effect.replicateEffect(Effect.either(close(ann, other)), 5, {
        concurrency: "unbounded",
      })
      assert.lengthOf(
        both.filter(({ _tag }) => _tag === "Right"),
        1,
      )
    }),
  )

  it.effect("tells the owner of a closed session to let go, where it has had one", () =>
    Effect.gen(function* () {
      const { close, open } = yield* SessionDirectory
      const sql = yield* SqlClient.SqlClient
      const released = yield* RecordedReleases
      const ann = yield* someone
      const [never, owned] = [
        yield* open(ann, undefined, "unnamed", undefined),
        yield* open(ann, undefined, "unnamed", undefined),
      ]
      yield* sql`UPDATE session SET epoch = 1 WHERE id = ${owned.id}`
      for (const { id } of [never, owned]) yield* close(ann, id)
      assert.include(released, owned.id)
      assert.notInclude(released, never.id)
      assert.isTrue((yield* SessionTable.row(owned.id))?.closed)
    }),
  )
})
