/** Long calls over connections that break, on whatever node. */
import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { execFileSync } from "node:child_process"
import { exec } from "../../src/tools/commands/Exec.ts"
import { listFiles } from "../../src/tools/files/ListFiles.ts"
import { sessionInfo } from "../../src/tools/sessions/SessionInfo.ts"
import * as EventStream from "../support/EventStream.ts"
import * as RawClient from "../support/RawClient.ts"
import { clientOwnedBy, nodesOf, TestCluster } from "../support/TestCluster.ts"
import { until } from "../support/Until.ts"

const lines = (count: number, pause: number) =>
  `for i in $(seq ${count}); do echo line $i; echo warning $i >&2; sleep ${pause}; done`

const expected = (count: number) =>
  Array.from({ length: count }, (_, index) => [`line ${index + 1}`, `warning ${index + 1}`])
    .flat()
    .sort()

const told = (event: EventStream.ServerEvent) => ({ id: event.id, message: RawClient.messageOf(event) })

/** What a client puts together of what it was told. */
const linesOf = (events: ReadonlyArray<EventStream.ServerEvent>) =>
  RawClient.outputOf(events)
    .split("\n")
    .filter((line) => line !== "")
    .sort()

/** A connection whose session a node owns, for the SDK's client and for requests that a test words. */
const raw = (cluster: TestCluster["Type"], owner: string) =>
  Effect.map(clientOwnedBy(cluster, owner), (client) => ({
    client,
    ...RawClient.of(cluster.mcpUrl, client.connection),
  }))

const three = Effect.gen(function* () {
  const cluster = yield* TestCluster
  const nodes = yield* nodesOf(cluster)
  const [one, two, other] = nodes.map(({ url }) => url)
  return { cluster, owner: nodes[0]!.id, urls: [one!, two!, other!] as const }
})

layer(TestCluster.layer({ nodes: 3 }), { excludeTestServices: true, timeout: "90 seconds" })(
  "a call that takes long",
  (it) => {
    it.scoped("tells its output as it comes, through a node that does not own the session", () =>
      Effect.gen(function* () {
        const { cluster, owner, urls } = yield* three
        const { follow } = yield* raw(cluster, owner)
        const stream = yield* follow(1, lines(10, 0.1), { at: urls[1] })
        assert.include(stream.type, "text/event-stream")
        const first = yield* stream.next
        assert.deepStrictEqual([first?.id, first?.data], ["o_1.0.MQ", ""])
        const events = yield* EventStream.rest(stream)
        const said = events.slice(0, -1).map((event) => RawClient.messageOf(event).params!)
        assert.isAbove(said.length, 5)
        assert.isTrue(said.every(({ progressToken }) => progressToken === "p"))
        assert.isTrue(
          said.every(({ progress }, index) => index === 0 || progress! > said[index - 1]!.progress!),
        )
        assert.deepStrictEqual(linesOf(events.slice(0, -1)), expected(10))
        const last = events.at(-1)!
        assert.strictEqual(last.id, "o_1.end.MQ")
        assert.deepInclude(RawClient.messageOf(last).result?.structuredContent, {
          status: "exited",
          exit_code: 0,
        })
        assert.strictEqual(RawClient.messageOf(last).id, 1)
      }),
    )

    it.scoped(
      "is taken up again on other nodes however often its connection breaks: all of it once, in order",
      () =>
        Effect.gen(function* () {
          const { cluster, owner, urls } = yield* three
          const { follow, listen } = yield* raw(cluster, owner)
          const all: Array<EventStream.ServerEvent> = []
          let stream: EventStream.EventStream = yield* follow(2, lines(30, 0.1), { at: urls[1] })
          let breaks = 0
          for (;;) {
            const event = yield* stream.next
            if (event !== undefined) all.push(event)
            if (event?.id?.includes(".end.") === true) break
            if (event === undefined || all.length % 4 === 0) {
              yield* stream.cut
              stream = yield* listen({ at: urls[++breaks % 3]!, after: all.at(-1)!.id! })
            }
          }
          assert.isAbove(breaks, 5)
          assert.deepStrictEqual(linesOf(all.slice(0, -1)), expected(30))
          assert.deepStrictEqual(
            all.slice(1, -1).map(({ id }) => id),
            Array.from({ length: all.length - 2 }, (_, index) => `o_2.${index + 1}.Mg`),
          )
          assert.deepInclude(RawClient.messageOf(all.at(-1)!).result?.structuredContent, { status: "exited" })
        }),
    )

    it.scoped("that has ended is told again from any event on, and of its end nothing is left to tell", () =>
      Effect.gen(function* () {
        const { cluster, owner, urls } = yield* three
        const { follow, listen } = yield* raw(cluster, owner)
        const first = yield* EventStream.rest(yield* follow(3, lines(3, 0.05), { at: urls[1] }))
        const again = yield* EventStream.rest(yield* listen({ at: urls[2], after: "o_3.0.Mw" }))
        assert.deepStrictEqual(again.map(told), first.slice(1).map(told))
        assert.strictEqual((yield* listen({ at: urls[2], after: "o_3.end.Mw" })).status, 204)
        assert.strictEqual((yield* listen({ at: urls[2], after: "o_unknown.1" })).status, 204)
        // Who says what it waits for is told that nothing comes.
        const waits = `o_unknown.0.${Buffer.from("33").toString("base64url")}`
        const lost = yield* EventStream.rest(yield* listen({ at: urls[2], after: waits }))
        assert.deepInclude(RawClient.messageOf(lost.at(-1)!), { id: 33 })
        assert.include(JSON.stringify(RawClient.messageOf(lost.at(-1)!).result), "answer_lost")
      }),
    )

    it.scoped("is told to nobody but its own connection", () =>
      Effect.gen(function* () {
        const { cluster, owner, urls } = yield* three
        const { follow } = yield* raw(cluster, owner)
        const stranger = yield* clientOwnedBy(cluster, owner)
        const stream = yield* follow(4, lines(3, 0.05), { at: urls[1] })
        const foreign = yield* RawClient.of(urls[1], stranger.connection).listen({ after: "o_4.0" })
        assert.strictEqual(foreign.status, 204)
        yield* EventStream.rest(stream)
      }),
    )

    it.scoped(
      "in another session than the connection's own is followed, taken up and cancelled as well",
      () =>
        Effect.gen(function* () {
          const { cluster, owner, urls } = yield* three
          const { follow, listen, post } = yield* raw(cluster, owner)
          const other = yield* cluster.client()
          const { session_id } = yield* other.ask(sessionInfo, {})
          const stream = yield* follow(5, lines(100, 0.1), { at: urls[1], input: { session_id } })
          for (let count = 0; count < 3; count++) yield* stream.next
          yield* stream.cut
          const again = yield* listen({ at: urls[2], after: "o_5.1.NQ" })
          assert.strictEqual((yield* again.next)?.id, "o_5.2.NQ")
          yield* post({ method: "notifications/cancelled", params: { requestId: 5 } }, { at: urls[0] })
          assert.isFalse((yield* EventStream.rest(again)).some(({ id }) => id === "o_5.end.NQ"))
        }),
    )

    it.scoped(
      "is cancelled from another node: its processes are gone within a second, and it is not answered",
      () =>
        Effect.gen(function* () {
          const { cluster, owner, urls } = yield* three
          const { client, follow, post } = yield* raw(cluster, owner)
          const before = marked()
          const stream = yield* follow(
            0,
            "(setsid sleep 987.654321 &) ; echo up; sleep 987.654321; echo never",
            { at: urls[1] },
          )
          yield* stream.next
          assert.strictEqual(RawClient.messageOf((yield* stream.next)!).params?.message, "up\n")
          yield* until(Effect.sync(marked), (count) => count === before + 2)
          const cancelledAt = performance.now()
          const answer = yield* post(
            { method: "notifications/cancelled", params: { requestId: 0, reason: "enough" } },
            { at: urls[2] },
          )
          assert.strictEqual(answer.status, 202)
          yield* until(Effect.sync(marked), (count) => count === before)
          assert.isBelow(performance.now() - cancelledAt, 1000)
          assert.deepStrictEqual(yield* EventStream.rest(stream), [])
          const rows = yield* cluster.sql<{ state: string }>`SELECT state FROM operation WHERE id = 'o_0'`
          assert.deepStrictEqual(rows, [{ state: "cancelled" }])
          // The session goes on, and a repeat under the same id hears of the end.
          const repeat = yield* client.ask(
            exec,
            { command: "(setsid sleep 987.654321 &) ; echo up; sleep 987.654321; echo never" },
            { operationId: "o_0" },
          )
          assert.strictEqual(repeat.status, "cancelled")
          assert.strictEqual(repeat.stdout, "up\n")
        }),
    )

    it.scoped("is cancelled also where its cancel is faster, in any session", () =>
      Effect.gen(function* () {
        const { cluster, owner, urls } = yield* three
        const { follow, post } = yield* raw(cluster, owner)
        const other = yield* cluster.client()
        const { session_id } = yield* other.ask(sessionInfo, {})
        for (const [id, input] of [
          [6, { wait_ms: 3000 }],
          [7, { wait_ms: 3000, session_id }],
        ] as const) {
          yield* post({ method: "notifications/cancelled", params: { requestId: id } }, { at: urls[2] })
          const stream = yield* follow(id, "sleep 987.654321", { at: urls[1], input })
          const events = yield* EventStream.rest(stream)
          assert.isFalse(events.some((event) => event.id === `o_${id}.end`))
        }
        yield* until(Effect.sync(marked), (count) => count === 0)
      }),
    )

    describe("whose owner dies", () => {
      it.scoped("is answered as interrupted to whoever takes it up, with the request's own id", () =>
        Effect.gen(function* () {
          const { cluster, urls } = yield* three
          const nodes = yield* nodesOf(cluster)
          const { client, follow, listen } = yield* raw(cluster, nodes[2]!.id)
          const stream = yield* follow(6, "echo once >> runs; echo up; sleep 60", { at: urls[0] })
          yield* stream.next
          const { id } = (yield* stream.next)!
          yield* stream.cut
          yield* cluster.kill(nodes[2]!.id)
          const events = yield* EventStream.rest(yield* listen({ at: urls[1], after: id! }))
          const { id: request, result } = RawClient.messageOf(events.at(-1)!)
          assert.strictEqual(request, 6)
          assert.isTrue(result?.isError)
          assert.include(result?.content?.[0]?.text, "interrupted")
          yield* client.ask(listFiles, {}, { at: urls[1] })
        }),
      )

      it.scoped("goes on where that is only the connection's own session: taken up, and cancelled", () =>
        Effect.gen(function* () {
          const { cluster, owner, urls } = yield* three
          const [, home] = yield* nodesOf(cluster)
          const { follow, listen, post } = yield* raw(cluster, home!.id)
          const { session_id } = yield* (yield* clientOwnedBy(cluster, owner)).ask(sessionInfo, {})
          const input = { session_id }
          const stream = yield* follow(8, lines(100, 0.1), { at: urls[0], input })
          for (let count = 0; count < 3; count++) yield* stream.next
          yield* stream.cut
          const other = yield* follow(9, "sleep 987.654321", { at: urls[0], input })
          yield* other.next
          yield* until(Effect.sync(marked), (count) => count === 1)
          yield* cluster.kill(home!.id)
          const again = yield* listen({ at: urls[0], after: "o_8.1.OA" })
          assert.strictEqual((yield* again.next)?.id, "o_8.2.OA")
          yield* post({ method: "notifications/cancelled", params: { requestId: 9 } }, { at: urls[0] })
          yield* until(Effect.sync(marked), (count) => count === 0)
          assert.deepStrictEqual(yield* EventStream.rest(other), [])
        }),
      )
    })
  },
)

/** Processes of the machine whose command line has the mark. */
const marked = () =>
  Number(execFileSync("sh", ["-c", "pgrep -fc '^sleep 987[.]654321' || true"]).toString().trim())

layer(TestCluster.layer({ nodes: 3, env: { SHUTDOWN_TIMEOUT: "4 seconds" } }), {
  excludeTestServices: true,
  timeout: "90 seconds",
})("a call that takes long", (it) => {
  it.scoped("goes on at another node where the one that carried it leaves", () =>
    Effect.gen(function* () {
      const { cluster, owner, urls } = yield* three
      const [, leaver] = yield* nodesOf(cluster)
      const { follow, listen } = yield* raw(cluster, owner)
      const stream = yield* follow(1, lines(60, 0.1), { at: urls[1] })
      yield* stream.next
      yield* Effect.fork(cluster.stop(leaver!.id))
      const before = yield* EventStream.rest(stream)
      assert.isFalse(before.some(({ id }) => id === "o_1.end.MQ"))
      const after = yield* EventStream.rest(yield* listen({ at: urls[2], after: before.at(-1)!.id! }))
      assert.deepStrictEqual(linesOf([...before, ...after.slice(0, -1)]), expected(60))
      assert.deepInclude(RawClient.messageOf(after.at(-1)!).result?.structuredContent, { exit_code: 0 })
    }),
  )
})
