import { SqlClient } from "@effect/sql"
import { assert, describe, layer } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { ContainerId, OperationId, randomId, SessionId } from "../../src/domain/Identity.ts"
import { NodeIdentity } from "../../src/domain/NodeIdentity.ts"
import type { Outcome } from "../../src/domain/Operation.ts"
import { SessionRows } from "../../src/session/SessionRows.ts"
import * as SessionTable from "../support/SessionTable.ts"
import * as TestNode from "../support/TestNode.ts"

const box = (name: string) => ContainerId.make(name)

const operation = (id: string) => ({
  id: OperationId.make(id),
  tool: "exec",
  inputHash: `hash of ${id}`,
  origin: undefined,
})

const answered: Outcome = {
  _tag: "Answered",
  state: "succeeded",
  output: { stdout: "a\u0000\ud800\u0001\n'é🦀" },
}

/** What a node holds from its last claim. */
const held = (epoch: number, container?: string) => ({
  epoch,
  container: container === undefined ? undefined : box(container),
})

layer(TestNode.database(), { excludeTestServices: true, timeout: "60 seconds" })("SessionRows", (it) => {
  describe("a claim", () => {
    it.effect("raises the epoch and names this node and incarnation, each time", () =>
      Effect.gen(function* () {
        const { claim } = yield* SessionRows
        const { node, incarnation } = yield* NodeIdentity
        const id = yield* SessionTable.insert({ name: "claimed" })
        assert.deepStrictEqual(yield* claim(id, held(0), []), {
          epoch: 1,
          principal: "local",
          name: "claimed",
          template: "default",
          head: null,
          lost: false,
          continued: true,
          network: null,
        } as never)
        assert.strictEqual((yield* claim(id, held(1), [])).epoch, 2)
        assert.deepInclude(yield* SessionTable.row(id), { epoch: 2, node, incarnation })
      }),
    )

    it.effect("gives every one of many claims at once an epoch of its own", () =>
      Effect.gen(function* () {
        const { claim } = yield* SessionRows
        const id = yield* SessionTable.insert()
        const claims = yield* Effect.replicateEffect(claim(id, held(0), []), 20, {
          concurrency: "unbounded",
        })
        assert.deepStrictEqual(
          claims.map(({ epoch }) => epoch).sort((a, b) => a - b),
          Array.from({ length: 20 }, (_, index) => index + 1),
        )
      }),
    )

    it.effect("tells an unknown session from a closed one", () =>
      Effect.gen(function* () {
        const { claim } = yield* SessionRows
        const sql = yield* SqlClient.SqlClient
        const unknown = SessionId.make(yield* randomId("s_"))
        assert.strictEqual((yield* Effect.flip(claim(unknown, held(0), [])))._tag, "SessionNotFound")
        const id = yield* SessionTable.insert()
        yield* sql`UPDATE session SET closed_at = now() WHERE id = ${id}`
        assert.strictEqual((yield* Effect.flip(claim(id, held(0), [])))._tag, "SessionClosed")
      }),
    )

    it.effect("ends what an owner before it left running, except what this node still works on", () =>
      Effect.gen(function* () {
        const { begin, claim, finish } = yield* SessionRows
        const id = yield* SessionTable.insert()
        const { epoch } = yield* claim(id, held(0), [])
        for (const name of ["ended", "here", "left"]) yield* begin(id, epoch, operation(name))
        yield* finish(id, epoch, OperationId.make("ended"), answered)
        const again = yield* claim(id, held(epoch), [OperationId.make("here")])
        assert.isTrue(again.continued)
        assert.deepStrictEqual(yield* SessionTable.states(id), {
          ended: "succeeded",
          here: "running",
          left: "interrupted",
        })
        yield* claim(id, held(again.epoch), [])
        assert.propertyVal(yield* SessionTable.states(id), "here", "interrupted")
      }),
    )

    it.effect("leaves the operations of other sessions alone", () =>
      Effect.gen(function* () {
        const { begin, claim } = yield* SessionRows
        const [one, other] = [yield* SessionTable.insert(), yield* SessionTable.insert()]
        for (const id of [one, other]) {
          yield* claim(id, held(0), [])
          yield* begin(id, 1, operation("same"))
        }
        yield* claim(one, held(0), [])
        assert.deepStrictEqual(yield* SessionTable.states(other), { same: "running" })
      }),
    )

    it.effect(
      "finds the files lost only where a sandbox is gone with something in it that was not saved",
      () =>
        Effect.gen(function* () {
          const { begin, bind, claim } = yield* SessionRows
          const cases = [
            { bound: false, used: false, unsaved: false, heldEpoch: 0, lost: false },
            { bound: false, used: true, unsaved: true, heldEpoch: 0, lost: false },
            { bound: true, used: false, unsaved: false, heldEpoch: 0, lost: false },
            { bound: true, used: true, unsaved: true, heldEpoch: 1, lost: false },
            { bound: true, used: true, unsaved: false, heldEpoch: 0, lost: false },
            { bound: true, used: true, unsaved: true, heldEpoch: 0, lost: true },
          ]
          for (const { bound, used, unsaved, heldEpoch, lost } of cases) {
            const id = yield* SessionTable.insert()
            yield* claim(id, held(0), [])
            if (bound) yield* bind(id, 1, box("mine"))
            if (used) yield* begin(id, 1, { ...operation("a"), unsaved })
            const claimed = yield* claim(id, held(heldEpoch), [])
            assert.strictEqual(claimed.lost, lost, JSON.stringify({ bound, used, unsaved, heldEpoch }))
            assert.strictEqual(claimed.continued, heldEpoch === 1)
            assert.deepInclude(yield* SessionTable.row(id), {
              container: bound && heldEpoch === 1 ? "mine" : null,
              used: used && heldEpoch === 1,
              lost,
            })
          }
        }),
    )

    it.effect("goes on after a claim of this node that was made but not answered", () =>
      Effect.gen(function* () {
        const { begin, bind, claim } = yield* SessionRows
        const id = yield* SessionTable.insert()
        yield* claim(id, held(0), [])
        yield* bind(id, 1, box("mine"))
        yield* begin(id, 1, operation("running"))
        yield* claim(id, held(1, "mine"), [OperationId.make("running")])
        const again = yield* claim(id, held(1, "mine"), [OperationId.make("running")])
        assert.deepInclude(again, { epoch: 3, continued: true, lost: false })
        assert.deepInclude(yield* SessionTable.row(id), { container: "mine" })
        assert.deepStrictEqual(yield* SessionTable.states(id), { running: "running" })
      }),
    )

    it.effect("by a node whose sandbox another owner replaced keeps neither sandbox nor operations", () =>
      Effect.gen(function* () {
        const { begin, bind, claim } = yield* SessionRows
        const id = yield* SessionTable.insert()
        yield* claim(id, held(0), [])
        yield* bind(id, 1, box("old"))
        yield* claim(id, held(0), [])
        yield* bind(id, 2, box("new"))
        yield* begin(id, 2, { ...operation("running"), unsaved: true })
        const back = yield* claim(id, held(1, "old"), [OperationId.make("running")])
        assert.deepInclude(back, { continued: false, lost: true })
        assert.deepInclude(yield* SessionTable.row(id), { container: null })
        assert.deepStrictEqual(yield* SessionTable.states(id), { running: "interrupted" })
      }),
    )

    it.effect("remembers a loss over later claims until a caller was told", () =>
      Effect.gen(function* () {
        const { acknowledgeLoss, claim } = yield* SessionRows
        const id = yield* SessionTable.insert({ lost: true })
        assert.isTrue((yield* claim(id, held(0), [])).lost)
        assert.isTrue((yield* claim(id, held(0), [])).lost)
        yield* acknowledgeLoss(id, 2)
        assert.isFalse((yield* claim(id, held(0), [])).lost)
      }),
    )
  })

  describe("a stale owner", () => {
    it.effect("is refused everything with SessionMoved, and changes nothing", () =>
      Effect.gen(function* () {
        const { acknowledgeLoss, begin, bind, claim, finish } = yield* SessionRows
        const id = yield* SessionTable.insert({ lost: true })
        const { epoch } = yield* claim(id, held(0), [])
        yield* begin(id, epoch, operation("running"))
        yield* claim(id, held(0), [OperationId.make("running")])
        const before = [yield* SessionTable.row(id), yield* SessionTable.states(id)]
        for (const write of [
          bind(id, epoch, box("stale")),
          acknowledgeLoss(id, epoch),
          begin(id, epoch, operation("new")),
          finish(id, epoch, OperationId.make("running"), answered),
        ] as ReadonlyArray<Effect.Effect<unknown, { readonly _tag: string }>>) {
          assert.strictEqual((yield* Effect.flip(write))._tag, "SessionMoved")
        }
        assert.deepStrictEqual([yield* SessionTable.row(id), yield* SessionTable.states(id)], before)
      }),
    )

    it.effect("and the owner of a closed session are told apart", () =>
      Effect.gen(function* () {
        const { acknowledgeLoss, begin, bind, claim } = yield* SessionRows
        const sql = yield* SqlClient.SqlClient
        const id = yield* SessionTable.insert()
        yield* claim(id, held(0), [])
        yield* sql`UPDATE session SET closed_at = now() WHERE id = ${id}`
        for (const write of [
          bind(id, 1, box("late")),
          acknowledgeLoss(id, 1),
          begin(id, 1, operation("late")),
        ] as ReadonlyArray<Effect.Effect<unknown, { readonly _tag: string }>>) {
          assert.strictEqual((yield* Effect.flip(write))._tag, "SessionClosed")
        }
        assert.deepStrictEqual(yield* SessionTable.states(id), {})
      }),
    )
  })

  describe("an operation", () => {
    it.effect("is begun once, of many that begin it at once", () =>
      Effect.gen(function* () {
        const { begin, claim } = yield* SessionRows
        const id = yield* SessionTable.insert()
        yield* claim(id, held(0), [])
        const begun = yield* Effect.replicateEffect(begin(id, 1, operation("a")), 20, {
          concurrency: "unbounded",
        })
        assert.lengthOf(
          begun.filter(({ _tag }) => _tag === "Begun"),
          1,
        )
        assert.lengthOf(
          begun.filter(({ _tag }) => _tag === "Running"),
          19,
        )
        assert.isTrue((yield* SessionTable.row(id))?.used)
      }),
    )

    it.effect("is refused, or ended by the next owner, where that claims the session while many begin", () =>
      Effect.gen(function* () {
        const { begin, claim } = yield* SessionRows
        for (let round = 0; round < 5; round++) {
          const id = yield* SessionTable.insert()
          yield* claim(id, held(0), [])
          if (round > 1) yield* begin(id, 1, operation("first"))
          const beginning = yield* Effect.fork(
            Effect.forEach(
              Array.from({ length: 60 }, (_, index) => `o${index}`),
              (name) => Effect.either(begin(id, 1, operation(name))),
              { concurrency: 8 },
            ),
          )
          yield* Effect.sleep(`${5 * round} millis`)
          yield* claim(id, held(0), [])
          const begun = (yield* Fiber.join(beginning)).filter(({ _tag }) => _tag === "Right")
          const states = Object.values(yield* SessionTable.states(id))
          assert.lengthOf(states, begun.length + (round > 1 ? 1 : 0))
          assert.isTrue(states.every((state) => state === "interrupted"))
        }
      }),
    )

    it.effect("of a busy session does not write the session anew", () =>
      Effect.gen(function* () {
        const { begin, claim } = yield* SessionRows
        const sql = yield* SqlClient.SqlClient
        const id = yield* SessionTable.insert()
        yield* claim(id, held(0), [])
        const version = Effect.map(
          sql<{ version: string }>`SELECT ctid::text AS version FROM session WHERE id = ${id}`,
          ([row]) => row?.version,
        )
        yield* begin(id, 1, operation("a"))
        const before = yield* version
        yield* begin(id, 1, operation("b"))
        assert.strictEqual(yield* version, before)
        yield* sql`UPDATE session SET active_at = now() - interval '6 seconds' WHERE id = ${id}`
        yield* begin(id, 1, operation("c"))
        const [row] = yield* sql<{ fresh: boolean }>`
          SELECT active_at > now() - interval '2 seconds' AS fresh FROM session WHERE id = ${id}`
        assert.isTrue(row?.fresh)
      }),
    )

    it.effect("that ended gives its stored outcome, under this owner and the next", () =>
      Effect.gen(function* () {
        const { begin, claim, finish } = yield* SessionRows
        const id = yield* SessionTable.insert()
        yield* claim(id, held(0), [])
        yield* begin(id, 1, operation("a"))
        yield* finish(id, 1, OperationId.make("a"), answered)
        const stored = { _tag: "Ended", inputHash: "hash of a", outcome: answered } as const
        assert.deepStrictEqual(yield* begin(id, 1, operation("a")), stored)
        yield* claim(id, held(0), [])
        assert.deepStrictEqual(yield* begin(id, 2, operation("a")), stored)
      }),
    )

    it.effect("that its owner never ended is interrupted for whoever asks later", () =>
      Effect.gen(function* () {
        const { begin, claim } = yield* SessionRows
        const id = yield* SessionTable.insert()
        yield* claim(id, held(0), [])
        yield* begin(id, 1, operation("a"))
        yield* claim(id, held(0), [])
        const begun = yield* begin(id, 2, operation("a"))
        assert.strictEqual(begun._tag, "Ended")
        const outcome = begun._tag === "Ended" ? begun.outcome : undefined
        assert.strictEqual(outcome?.state, "interrupted")
        assert.propertyVal(outcome?._tag === "Failed" ? outcome.failure : {}, "code", "interrupted")
      }),
    )

    it.effect("of one session is not the operation of that id in another", () =>
      Effect.gen(function* () {
        const { begin, claim } = yield* SessionRows
        for (const id of [yield* SessionTable.insert(), yield* SessionTable.insert()]) {
          yield* claim(id, held(0), [])
          assert.strictEqual((yield* begin(id, 1, operation("a")))._tag, "Begun")
        }
      }),
    )
  })

  it.effect("binds a sandbox, and forgets with it that it was used", () =>
    Effect.gen(function* () {
      const { begin, bind, claim } = yield* SessionRows
      const id = yield* SessionTable.insert()
      yield* claim(id, held(0), [])
      yield* bind(id, 1, box("mine"))
      yield* begin(id, 1, operation("a"))
      assert.deepInclude(yield* SessionTable.row(id), { container: "mine", used: true })
      yield* bind(id, 1, undefined)
      assert.deepInclude(yield* SessionTable.row(id), { container: null, used: false })
    }),
  )

  it.effect("says that Postgres does not answer where it does not, and never hangs", () =>
    Effect.gen(function* () {
      const { claim } = yield* SessionRows
      const sql = yield* SqlClient.SqlClient
      const id = yield* SessionTable.insert()
      yield* sql`ALTER TABLE operation RENAME TO operation_away`
      const error = yield* Effect.flip(claim(id, held(0), []))
      yield* sql`ALTER TABLE operation_away RENAME TO operation`
      assert.strictEqual(error._tag, "Unavailable")
      assert.strictEqual((yield* SessionTable.row(id))?.epoch, 0)
    }),
  )
})
