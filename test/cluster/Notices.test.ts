/** What a client hears beside the answers to its requests, on whatever node. */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { exec } from "../../src/tools/commands/Exec.ts"
import { sessionInfo } from "../../src/tools/sessions/SessionInfo.ts"
import { writeFile } from "../../src/tools/files/WriteFile.ts"
import * as EventStream from "../support/EventStream.ts"
import * as RawClient from "../support/RawClient.ts"
import { clientOwnedBy, nodesOf, TestCluster } from "../support/TestCluster.ts"

/** A client whose session a node owns, and a connection of that session that has only the streams that a test opens. */
const raw = (cluster: TestCluster["Type"], owner: string) =>
  Effect.gen(function* () {
    const client = yield* clientOwnedBy(cluster, owner, { named: true })
    const { name } = yield* client.ask(sessionInfo, {})
    const { listen, post, stream } = yield* RawClient.open(cluster.mcpUrl, { session: name! })
    const ask = (at: string, method: string, params: unknown) =>
      Effect.map(post({ id: 1, method, params }, { at }), ({ text }) => JSON.parse(text) as RawClient.Message)
    return { client, listen, stream, ask }
  })

/** The next event that carries a message. */
const nextMessage = (stream: EventStream.EventStream): Effect.Effect<EventStream.ServerEvent> =>
  Effect.flatMap(stream.next, (event) => {
    if (event === undefined) return Effect.dieMessage("the stream has ended")
    return event.data === "" ? nextMessage(stream) : Effect.succeed(event)
  })

const uri = (path: string) => `workspace:///${path}`

layer(TestCluster.layer({ nodes: 3 }), { excludeTestServices: true, timeout: "90 seconds" })(
  "A client's stream",
  (it) => {
    it.scoped("tells of a resource that it subscribed to, on another node, and of no other", () =>
      Effect.gen(function* () {
        const cluster = yield* TestCluster
        const [one, two, three] = yield* nodesOf(cluster)
        const { ask, client, listen } = yield* raw(cluster, one!.id)
        const stream = yield* listen({ at: two!.url })
        assert.deepStrictEqual(
          (yield* ask(three!.url, "resources/subscribe", { uri: uri("a b.txt") })).result,
          {},
        )
        yield* client.ask(writeFile, { path: "other.txt", content: "1" }, { at: one!.url })
        yield* client.ask(writeFile, { path: "a b.txt", content: "1" }, { at: one!.url })
        const first = yield* nextMessage(stream)
        assert.deepStrictEqual(RawClient.messageOf(first), {
          jsonrpc: "2.0",
          method: "notifications/resources/updated",
          params: { uri: uri("a b.txt") },
        } as RawClient.Message)
        assert.match(first.id ?? "", /^_\.\d+$/)
        yield* client.ask(exec, { command: "echo 2 > other.txt; mv other.txt 'a b.txt'" }, { at: three!.url })
        assert.strictEqual(RawClient.messageOf(yield* nextMessage(stream)).params?.uri, uri("a b.txt"))
      }),
    )

    it.scoped("that broke is gone on with on another node, and nothing is lost or said twice", () =>
      Effect.gen(function* () {
        const cluster = yield* TestCluster
        const [one, two, three] = yield* nodesOf(cluster)
        const { ask, client, listen } = yield* raw(cluster, one!.id)
        yield* client.ask(exec, { command: "mkdir d" })
        for (const name of ["d/1", "d/2"]) yield* ask(two!.url, "resources/subscribe", { uri: uri(name) })
        const broken = yield* listen({ at: two!.url })
        yield* client.ask(writeFile, { path: "d/1", content: "" })
        const { id } = yield* nextMessage(broken)
        yield* broken.cut
        yield* client.ask(writeFile, { path: "d/2", content: "" })
        const next = yield* nextMessage(yield* listen({ at: three!.url, after: id }))
        assert.strictEqual(RawClient.messageOf(next).params?.uri, uri("d/2"))
        // And once more, as one whose answer to that was lost.
        assert.strictEqual((yield* nextMessage(yield* listen({ at: two!.url, after: id }))).data, next.data)
      }),
    )

    it.scoped("ends where the client opens another one", () =>
      Effect.gen(function* () {
        const cluster = yield* TestCluster
        const [one, two, three] = yield* nodesOf(cluster)
        const { ask, client, listen } = yield* raw(cluster, one!.id)
        yield* ask(two!.url, "resources/subscribe", { uri: uri("a") })
        const older = yield* listen({ at: two!.url })
        const newer = yield* listen({ at: three!.url })
        assert.isEmpty((yield* EventStream.rest(older)).filter(({ data }) => data !== ""))
        yield* client.ask(writeFile, { path: "a", content: "" })
        assert.strictEqual(RawClient.messageOf(yield* nextMessage(newer)).params?.uri, uri("a"))
      }),
    )

    it.scoped("has no more of what the client unsubscribed from, and refuses what is no resource", () =>
      Effect.gen(function* () {
        const cluster = yield* TestCluster
        const [one, two] = yield* nodesOf(cluster)
        const { ask, client, listen } = yield* raw(cluster, one!.id)
        for (const name of ["a", "b"]) yield* ask(two!.url, "resources/subscribe", { uri: uri(name) })
        yield* ask(one!.url, "resources/unsubscribe", { uri: uri("a") })
        const stream = yield* listen({ at: two!.url })
        for (const path of ["a", "b"]) yield* client.ask(writeFile, { path, content: "" })
        assert.strictEqual(RawClient.messageOf(yield* nextMessage(stream)).params?.uri, uri("b"))
        const refused = yield* ask(two!.url, "resources/subscribe", { uri: "file:///etc/passwd" })
        assert.include(refused.error?.message, "is no workspace:/// URI")
        for (let n = 0; n < 99; n++) yield* ask(one!.url, "resources/subscribe", { uri: uri(`n${n}`) })
        const full = yield* ask(one!.url, "resources/subscribe", { uri: uri("one more") })
        assert.include(full.error?.message, "100 subscriptions")
      }),
    )

    it.scoped("shows the log at the level that the client has set, in the stream of the call", () =>
      Effect.gen(function* () {
        const cluster = yield* TestCluster
        const [one, two, three] = yield* nodesOf(cluster)
        const { ask, stream } = yield* raw(cluster, one!.id)
        assert.deepStrictEqual((yield* ask(two!.url, "logging/setLevel", { level: "info" })).result, {})
        const call = (id: number) =>
          Effect.flatMap(
            stream(
              { id, method: "tools/call", params: { name: "exec", arguments: { argv: ["true"] } } },
              { at: three!.url },
            ),
            (stream) =>
              Effect.map(EventStream.rest(stream), (events) => events.filter(({ data }) => data !== "")),
          )
        const [log, answer] = (yield* call(7)).map(RawClient.messageOf)
        assert.strictEqual(log?.method, "notifications/message")
        assert.strictEqual(log?.params?.level, "info")
        assert.include(log?.params?.data, "A sandbox was started")
        assert.strictEqual(answer?.id, 7)
        assert.lengthOf(yield* call(8), 1)
        const wrong = yield* ask(two!.url, "logging/setLevel", { level: "loud" })
        assert.isDefined(wrong.error)
      }),
    )
  },
)

layer(TestCluster.layer({ nodes: 2 }), { excludeTestServices: true, timeout: "90 seconds" })(
  "A client's stream",
  (it) => {
    it.scoped("goes on after the session's node has died, and says that all may have changed", () =>
      Effect.gen(function* () {
        const cluster = yield* TestCluster
        const [one, two] = yield* nodesOf(cluster)
        const { ask, client, listen } = yield* raw(cluster, one!.id)
        yield* ask(two!.url, "resources/subscribe", { uri: uri("a") })
        const stream = yield* listen({ at: two!.url })
        yield* client.ask(writeFile, { path: "a", content: "1" }, { at: two!.url })
        yield* nextMessage(stream)
        yield* cluster.kill(one!.id)
        yield* client.ask(writeFile, { path: "b", content: "" }, { at: two!.url })
        assert.strictEqual(RawClient.messageOf(yield* nextMessage(stream)).params?.uri, uri("a"))
      }),
    )
  },
)
