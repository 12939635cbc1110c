/** A store that has no room, or is away, and a node whose own disk is full. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { appendFileSync, readFileSync, statSync } from "node:fs"
import * as LocalNode from "../../scripts/cluster/LocalNode.ts"
import { exec } from "../../src/tools/commands/Exec.ts"
import { readFile } from "../../src/tools/files/ReadFile.ts"
import { sessionInfo } from "../../src/tools/sessions/SessionInfo.ts"
import { writeFile } from "../../src/tools/files/WriteFile.ts"
import type { TestClient } from "../support/Client.ts"
import * as Leaks from "../support/Leaks.ts"
import * as Mount from "../support/Mount.ts"
import { clientOwnedBy, nodesOf, settled, TestCluster } from "../support/TestCluster.ts"
import { until } from "../support/Until.ts"

const whereAble = Mount.able ? it.scopedLive : it.scopedLive.skip

const clusterOf = (env: Readonly<Record<string, string>>) =>
  Effect.map(Layer.build(TestCluster.layer({ nodes: 1, env })), Context.get(TestCluster))

/** Makes a file that does not shrink, of more than a pack; gives its hash, and how it stands with it. */
const made = (client: TestClient, name: string) =>
  Effect.map(
    client.ask(exec, { command: `head -c 5000000 /dev/urandom > ${name}; sha256sum < ${name}` }),
    ({ checkpoint, stdout }) => ({ checkpoint, hash: stdout }),
  )

const hashOf = (client: TestClient, name: string) =>
  Effect.map(client.ask(exec, { command: `sha256sum < ${name}` }), ({ stdout }) => stdout)

describe("A store", () => {
  whereAble("that is full, or away, is said to be so by each call, and takes all once it is not", () =>
    Effect.gen(function* () {
      const store = yield* Mount.make(32)
      const cluster = yield* clusterOf({ WORKSPACE_STORE: store.folder })
      const client = yield* cluster.client()
      yield* client.ask(writeFile, { path: "kept", content: "kept" })
      const first = yield* made(client, "first")
      assert.deepStrictEqual(first.checkpoint, { state: "saved", id: "2" })

      yield* store.fill
      const second = yield* made(client, "second")
      assert.strictEqual(second.checkpoint.state, "failed")
      assert.match(second.checkpoint.reason ?? "", /ENOSPC|no space/)
      const small = yield* client.ask(writeFile, { path: "small", content: "small" })
      assert.strictEqual(small.checkpoint.state, "failed")
      assert.strictEqual((yield* client.ask(sessionInfo, {})).checkpoint.state, "failed")
      assert.strictEqual((yield* client.ask(readFile, { path: "small" })).content, "small")
      yield* store.free
      // Nothing new, and yet all that was not saved before.
      const saved = yield* client.ask(exec, { command: "true" })
      assert.deepStrictEqual(saved.checkpoint, { state: "saved", id: "3" })
      yield* cluster.removeContainers
      assert.strictEqual(yield* hashOf(client, "first"), first.hash)
      assert.strictEqual(yield* hashOf(client, "second"), second.hash)

      yield* store.away
      const third = yield* made(client, "third")
      assert.strictEqual(third.checkpoint.state, "failed")
      assert.include(third.checkpoint.reason ?? "", "is not the cluster's folder")
      yield* cluster.removeContainers
      const lost = yield* client.refused(exec, { command: "ls" })
      assert.strictEqual(lost.code, "workspace_lost")
      const refused = yield* client.refused(exec, { command: "ls" })
      assert.strictEqual(refused.code, "not_restored")
      assert.include(refused.message, "is not the cluster's folder")
      yield* store.back
      assert.strictEqual((yield* client.ask(exec, { command: "ls" })).stdout, "first\nkept\nsecond\nsmall\n")
      assert.strictEqual(yield* hashOf(client, "second"), second.hash)
      yield* Leaks.none(cluster)
    }),
  )
})

/** A file has room up to the end of its last block; gives its size without. */
const fillUp = (file: string) => {
  try {
    for (;;) appendFileSync(file, "-")
  } catch {
    return statSync(file).size
  }
}

describe("A node", () => {
  whereAble("whose own disk is full, its log's too, works on and saves", () =>
    Effect.gen(function* () {
      const disk = yield* Mount.make(1)
      const cluster = yield* clusterOf({})
      const { databaseUrl, settings } = yield* cluster.state
      const { child, entry } = yield* LocalNode.start({
        id: "full",
        databaseUrl,
        settings,
        runFolder: disk.folder,
      })
      const others = (yield* nodesOf(cluster)).map(({ url }) => url)
      yield* settled([...others, entry.url])
      yield* disk.fill
      const log = LocalNode.logOf(disk.folder, "full")
      const full = fillUp(log)
      const client = yield* clientOwnedBy(cluster, "full")
      const { checkpoint, hash } = yield* made(client, "made")
      assert.deepStrictEqual(checkpoint, { state: "saved", id: "1" })
      // A process bears one line that its log does not take, and no second one.
      for (let lines = 0; lines < 3; lines++) {
        yield* cluster.removeContainers
        assert.strictEqual(yield* hashOf(client, "made"), hash)
      }
      assert.strictEqual((yield* client.ask(sessionInfo, {})).owner_node, "full")
      yield* disk.free
      yield* cluster.removeContainers
      yield* until(
        Effect.sync(() => readFileSync(log, "utf8").slice(full)),
        (text) => text.includes("a sandbox is lost"),
      )
      yield* child.stop
      assert.deepStrictEqual(yield* child.exited, { code: 0, signal: null })
      assert.strictEqual(yield* hashOf(client, "made"), hash)
      yield* Leaks.none(cluster)
    }),
  )
})
