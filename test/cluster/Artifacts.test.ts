/** Artifacts and archives by URLs, through any node, and after the node that had the session is gone. */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { createHash, randomBytes } from "node:crypto"
import { readFileSync } from "node:fs"
import { request } from "node:http"
import { gzipSync } from "node:zlib"
import type { ArchiveEntry } from "../../src/agent/archive/Archive.ts"
import * as Tar from "../../src/agent/archive/Tar.ts"
import { deleteArtifact } from "../../src/tools/artifacts/DeleteArtifact.ts"
import { getArtifact } from "../../src/tools/artifacts/GetArtifact.ts"
import { listArtifacts } from "../../src/tools/artifacts/ListArtifacts.ts"
import { saveArtifact } from "../../src/tools/artifacts/SaveArtifact.ts"
import { exec } from "../../src/tools/commands/Exec.ts"
import { downloadArchive } from "../../src/tools/files/DownloadArchive.ts"
import { readFile } from "../../src/tools/files/ReadFile.ts"
import { uploadArchive } from "../../src/tools/files/UploadArchive.ts"
import { closeSession } from "../../src/tools/sessions/CloseSession.ts"
import { writeFile } from "../../src/tools/files/WriteFile.ts"
import { clientOwnedBy, nodesOf, settled, TestCluster } from "../support/TestCluster.ts"

const MiB = 1024 * 1024

interface Sent {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: AsyncIterable<Uint8Array> | Uint8Array
}

/** Asks by a URL, of this node where it is another one than the URL's. */
const fetchAt = (url: string, node: string | undefined, { body, headers, method }: Sent = {}) =>
  Effect.promise(async () => {
    const { pathname } = new URL(url)
    const answer = await fetch(node === undefined ? url : new URL(pathname, node), {
      method: method ?? "GET",
      headers: headers ?? {},
      ...(body === undefined ? {} : { body: body as never, duplex: "half" }),
    })
    return {
      status: answer.status,
      headers: answer.headers,
      node: answer.headers.get("x-codegen-node"),
      bytes: Buffer.from(await answer.arrayBuffer()),
    }
  })

const json = ({ bytes }: { readonly bytes: Buffer }): any => JSON.parse(bytes.toString())

const hashOf = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex")

/** A tar of one file, which is made as it is sent. */
const tarOf = (path: string, size: number, piece: () => Buffer) =>
  Tar.write(
    (async function* (): AsyncGenerator<ArchiveEntry> {
      yield {
        path,
        kind: "file",
        target: "",
        mode: 0o644,
        modified: 0,
        size,
        data: async function* () {
          for (let left = size; left > 0;) {
            const part = piece().subarray(0, left)
            left -= part.length
            yield part
          }
        },
      }
    })(),
  )

/** The most memory that a process has had so far, and what it has now, in MB. */
const peakOf = (pid: number) =>
  Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024
const residentOf = (pid: number) =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024

layer(
  TestCluster.layer({
    nodes: 3,
    env: { SANDBOX_WORKSPACE: String(160 * MiB), REQUEST_TIMEOUT: "50 seconds" },
  }),
  {
    excludeTestServices: true,
    timeout: "90 seconds",
  },
)("artifacts", (it) => {
  it.scoped("come and go as archives by any node's URLs, of the session alone, and once", () =>
    Effect.gen(function* () {
      const cluster = yield* TestCluster
      const [one, two, three] = yield* nodesOf(cluster)
      const client = yield* clientOwnedBy(cluster, one!.id)
      const archive = gzipSync(
        yield* Effect.promise(async () => {
          const parts: Array<Buffer> = []
          for await (const part of tarOf("src/hello.py", 20, () => Buffer.from("print('hello there')")))
            parts.push(part)
          return Buffer.concat(parts)
        }),
      )
      const ready = yield* client.ask(uploadArchive, { path: "project" })
      assert.match(ready.upload_url ?? "", new RegExp(`^${new URL(cluster.mcpUrl).origin}/files/`))
      assert.strictEqual((yield* fetchAt(ready.upload_url!, two!.url)).status, 403)
      const sent = yield* fetchAt(ready.upload_url!, two!.url, { method: "PUT", body: archive })
      assert.strictEqual(sent.status, 200, sent.bytes.toString())
      assert.strictEqual(sent.node, two!.id)
      assert.deepInclude(json(sent), { path: "project", files: 1, skipped_count: 0 })
      assert.strictEqual(json(sent).checkpoint.state, "saved")
      const { stdout } = yield* client.ask(exec, { argv: ["python3", "project/src/hello.py"] })
      assert.strictEqual(stdout, "hello there\n")
      const again = yield* fetchAt(ready.upload_url!, three!.url, { method: "PUT", body: archive })
      assert.deepStrictEqual([again.status, json(again).code], [409, "url_used"])
      const small = yield* client.ask(uploadArchive, { path: "small", content: archive.toString("base64") })
      assert.deepInclude(small, { files: 1, bytes: 20 })
      const broken = yield* client.ask(uploadArchive, {})
      const refused = yield* fetchAt(broken.upload_url!, undefined, {
        method: "PUT",
        body: Buffer.from("no archive"),
      })
      assert.deepStrictEqual([refused.status, json(refused).code], [422, "bad_archive"])

      const packed = yield* client.ask(downloadArchive, { path: "project", format: "zip" })
      const got = yield* fetchAt(packed.url, three!.url)
      assert.deepStrictEqual([got.status, got.node, hashOf(got.bytes)], [200, three!.id, packed.sha256])
      assert.strictEqual(packed.content, got.bytes.toString("base64"))
      for (const [header, value] of Object.entries({
        "content-type": "application/zip",
        "content-length": String(packed.size),
        "content-disposition": `attachment; filename="project.zip"; filename*=UTF-8''project.zip`,
        "x-content-type-options": "nosniff",
        "cache-control": "private, no-store",
        "content-security-policy": "sandbox; default-src 'none'",
        etag: `"${packed.sha256}"`,
        "set-cookie": null,
      })) {
        assert.strictEqual(got.headers.get(header), value, header)
      }
      const part = yield* fetchAt(packed.url, two!.url, { headers: { range: "bytes=2-5" } })
      assert.deepStrictEqual(
        [part.status, part.headers.get("content-range")],
        [206, `bytes 2-5/${packed.size}`],
      )
      assert.isTrue(part.bytes.equals(got.bytes.subarray(2, 6)))
      const head = yield* fetchAt(packed.url, two!.url, { method: "HEAD" })
      assert.deepStrictEqual([head.status, head.headers.get("content-length")], [200, String(packed.size)])
      const same = yield* fetchAt(packed.url, two!.url, {
        headers: { "if-none-match": got.headers.get("etag")! },
      })
      assert.strictEqual(same.status, 304)
      for (const wrong of [
        packed.url.replace("/files/", "/files/x"),
        packed.url.replace(/\.[\w-]{6}/, ".AAAAAA"),
      ]) {
        assert.strictEqual((yield* fetchAt(wrong, undefined)).status, 403)
      }
      assert.strictEqual(
        (yield* fetchAt(packed.url, undefined, { method: "PUT", body: archive })).status,
        403,
      )
    }),
  )

  it.scoped("outlive the node that had their session, and their session, whose URLs end", () =>
    Effect.gen(function* () {
      const cluster = yield* TestCluster
      const [one, two, three] = yield* nodesOf(cluster)
      const client = yield* clientOwnedBy(cluster, one!.id, { named: true })
      yield* client.ask(exec, { command: "head -c 3000000 /dev/urandom > data.bin; sha256sum data.bin" })
      const saved = yield* client.ask(saveArtifact, { path: "data.bin", name: "built.bin" })
      yield* client.ask(writeFile, { path: "report.txt", content: "2 passed\n" })
      const report = yield* client.ask(saveArtifact, { path: "report.txt" })
      yield* cluster.kill(one!.id)

      const got = yield* fetchAt(saved.url, two!.url)
      assert.deepStrictEqual([got.status, got.node, hashOf(got.bytes)], [200, two!.id, saved.sha256])
      yield* settled([two!.url, three!.url])
      assert.strictEqual(
        (yield* client.ask(readFile, { path: "report.txt" }, { at: three!.url })).content,
        "2 passed\n",
      )
      const shown = yield* client.ask(getArtifact, { artifact_id: report.artifact_id }, { at: three!.url })
      assert.deepInclude(shown, { text: "2 passed\n", mime_type: "text/plain", size: 9, kept_until: null })
      const unused = yield* client.ask(uploadArchive, {}, { at: three!.url })

      yield* client.ask(closeSession, {}, { at: three!.url })
      for (const url of [saved.url, shown.url]) {
        const ended = yield* fetchAt(url, two!.url)
        assert.deepStrictEqual([ended.status, json(ended).code], [403, "url_refused"])
      }
      const late = yield* fetchAt(unused.upload_url!, two!.url, { method: "PUT", body: Buffer.from("x") })
      assert.strictEqual(late.status, 403)
      // Whose they are may still ask for them.
      const other = yield* cluster.client({ url: `${two!.url}/mcp` })
      const { artifacts } = yield* other.ask(listArtifacts, {})
      assert.sameMembers(
        artifacts.map(({ name }) => name),
        ["built.bin", "report.txt"],
      )
      const kept = yield* other.ask(getArtifact, { artifact_id: saved.artifact_id })
      assert.isNotNull(kept.kept_until)
      assert.strictEqual(hashOf((yield* fetchAt(kept.url, three!.url)).bytes), saved.sha256)
      yield* other.ask(deleteArtifact, { artifact_id: saved.artifact_id })
      assert.strictEqual((yield* fetchAt(kept.url, three!.url)).status, 404)
      assert.strictEqual(
        (yield* other.refused(getArtifact, { artifact_id: saved.artifact_id })).code,
        "artifact_not_found",
      )
      yield* cluster.addNode(one!.id)
      yield* settled((yield* nodesOf(cluster)).map(({ url }) => url))
    }),
  )

  it.scoped("take a large archive in and out without holding it, and let go of what breaks off", () =>
    Effect.gen(function* () {
      const cluster = yield* TestCluster
      const [one, two, three] = yield* nodesOf(cluster)
      const client = yield* clientOwnedBy(cluster, one!.id)
      const pids = (yield* cluster.state).nodes
      const pidOf = (id: string) => pids.find((node) => node.id === id)!.pid
      yield* client.ask(exec, { command: "true" })
      const before = residentOf(pidOf(two!.id))
      const { upload_url } = yield* client.ask(uploadArchive, {})
      // A client that breaks off leaves nothing, and may send it again.
      yield* Effect.async<void>((resume) => {
        const cut = request(new URL(new URL(upload_url!).pathname, two!.url), {
          method: "PUT",
          headers: { "content-length": 9 * MiB },
        })
        cut.on("error", () => resume(Effect.void))
        cut.write(randomBytes(6 * MiB), () => cut.destroy())
      })
      const size = 100 * MiB
      const body = tarOf("large.bin", size, () => randomBytes(MiB))
      const sent = yield* fetchAt(upload_url!, two!.url, { method: "PUT", body })
      assert.strictEqual(sent.status, 200, sent.bytes.toString())
      assert.deepInclude(json(sent), { files: 1, bytes: size })
      // What waits for the collector of garbage is counted too.
      const grown = peakOf(pidOf(two!.id)) - before
      assert.isBelow(grown, 128, `the node that took it grew by ${grown} MB`)
      const packed = yield* client.ask(downloadArchive, { exclude: [] })
      const fetched = Effect.map(fetchAt(packed.url, three!.url), ({ bytes }) => {
        assert.strictEqual(hashOf(bytes), packed.sha256)
        return peakOf(pidOf(three!.id))
      })
      const first = yield* fetched
      const more = (yield* fetched) - first
      assert.isBelow(more, 64, `the node that gave it again grew by ${more} MB`)
    }),
  )
})
