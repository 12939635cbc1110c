/** Sessions whose files are saved as their owners do it, from folders of this machine, in either store. */
import { assert } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { createHash } from "node:crypto"
import { lstatSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Principal, type SessionId } from "../../src/domain/Identity.ts"
import { SessionRows } from "../../src/session/SessionRows.ts"
import { CheckpointRows } from "../../src/workspace/CheckpointRows.ts"
import { Checkpoints, type Place } from "../../src/workspace/Checkpoints.ts"
import * as DirectoryPacks from "../../src/workspace/DirectoryPacks.ts"
import type { PackStore } from "../../src/workspace/PackStore.ts"
import * as PostgresPacks from "../../src/workspace/PostgresPacks.ts"
import * as FakeSandbox from "./FakeSandbox.ts"
import { LocalFiles } from "./LocalFiles.ts"
import * as SessionTable from "./SessionTable.ts"
import * as TestNode from "./TestNode.ts"

export const principal = Principal.make("local")
export const template = FakeSandbox.call(Effect.die("no sandbox")).template
export const nothing: Place = { number: 0, base: 0, cursor: undefined }

/** A session that a node owns, and what it does with a folder that stands for its sandbox. */
export const session = Effect.gen(function* () {
  const checkpoints = yield* Checkpoints
  const rows = yield* SessionRows
  const id = yield* SessionTable.insert()
  const { epoch } = yield* rows.claim(id, { epoch: 0, container: undefined }, [])
  const place: { current: Place } = { current: nothing }
  return {
    id,
    place,
    save: (files: typeof LocalFiles.Service) =>
      Effect.gen(function* () {
        const sandbox = FakeSandbox.make({ files: files.files })
        const saved = yield* checkpoints.save(principal, sandbox, template, place.current)
        if (saved.checkpoint !== undefined) yield* rows.commit(id, epoch, saved.checkpoint)
        place.current = saved.place
        return saved.checkpoint
      }),
  }
})

/** All that a folder holds, by paths, with everything that a checkpoint keeps. */
export const contentsOf = (root: string, path = ""): Record<string, unknown> =>
  Object.fromEntries(
    readdirSync(join(root, path), { encoding: "latin1" }).flatMap((name) => {
      const inner = `${path}/${name}`
      const place = Buffer.from(`${root}${inner}`, "latin1")
      const stats = lstatSync(place)
      if (stats.isDirectory()) {
        return [[inner, stats.mode], ...Object.entries(contentsOf(root, inner))]
      }
      if (stats.isSymbolicLink()) return [[inner, readlinkSync(place)]]
      if (!stats.isFile()) return []
      const { mode, mtimeMs, size, blocks } = stats
      const hash = size > 2 ** 28 ? "sparse" : createHash("sha256").update(readFileSync(place)).digest("hex")
      return [[inner, { mode, modified: mtimeMs, size, hash, sparse: blocks * 512 < size }]]
    }),
  )

/** Times are kept to the microsecond, of which Node's own are a fraction off. */
export const assertHolds = (holds: Record<string, unknown>, wanted: Record<string, unknown>) => {
  const modified = (entry: unknown) => (entry as { modified?: number } | undefined)?.modified ?? 0
  const isNear = (path: string) => Math.abs(modified(holds[path]) - modified(wanted[path])) < 0.002
  const near = Object.entries(holds).map(([path, entry]) => [
    path,
    typeof entry === "object" && isNear(path) ? { ...entry, modified: modified(wanted[path]) } : entry,
  ])
  assert.deepStrictEqual(Object.fromEntries(near), wanted)
}

/** Another sandbox, with the files of a session's newest checkpoint. */
export const restored = (id: SessionId, number: number) =>
  Effect.gen(function* () {
    const files = yield* LocalFiles
    const sandbox = FakeSandbox.make({ files: files.files })
    const place = yield* (yield* Checkpoints).restore(principal, id, number, sandbox)
    return { files, place, holds: contentsOf(files.root), home: contentsOf(files.home) }
  }).pipe(Effect.provide(LocalFiles.layer))

const saving = <E, R>(store: Layer.Layer<PackStore, E, R>) =>
  Checkpoints.layer.pipe(
    Layer.provideMerge(CheckpointRows.layer),
    Layer.provideMerge(store),
    Layer.provideMerge(TestNode.database({ GARBAGE_GRACE: "1 millis" })),
  )

export const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "codegen-store-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true })),
)

const directory = Layer.unwrapScoped(Effect.map(folder, DirectoryPacks.layer))

export const stores = { "in Postgres": saving(PostgresPacks.layer), "in a folder": saving(directory) }
