/** Two tokens on two nodes: to each principal, the other's connections and sessions do not exist. */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { createHash } from "node:crypto"
import { closeSession } from "../../src/tools/sessions/CloseSession.ts"
import { listSessions } from "../../src/tools/sessions/ListSessions.ts"
import { openSession } from "../../src/tools/sessions/OpenSession.ts"
import { readFile } from "../../src/tools/files/ReadFile.ts"
import { sessionInfo } from "../../src/tools/sessions/SessionInfo.ts"
import { writeFile } from "../../src/tools/files/WriteFile.ts"
import * as Http from "../support/Http.ts"
import * as RawClient from "../support/RawClient.ts"
import { nodesOf, TestCluster } from "../support/TestCluster.ts"

const hash = (token: string) => createHash("sha256").update(token).digest("hex")

const anne = { token: "token-of-anne" }
const ben = { token: "token-of-ben" }

const env = { API_TOKENS: `anne:${hash(anne.token)}, ben:${hash(ben.token).toUpperCase()}` }

const request = (method: string, connection: string, authorization: string): Http.HttpRequest => ({
  method,
  headers: RawClient.headersOf(connection, authorization === "" ? {} : { authorization }),
  body: method === "POST" ? JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list" }) : undefined,
})

layer(TestCluster.layer({ nodes: 2, env }), { excludeTestServices: true, timeout: "60 seconds" })(
  "principals",
  (it) => {
    it.scoped("answers 401 and how to do better without a token, or with a wrong one", () =>
      Effect.gen(function* () {
        const cluster = yield* TestCluster
        const { connection } = yield* cluster.client(anne)
        for (const { url } of yield* nodesOf(cluster)) {
          for (const authorization of [
            "",
            "Bearer",
            "Bearer wrong",
            `Basic ${anne.token}`,
            `Bearer ${hash(anne.token)}`,
            `Bearer ${anne.token}x`,
            `Bearer ${anne.token.toUpperCase()}`,
          ]) {
            for (const method of ["POST", "GET", "DELETE"]) {
              const answer = yield* Http.send(`${url}/mcp`, request(method, connection, authorization))
              assert.strictEqual(answer.status, 401, `${method} ${authorization}`)
              assert.match(answer.headers["www-authenticate"] ?? "", /^Bearer/)
            }
          }
          assert.strictEqual((yield* Http.send(`${url}/healthz`)).status, 200)
        }
        const refusal = yield* Effect.flip(Effect.scoped(cluster.client()))
        assert.strictEqual(refusal.status, 401)
      }),
    )

    it.scoped("answers 404 to a foreign connection, whatever is asked of it", () =>
      Effect.gen(function* () {
        const cluster = yield* TestCluster
        const client = yield* cluster.client(anne)
        for (const { url } of yield* nodesOf(cluster)) {
          for (const method of ["POST", "GET", "DELETE"]) {
            const answer = yield* Http.send(
              `${url}/mcp`,
              request(method, client.connection, `Bearer ${ben.token}`),
            )
            assert.strictEqual(answer.status, 404, method)
          }
        }
        yield* client.ask(sessionInfo, {})
      }),
    )

    it.scoped("knows no foreign session, by whatever tool it is named", () =>
      Effect.gen(function* () {
        const cluster = yield* TestCluster
        const owner = yield* cluster.client(anne)
        const stranger = yield* cluster.client(ben)
        const { session_id: session } = yield* owner.ask(openSession, { name: "secret" })
        yield* owner.ask(writeFile, { path: "secret.txt", content: "anne's" }, { session })
        const unknown = { session: `s_${"0".repeat(32)}` }
        for (const options of [{ session }, unknown]) {
          const codes = yield* Effect.all([
            stranger.refused(readFile, { path: "secret.txt" }, options),
            stranger.refused(writeFile, { path: "secret.txt", content: "" }, options),
            stranger.refused(sessionInfo, {}, options),
            stranger.refused(closeSession, {}, options),
          ])
          for (const failure of codes) {
            assert.strictEqual(failure.code, "session_not_found")
            assert.notInclude(failure.message, "anne")
          }
        }
        const { sessions } = yield* stranger.ask(listSessions, {})
        assert.notInclude(
          sessions.map((one) => one.session_id),
          session,
        )
        assert.strictEqual(
          (yield* owner.ask(readFile, { path: "secret.txt" }, { session })).content,
          "anne's",
        )
        yield* owner.ask(closeSession, {}, { session })
      }),
    )

    it.scoped("gives two principals two sessions of one name", () =>
      Effect.gen(function* () {
        const cluster = yield* TestCluster
        const clients = [
          yield* cluster.client({ ...anne, session: "app" }),
          yield* cluster.client({ ...ben, session: "app" }),
        ]
        yield* Effect.forEach(clients, (client, n) =>
          client.ask(writeFile, { path: "who", content: String(n) }),
        )
        const infos = yield* Effect.forEach(clients, (client) => client.ask(sessionInfo, {}))
        const files = yield* Effect.forEach(clients, (client) => client.ask(readFile, { path: "who" }))
        assert.notStrictEqual(infos[0]?.session_id, infos[1]?.session_id)
        assert.deepStrictEqual(
          infos.map((info) => info.name),
          ["app", "app"],
        )
        assert.deepStrictEqual(
          files.map((file) => file.content),
          ["0", "1"],
        )
        yield* Effect.forEach(clients, (client) => client.ask(closeSession, {}))
      }),
    )
  },
)
