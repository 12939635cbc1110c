/** What a client hears beside the answers to its requests, on whatever node. */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { exec } from "../../src/tools/Exec.ts"
import { sessionInfo } from "../../src/tools/SessionInfo.ts"
import { writeFile } from "../../src/tools/WriteFile.ts"
import * as EventStream from "../support/EventStream.ts"
import * as Http from "../support/Http.ts"
import { nodesOf, TestCluster } from "../support/TestCluster.ts"

interface Message {
  readonly id?: number
  readonly method?: string
  readonly params?: { readonly uri?: string; readonly level?: string; readonly data?: string }
  readonly result?: unknown
  readonly error?: { readonly code: number; readonly message: string }
}

const messageOf = ({ data }: EventStream.ServerEvent) => JSON.parse(data) as Message

let count = 0

/** A client of a named session that a node owns. */
const namedBy = (cluster: TestCluster["Type"], owner: string) =>
  Effect.gen(function* () {
    for (let tried = 0; tried < 60; tried++) {
      const name = `session-${++count}`
      const client = yield* cluster.client({ session: name })
      if ((yield* client.ask(sessionInfo, {})).owner_node === owner) return { client, name }
    }
    return yield* Effect.dieMessage(`${owner} owns none of 60 new sessions`)
  })

/**
 * A client whose session a node owns, and another connection of that session, which speaks HTTP itself: the SDK's client
 * would open a stream of its own.
 */
const raw = (cluster: TestCluster["Type"], owner: string) =>
  Effect.gen(function* () {
    const { client, name } = yield* namedBy(cluster, owner)
    const plain = { "content-type": "application/json", accept: "application/json, text/event-stream" }
    const hello = yield* Http.send(`${cluster.mcpUrl}?session=${name}`, {
      method: "POST",
      headers: plain,
      body: JSON.stringify({
        jsonrpc: "2.0",
        id: 0,
        method: "initialize",
        params: {
          protocolVersion: "2025-11-25",
          capabilities: {},
          clientInfo: { name: "raw", version: "1" },
        },
      }),
    })
    const headers = { ...plain, "mcp-session-id": String(hello.headers["mcp-session-id"]) }
    const listen = (url: string, place?: string) =>
      EventStream.open(`${url}/mcp`, {
        method: "GET",
        headers: place === undefined ? headers : { ...headers, "last-event-id": place },
      })
    const ask = (url: string, method: string, params: unknown) =>
      Effect.map(
        Http.send(`${url}/mcp`, {
          method: "POST",
          headers,
          body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
        }),
        ({ text }) => JSON.parse(text) as Message,
      )
    return { client, headers, listen, ask }
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
        const stream = yield* listen(two!.url)
        assert.deepStrictEqual(
          (yield* ask(three!.url, "resources/subscribe", { uri: uri("a b.txt") })).result,
          {},
        )
        yield* client.ask(writeFile, { path: "other.txt", content: "1" }, { at: one!.url })
        yield* client.ask(writeFile, { path: "a b.txt", content: "1" }, { at: one!.url })
        const first = yield* nextMessage(stream)
        assert.deepStrictEqual(messageOf(first), {
          jsonrpc: "2.0",
          method: "notifications/resources/updated",
          params: { uri: uri("a b.txt") },
        } as Message)
        assert.match(first.id ?? "", /^_\.\d+$/)
        yield* client.ask(exec, { command: "echo 2 > other.txt; mv other.txt 'a b.txt'" }, { at: three!.url })
        assert.strictEqual(messageOf(yield* nextMessage(stream)).params?.uri, uri("a b.txt"))
      }),
    )

    it.scoped("that broke is gone on with on another node, and nothing is lost or said twice", () =>
      Effect.gen(function* () {
        const cluster = yield* TestCluster
        const [one, two, three] = yield* nodesOf(cluster)
        const { ask, client, listen } = yield* raw(cluster, one!.id)
        yield* client.ask(exec, { command: "mkdir d" })
        for (const name of ["d/1", "d/2"]) yield* ask(two!.url, "resources/subscribe", { uri: uri(name) })
        const broken = yield* listen(two!.url)
        yield* client.ask(writeFile, { path: "d/1", content: "" })
        const { id } = yield* nextMessage(broken)
        yield* broken.cut
        yield* client.ask(writeFile, { path: "d/2", content: "" })
        const next = yield* nextMessage(yield* listen(three!.url, id))
        assert.strictEqual(messageOf(next).params?.uri, uri("d/2"))
        // And once more, as one whose answer to that was lost.
        assert.strictEqual((yield* nextMessage(yield* listen(two!.url, id))).data, next.data)
      }),
    )

    it.scoped("ends where the client opens another one", () =>
      Effect.gen(function* () {
        const cluster = yield* TestCluster
        const [one, two, three] = yield* nodesOf(cluster)
        const { ask, client, listen } = yield* raw(cluster, one!.id)
        yield* ask(two!.url, "resources/subscribe", { uri: uri("a") })
        const older = yield* listen(two!.url)
        const newer = yield* listen(three!.url)
        assert.isEmpty((yield* EventStream.rest(older)).filter(({ data }) => data !== ""))
        yield* client.ask(writeFile, { path: "a", content: "" })
        assert.strictEqual(messageOf(yield* nextMessage(newer)).params?.uri, uri("a"))
      }),
    )

    it.scoped("has no more of what the client unsubscribed from, and refuses what is no resource", () =>
      Effect.gen(function* () {
        const cluster = yield* TestCluster
        const [one, two] = yield* nodesOf(cluster)
        const { ask, client, listen } = yield* raw(cluster, one!.id)
        for (const name of ["a", "b"]) yield* ask(two!.url, "resources/subscribe", { uri: uri(name) })
        yield* ask(one!.url, "resources/unsubscribe", { uri: uri("a") })
        const stream = yield* listen(two!.url)
        for (const path of ["a", "b"]) yield* client.ask(writeFile, { path, content: "" })
        assert.strictEqual(messageOf(yield* nextMessage(stream)).params?.uri, uri("b"))
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
        const { ask, headers } = yield* raw(cluster, one!.id)
        assert.deepStrictEqual((yield* ask(two!.url, "logging/setLevel", { level: "info" })).result, {})
        const call = (id: number) =>
          Effect.flatMap(
            EventStream.open(`${three!.url}/mcp`, {
              method: "POST",
              headers,
              body: {
                jsonrpc: "2.0",
                id,
                method: "tools/call",
                params: { name: "exec", arguments: { argv: ["true"] } },
              },
            }),
            (stream) =>
              Effect.map(EventStream.rest(stream), (events) => events.filter(({ data }) => data !== "")),
          )
        const [log, answer] = (yield* call(7)).map(messageOf)
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
        const stream = yield* listen(two!.url)
        yield* client.ask(writeFile, { path: "a", content: "1" }, { at: two!.url })
        yield* nextMessage(stream)
        yield* cluster.kill(one!.id)
        const lost = yield* client.refused(writeFile, { path: "b", content: "" }, { at: two!.url })
        assert.strictEqual(lost.code, "workspace_lost")
        yield* client.ask(writeFile, { path: "b", content: "" }, { at: two!.url })
        assert.strictEqual(messageOf(yield* nextMessage(stream)).params?.uri, uri("a"))
      }),
    )
  },
)
