import { SqlClient } from "@effect/sql"
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { ContainerId } from "../../src/domain/Identity.ts"
import { NodeIdentity } from "../../src/domain/NodeIdentity.ts"
import * as Container from "../../src/sandbox/Container.ts"
import { labels } from "../../src/sandbox/Specification.ts"
import { Docker } from "../../src/sandbox/Docker.ts"
import { reconcile } from "../../src/sandbox/Reconciler.ts"
import { Sandboxes } from "../../src/sandbox/Sandboxes.ts"
import { Templates } from "../../src/sandbox/Templates.ts"
import { SessionRows } from "../../src/session/SessionRows.ts"
import { fresh } from "../support/SharedSandbox.ts"
import * as SessionTable from "../support/SessionTable.ts"
import * as TestNode from "../support/TestNode.ts"

/** Looks when so much time has passed, by a clock that is ahead. */
const lookAfter = (ms: number) =>
  Effect.clockWith((clock) => {
    const currentTimeMillis = Effect.map(clock.currentTimeMillis, (now) => now + ms)
    return Effect.withClock(
      reconcile(true),
      Object.assign(Object.create(clock) as typeof clock, { currentTimeMillis }),
    )
  })

/** Looks when every container of the test is past its grace. */
const later = lookAfter(60_000)

const exists = (id: ContainerId) =>
  Effect.map(Container.list, (containers) => containers.some((container) => container.id === id))

/** A container that nobody holds. */
const started = Effect.gen(function* () {
  const { id } = yield* Container.make((yield* Templates).standard)
  yield* Container.start(id)
  return id
})

/** A container made by another node of this cluster; `cluster` for one of another cluster. */
const another = (cluster?: string) =>
  Effect.gen(function* () {
    const own = yield* NodeIdentity
    return yield* Effect.zip(started, NodeIdentity).pipe(
      Effect.provide(TestNode.identity({ cluster: cluster ?? own.cluster })),
      Effect.tap(([id]) => Effect.addFinalizer(() => Effect.ignore(Container.remove(id)))),
      Effect.map(([id, identity]) => ({ id, incarnation: identity.incarnation })),
    )
  })

/** A row of a node that was heard of so many seconds ago. */
const heard = Effect.fnUntraced(function* (incarnation: string, ago: number, ended = false) {
  const sql = yield* SqlClient.SqlClient
  yield* sql`
    INSERT INTO node (incarnation, id, engine, seen_at, ended_at)
    VALUES (${incarnation}, 'other', 'engine', now() - make_interval(secs => ${ago}), ${ended ? new Date() : null})`
})

/** A sandbox of this node, bound to a session. */
const bound = Effect.gen(function* () {
  const { bind, claim } = yield* SessionRows
  const session = yield* SessionTable.insert()
  const { epoch } = yield* claim(session, { epoch: 0, container: undefined }, [])
  const { id } = yield* fresh
  yield* bind(session, epoch, id)
  return { id, session }
})

layer(TestNode.both({ RECONCILE_GRACE: "30 seconds", NODE_EXPIRY: "15 seconds" }), {
  excludeTestServices: true,
  timeout: "60 seconds",
})("Reconciler", (it) => {
  it.scoped("leaves a sandbox alone that this node holds and a session is bound to", () =>
    Effect.gen(function* () {
      const { id } = yield* bound
      yield* later
      assert.isTrue(yield* exists(id))
    }),
  )

  it.scoped("removes a container of this incarnation that this node does not hold", () =>
    Effect.gen(function* () {
      const id = yield* started
      assert.include(yield* later, id)
      assert.isFalse(yield* exists(id))
    }),
  )

  it.scoped("removes a sandbox that this node holds for no session, a closed one, or another's", () =>
    Effect.gen(function* () {
      const { holds } = yield* Sandboxes
      const { claim } = yield* SessionRows
      const sql = yield* SqlClient.SqlClient
      const unbound = yield* fresh
      const [closed, moved] = [yield* bound, yield* bound]
      yield* sql`UPDATE session SET closed_at = now() WHERE id = ${closed.session}`
      yield* claim(moved.session, { epoch: 0, container: undefined }, [])
      const removed = yield* later
      for (const id of [unbound.id, closed.id, moved.id]) {
        assert.include(removed, id)
        assert.isFalse(holds(id))
        assert.isFalse(yield* exists(id))
      }
    }),
  )

  it.scoped("removes the containers of nodes that are dead: silent, ended or never heard of", () =>
    Effect.gen(function* () {
      const [silent, ended, unknown, alive] = [
        yield* another(),
        yield* another(),
        yield* another(),
        yield* another(),
      ]
      yield* heard(silent.incarnation, 16)
      yield* heard(ended.incarnation, 0, true)
      yield* heard(alive.incarnation, 10)
      const removed = yield* later
      assert.sameMembers(
        removed.filter((id) => [silent, ended, unknown, alive].some((one) => one.id === id)),
        [silent.id, ended.id, unknown.id],
      )
      assert.isTrue(yield* exists(alive.id))
    }),
  )

  it.scoped("does not touch another cluster's containers", () =>
    Effect.gen(function* () {
      const { use } = yield* Docker
      const { id } = yield* another("some-other-cluster")
      assert.notInclude(yield* later, id)
      const { State } = yield* use("inspect", (docker) => docker.getContainer(id).inspect())
      assert.isTrue(State.Running)
    }),
  )

  it.scoped("leaves everything below the grace period alone", () =>
    Effect.gen(function* () {
      const { id } = yield* another()
      assert.deepStrictEqual(yield* lookAfter(20_000), [])
      assert.isTrue(yield* exists(id))
    }),
  )

  it.scoped("removes nothing while Postgres does not answer", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const { id } = yield* another()
      for (const table of ["node", "session"]) {
        yield* sql.unsafe(`ALTER TABLE ${table} RENAME TO away`)
        const answer = yield* Effect.either(later)
        yield* sql.unsafe(`ALTER TABLE away RENAME TO ${table}`)
        assert.strictEqual(answer._tag, "Left")
        assert.isTrue(yield* exists(id))
      }
    }),
  )

  it.scoped("removes a container that was made and never started, and one that stopped", () =>
    Effect.gen(function* () {
      const { use } = yield* Docker
      const { image } = (yield* Templates).standard
      const { cluster, incarnation } = yield* NodeIdentity
      const made = yield* use("create", (docker) =>
        docker.createContainer({
          Image: image,
          Labels: { [labels.cluster]: cluster, [labels.incarnation]: incarnation },
        }),
      )
      const stopped = yield* another()
      yield* use("remove", (docker) => docker.getContainer(stopped.id).kill())
      const removed = yield* later
      assert.include(removed, ContainerId.make(made.id))
      assert.include(removed, stopped.id)
      assert.isFalse(yield* exists(ContainerId.make(made.id)))
    }),
  )
})
