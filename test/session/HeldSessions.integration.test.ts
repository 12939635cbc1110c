import { SqlClient } from "@effect/sql"
import { assert, layer } from "@effect/vitest"
import { Effect, Exit, Layer, Scope } from "effect"
import { ContainerId, type SessionId } from "../../src/domain/Identity.ts"
import type { Operation } from "../../src/domain/Operation.ts"
import { Lease } from "../../src/domain/Lease.ts"
import * as Container from "../../src/sandbox/Container.ts"
import { Docker } from "../../src/sandbox/Docker.ts"
import { Sandboxes } from "../../src/sandbox/Sandboxes.ts"
import { HeldSessions } from "../../src/session/HeldSessions.ts"
import type { Operations } from "../../src/session/Operations.ts"
import { newOperation as operation } from "../support/Operation.ts"
import { outcomeOf, told } from "../support/Outcome.ts"
import * as SessionTable from "../support/SessionTable.ts"
import * as TestNode from "../support/TestNode.ts"
import { until } from "../support/Until.ts"

const exec = (command: string) => operation("exec", { command })

/** Runs an operation to its end; gives its answer, or its failure. */
const run = (operations: Operations, operation: Operation) =>
  Effect.gen(function* () {
    yield* operations.begin(operation)
    return told(yield* outcomeOf(operations, operation.id, 30_000))
  })

const container = (id: SessionId) => Effect.map(SessionTable.row(id), (row) => row?.container ?? undefined)

/** Removes a session's container behind its back, and gives its id. */
const removeContainer = Effect.fnUntraced(function* (session: SessionId) {
  const id = (yield* container(session)) ?? ""
  const { use } = yield* Docker
  yield* use("remove", (docker) => docker.getContainer(id).remove({ force: true }))
  yield* until(
    Effect.map(Sandboxes, ({ holds }) => holds(ContainerId.make(id))),
    (held) => !held,
  )
  return id
})

/** Does something while the store takes nothing. */
const withoutStore = <A, E, R>(use: Effect.Effect<A, E, R>) =>
  Effect.flatMap(SqlClient.SqlClient, (sql) =>
    Effect.acquireUseRelease(
      sql`ALTER TABLE pack RENAME TO away`,
      () => use,
      () => Effect.orDie(sql`ALTER TABLE away RENAME TO pack`),
    ),
  )

const containers = Effect.map(Container.list, (found) => found.map(({ id }) => String(id)))

layer(
  HeldSessions.layer.pipe(
    Layer.provideMerge(
      TestNode.both({ IDLE_TIMEOUT: "1 second", HIBERNATE_AFTER: "3 seconds", DRAIN_TIMEOUT: "300 millis" }),
    ),
  ),
  {
    excludeTestServices: true,
    timeout: "60 seconds",
  },
)("HeldSessions", (it) => {
  it.effect("starts a sandbox with the first call that needs one, and binds it to the session", () =>
    Effect.gen(function* () {
      const { claim, release } = yield* HeldSessions
      const id = yield* SessionTable.insert()
      const operations = yield* claim(id)
      assert.propertyVal(yield* run(operations, operation("session_info", {})), "epoch", 1)
      assert.isUndefined(yield* container(id))
      assert.propertyVal(yield* run(operations, exec("echo hello")), "stdout", "hello\n")
      assert.include(yield* containers, yield* container(id))
      yield* release(id)
      assert.notInclude(yield* containers, yield* container(id))
    }),
  )

  it.effect("keeps files and running operations when this node claims the session again", () =>
    Effect.gen(function* () {
      const { claim, release, rest } = yield* HeldSessions
      const id = yield* SessionTable.insert()
      const operations = yield* claim(id)
      yield* run(operations, operation("write_file", { path: "a", content: "kept" }))
      const long = exec("touch begun; while [ ! -e go ]; do sleep 0.05; done; echo went on")
      yield* operations.begin(long)
      yield* until(
        Effect.suspend(() => run(operations, exec("ls begun"))),
        ({ exit_code }) => exit_code === 0,
      )
      yield* rest(id, true)
      const again = yield* claim(id)
      assert.propertyVal(yield* SessionTable.states(id), long.id, "running")
      assert.propertyVal(yield* run(again, operation("read_file", { path: "a" })), "content", "kept")
      yield* run(again, exec("touch go"))
      const outcome = yield* outcomeOf(again, long.id, 10_000)
      assert.propertyVal(outcome?._tag === "Answered" ? outcome.output : {}, "stdout", "went on\n")
      assert.propertyVal(yield* SessionTable.states(id), long.id, "succeeded")
      yield* release(id)
    }),
  )

  it.effect("ends running operations as interrupted on release, with their commands", () =>
    Effect.gen(function* () {
      const { claim, release } = yield* HeldSessions
      const id = yield* SessionTable.insert()
      const operations = yield* claim(id)
      const long = exec("sleep 60")
      yield* operations.begin(long)
      yield* until(container(id), (bound) => bound !== undefined)
      yield* release(id)
      assert.propertyVal(yield* outcomeOf(operations, long.id, 0), "state", "interrupted")
      assert.deepStrictEqual(yield* containers, [])
      yield* release(id)
    }),
  )

  it.effect("goes on in another sandbox, with the files of the last answer, when its own is gone", () =>
    Effect.gen(function* () {
      const { claim, release } = yield* HeldSessions
      const id = yield* SessionTable.insert()
      const operations = yield* claim(id)
      const saved = yield* run(
        operations,
        exec("mkdir -p b && echo a | tee a b/c && ln -s b/c d && echo h > ~/h"),
      )
      assert.deepInclude(saved, { checkpoint: { state: "saved", id: "1" } })
      assert.deepInclude(yield* run(operations, exec("cat a")), {
        checkpoint: { state: "unchanged", id: "1" },
      })
      yield* operations.begin(exec("echo lost > lost; sleep 60"))
      yield* until(
        Effect.suspend(() => run(operations, operation("list_files", {}))),
        (answer) => JSON.stringify(answer).includes("lost"),
      )
      const first = yield* removeContainer(id)
      assert.deepInclude(yield* run(operations, exec("cat a b/c d ~/h; ls lost")), {
        stdout: "a\na\na\nh\n",
        exit_code: 2,
        checkpoint: { state: "unchanged", id: "1" },
      })
      assert.notStrictEqual(yield* container(id), first)
      const info = yield* run(operations, operation("session_info", {}))
      assert.deepInclude(info, { durability: "node", checkpoint: { state: "saved", id: "1" } })
      yield* release(id)
    }),
  )

  it.effect("gives up a sandbox whose files are saved after long without calls, and wakes with them", () =>
    Effect.gen(function* () {
      const { claim, release } = yield* HeldSessions
      const id = yield* SessionTable.insert()
      const operations = yield* claim(id)
      yield* run(operations, operation("write_file", { path: "deep/a", content: "awake" }))
      const slept = yield* container(id)
      yield* until(container(id), (bound) => bound === undefined)
      yield* until(containers, (all) => !all.includes(slept ?? ""))
      const answers = yield* Effect.all(
        Array.from({ length: 4 }, () => run(operations, operation("read_file", { path: "deep/a" }))),
        { concurrency: "unbounded" },
      )
      for (const answer of answers) assert.propertyVal(answer, "content", "awake")
      yield* release(id)
    }),
  )

  it.effect("drops an idle sandbox in which nothing was done before one in which something was", () =>
    Effect.gen(function* () {
      const { claim, release } = yield* HeldSessions
      const [looked, used] = [yield* SessionTable.insert(), yield* SessionTable.insert()]
      yield* run(yield* claim(looked), operation("list_files", {}))
      yield* run(yield* claim(used), exec("true"))
      const dropped = yield* container(looked)
      yield* until(container(looked), (bound) => bound === undefined)
      assert.notInclude(yield* containers, dropped)
      assert.include(yield* containers, yield* container(used))
      yield* release(used)
    }),
  )

  it.scoped("leaves no container when the node leaves in the middle of a command", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { claim } = yield* Effect.provide(
        HeldSessions,
        yield* Layer.buildWithScope(Layer.fresh(HeldSessions.layer), scope),
      )
      const id = yield* SessionTable.insert()
      const operations = yield* claim(id)
      yield* operations.begin(exec("sleep 60"))
      yield* until(container(id), (bound) => bound !== undefined)
      yield* Scope.close(scope, Exit.void)
      assert.notInclude(yield* containers, yield* container(id))
    }),
  )
})

layer(HeldSessions.layer.pipe(Layer.provideMerge(TestNode.both())), {
  excludeTestServices: true,
  timeout: "60 seconds",
})("HeldSessions whose store fails", (it) => {
  it.scoped("say of each call that it is not saved, until the store takes all of it", () =>
    Effect.gen(function* () {
      const { claim, release } = yield* HeldSessions
      const id = yield* SessionTable.insert()
      const operations = yield* claim(id)
      yield* run(operations, exec("echo first > a"))
      yield* withoutStore(
        Effect.gen(function* () {
          const told = yield* run(operations, exec("echo second > a"))
          assert.deepInclude(told, { exit_code: 0 })
          assert.nestedInclude(told, { "checkpoint.state": "failed" })
          assert.nestedInclude(yield* run(operations, exec("cat a")), {
            stdout: "second\n",
            "checkpoint.state": "failed",
          })
        }),
      )
      const told = yield* run(operations, exec("cat a"))
      assert.deepInclude(told, { checkpoint: { state: "saved", id: "2" } })
      yield* removeContainer(id)
      assert.propertyVal(yield* run(operations, exec("cat a")), "stdout", "second\n")
      yield* release(id)
    }),
  )

  it.scoped("tell once what was never saved, where the sandbox is lost too, and go on from what was", () =>
    Effect.gen(function* () {
      const { claim, release } = yield* HeldSessions
      const id = yield* SessionTable.insert()
      const operations = yield* claim(id)
      yield* run(operations, exec("echo first > a"))
      yield* withoutStore(run(operations, exec("echo second > a")))
      yield* removeContainer(id)
      const lost = yield* run(operations, exec("cat a"))
      assert.propertyVal(lost, "code", "workspace_lost")
      assert.include(JSON.stringify(lost), "checkpoint 1")
      assert.propertyVal(yield* run(operations, exec("cat a")), "stdout", "first\n")
      yield* release(id)
    }),
  )

  it.effect(
    "say so once, with the older checkpoint that they go on from, and run nothing on half of the files",
    () =>
      Effect.gen(function* () {
        const { claim, release } = yield* HeldSessions
        const sql = yield* SqlClient.SqlClient
        const id = yield* SessionTable.insert()
        const operations = yield* claim(id)
        yield* run(operations, exec("echo first > a; touch b"))
        yield* run(operations, exec("echo second > a"))
        const flipped = yield* sql`
        UPDATE pack SET data = set_byte(data, 0, get_byte(data, 0) # 1)
        FROM piece JOIN piece_use USING (principal, hash)
        WHERE pack.id = piece.pack AND session_id = ${id} AND hash = sha256('second\n')
        RETURNING 1`
        assert.lengthOf(flipped, 1)
        yield* removeContainer(id)
        const told = yield* run(operations, exec("touch c"))
        assert.propertyVal(told, "code", "files_reverted")
        assert.match(JSON.stringify(told), /Checkpoint 2.* damaged.*not run.*checkpoint 1 again/)
        const answer = yield* run(operations, exec("cat a; ls"))
        assert.propertyVal(answer, "stdout", "first\na\nb\n")
        assert.deepInclude(answer, { checkpoint: { state: "unchanged", id: "3" } })
        assert.deepInclude(yield* run(operations, exec("echo second > a")), {
          checkpoint: { state: "saved", id: "4" },
        })
        yield* removeContainer(id)
        assert.propertyVal(yield* run(operations, exec("cat a")), "stdout", "second\n")
        yield* release(id)
      }),
  )
})

const saving = (CHECKPOINT_INTERVAL: string) =>
  HeldSessions.layer.pipe(Layer.provideMerge(TestNode.both({ CHECKPOINT: "interval", CHECKPOINT_INTERVAL })))

layer(saving("1 second"), { excludeTestServices: true, timeout: "60 seconds" })(
  "HeldSessions that save at an interval",
  (it) => {
    it.effect(
      "say of each call that it waits to be saved, until all of it is, also where it came to nothing",
      () =>
        Effect.gen(function* () {
          const { claim, release } = yield* HeldSessions
          const id = yield* SessionTable.insert()
          const operations = yield* claim(id)
          assert.deepInclude(yield* run(operations, exec("echo a > a")), { checkpoint: { state: "pending" } })
          const saved = (head: number) =>
            until(SessionTable.row(id), (row) => row?.head === head && row.unsaved === false)
          yield* saved(1)
          yield* run(operations, exec("echo b > b; rm b"))
          yield* until(SessionTable.row(id), (row) => row?.unsaved === true)
          yield* until(SessionTable.row(id), (row) => row?.unsaved === false)
          yield* removeContainer(id)
          assert.propertyVal(yield* run(operations, exec("ls")), "stdout", "a\n")
          yield* release(id)
        }),
    )
  },
)

layer(saving("1 hour"), { excludeTestServices: true, timeout: "60 seconds" })(
  "HeldSessions that save seldom",
  (it) => {
    it.effect("tell once what was not saved where the sandbox is lost before its time", () =>
      Effect.gen(function* () {
        const { claim, release } = yield* HeldSessions
        const id = yield* SessionTable.insert()
        const operations = yield* claim(id)
        yield* run(operations, exec("echo a > a"))
        yield* removeContainer(id)
        assert.propertyVal(yield* run(operations, exec("ls")), "code", "workspace_lost")
        assert.propertyVal(yield* run(operations, exec("ls")), "stdout", "")
        yield* release(id)
      }),
    )
  },
)

layer(HeldSessions.layer.pipe(Layer.provideMerge(TestNode.both({ CHECKPOINT: "off" }))), {
  excludeTestServices: true,
  timeout: "60 seconds",
})("HeldSessions without checkpoints", (it) => {
  it.effect("tells a caller once that the sandbox is gone, and works in an empty one then", () =>
    Effect.gen(function* () {
      const { claim, release } = yield* HeldSessions
      const id = yield* SessionTable.insert()
      const operations = yield* claim(id)
      assert.deepInclude(yield* run(operations, exec("echo a > a")), { checkpoint: { state: "off" } })
      const first = yield* removeContainer(id)
      assert.propertyVal(yield* run(operations, exec("cat a")), "code", "workspace_lost")
      assert.propertyVal(yield* run(operations, exec("ls")), "stdout", "")
      assert.notStrictEqual(yield* container(id), first)
      yield* release(id)
    }),
  )
})

const full = { MAX_SANDBOXES: "2", IDLE_TIMEOUT: "10 minutes" }

layer(HeldSessions.layer.pipe(Layer.provideMerge(TestNode.both(full))), {
  excludeTestServices: true,
  timeout: "60 seconds",
})("HeldSessions on a full node", (it) => {
  it.effect(
    "gives up the sandbox unused for longest, whose session has its files again later, but none that is busy",
    () =>
      Effect.gen(function* () {
        const { claim } = yield* HeldSessions
        const ids = yield* Effect.replicateEffect(SessionTable.insert(), 5)
        const [looked, lookedLater, one, two, none] = yield* Effect.forEach(ids, claim)
        const isBound = Effect.forEach(ids, (id) => Effect.map(container(id), (bound) => bound !== undefined))
        yield* run(looked!, operation("list_files", {}))
        yield* run(lookedLater!, operation("list_files", {}))
        assert.propertyVal(yield* run(one!, exec("echo one > file")), "exit_code", 0)
        assert.deepStrictEqual(yield* isBound, [false, true, true, false, false])
        assert.propertyVal(yield* run(two!, exec("true")), "exit_code", 0)
        assert.deepStrictEqual(yield* isBound, [false, false, true, true, false])
        assert.propertyVal(yield* run(none!, exec("true")), "exit_code", 0)
        assert.deepStrictEqual(yield* isBound, [false, false, false, true, true])
        yield* two!.begin(exec("sleep 60"))
        assert.propertyVal(yield* run(one!, exec("cat file")), "stdout", "one\n")
        yield* one!.begin(exec("sleep 60"))
        assert.deepInclude(yield* run(none!, exec("true")), { code: "capacity" })
      }),
  )
})

/** The node's locks, as the test has them. */
const locks = { term: 1 as number | undefined }

layer(
  HeldSessions.layer.pipe(
    Layer.provideMerge(
      TestNode.both(
        { NETWORK_MAX: "registries,*.example.com", TEMPLATES: '{"open": {"network": ["a.test"]}}' },
        Layer.succeed(Lease, {
          term: () => locks.term,
          renewed: () => undefined,
          onEnd: () => () => undefined,
        }),
      ),
    ),
  ),
  { excludeTestServices: true, timeout: "60 seconds" },
)("HeldSessions and what a session may reach", (it) => {
  it.effect(
    "give the session's policy to its sandbox, also to the next one, as far as the operator allows",
    () =>
      Effect.gen(function* () {
        const { claim, release, sandbox } = yield* HeldSessions
        const id = yield* SessionTable.insert()
        const operations = yield* claim(id)
        const set = (hosts: ReadonlyArray<string>) =>
          run(operations, operation("set_network_policy", { network: "custom", hosts }))
        assert.nestedInclude(yield* run(operations, operation("session_info", {})), {
          "network.policy": "none",
        })
        assert.deepInclude(yield* set(["b.com"]), { code: "network_not_allowed" })
        assert.deepInclude(yield* set(["a.example.com", "registries"]), { policy: "custom" })
        const proxied = yield* run(operations, exec("env | grep -c HTTPS_PROXY"))
        assert.propertyVal(proxied, "stdout", "1\n")
        const refused = yield* run(operations, exec("curl -sS -m 5 https://b.com/"))
        assert.include((refused as { note?: string }).note, "b.com:443 (not in the session's network policy)")
        // As after a move, or a sleep: another sandbox of the same session.
        yield* release(id)
        const later = yield* claim(id)
        assert.nestedInclude(yield* run(later, operation("session_info", {})), { "network.policy": "custom" })
        yield* run(later, exec("true"))
        assert.deepStrictEqual(sandbox(id)?.network.status().policy, ["a.example.com", "registries"])
        yield* run(later, operation("set_network_policy", { network: "none" }))
        assert.deepStrictEqual(sandbox(id)?.network.status().policy, [])
        assert.propertyVal(yield* run(later, exec("env | grep -c HTTPS_PROXY")), "stdout", "0\n")
        yield* release(id)
        const template = yield* SessionTable.insert({ template: "open" })
        const info = yield* run(yield* claim(template), operation("session_info", {}))
        assert.nestedInclude(info, { "network.hosts[0]": "a.test" })
        yield* release(template)
      }),
  )

  it.effect("start nothing once the node's locks were lost, until the session is claimed again", () =>
    Effect.gen(function* () {
      const { claim, isOutdated, release } = yield* HeldSessions
      const id = yield* SessionTable.insert()
      const operations = yield* claim(id)
      const long = exec("touch begun; while [ ! -e go ]; do sleep 0.05; done; echo went on")
      yield* operations.begin(long)
      yield* until(
        Effect.suspend(() => run(operations, exec("ls begun"))),
        ({ exit_code }) => exit_code === 0,
      )
      locks.term = undefined
      assert.isFalse(isOutdated(id))
      assert.deepInclude(yield* run(operations, exec("true")), { code: "unavailable" })
      locks.term = 2
      assert.isTrue(isOutdated(id))
      assert.deepInclude(yield* run(operations, exec("true")), { code: "unavailable" })
      const again = yield* claim(id)
      assert.isFalse(isOutdated(id))
      assert.deepInclude(yield* run(again, exec("touch go")), { exit_code: 0 })
      assert.propertyVal(told(yield* outcomeOf(again, long.id, 10_000)), "stdout", "went on\n")
      yield* release(id)
      locks.term = 1
    }),
  )
})
