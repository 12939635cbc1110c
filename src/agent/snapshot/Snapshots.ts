/** The session's files as they are, or what changed of them, and back into an empty sandbox. */
import type { Restore, RestoreReply, Snapshot, SnapshotReply } from "../files/FileProtocol.ts"
import type { Transfer } from "../files/Transfers.ts"
import type { Workspace } from "../files/Workspace.ts"
import type { Watch } from "../watch/Watch.ts"
import { Receiving } from "./Receiving.ts"
import { RecordWriter } from "./RecordWriter.ts"
import { Sending } from "./Sending.ts"
import { Stamps } from "./Stamps.ts"

export interface Root {
  /** What paths in records begin with. */
  readonly name: string
  readonly workspace: Workspace
  readonly watch: Watch
}

export class Snapshots {
  private readonly roots: ReadonlyArray<Root>
  private readonly stamps = new Stamps()
  private last: Promise<unknown> = Promise.resolve()
  /** What was answered last, with the cursors of the roots' changes that it stands for. */
  private answered: { readonly cursor: string; readonly roots: ReadonlyArray<string> } | undefined

  constructor(roots: ReadonlyArray<Root>) {
    this.roots = roots
  }

  /** The last cursor that was given, where nothing has changed since, as far as can be said at once; else null. */
  still() {
    const { answered } = this
    return answered !== undefined &&
      this.roots.every(({ watch }, root) => watch.isStill(answered.roots[root]!))
      ? answered.cursor
      : null
  }

  /** One at a time: one that was given up may not have ended yet. */
  snapshot(query: Snapshot, transfer: Transfer): Promise<typeof SnapshotReply.Type> {
    const turn = this.last.then(() => this.take(query, transfer))
    this.last = turn.catch(() => {})
    return turn
  }

  private async take({ after, exclude, maxEntries }: Snapshot, transfer: Transfer) {
    // What changes from here on is what comes after the cursor, also where it is seen already.
    const cursors = after?.split("|") ?? []
    const changes = await Promise.all(this.roots.map(({ watch }, index) => watch.all(cursors[index] ?? "")))
    this.stamps.begin(cursors[this.roots.length])
    const writer = new RecordWriter(transfer)
    const sending = new Sending(writer, this.stamps, exclude, maxEntries)
    const isLost = changes.some(({ overflow }) => overflow)
    if (!isLost) {
      for (const [index, root] of this.roots.entries()) {
        for (const path of outermost(changes[index]!.paths)) await sending.one(root, path)
      }
    }
    const looks = isLost || sending.hasLinks
    const whole = looks && !this.stamps.isWhole
    if (whole) this.stamps.startOver(this.roots.map(({ name }) => name))
    if (looks) await sending.below(this.roots, whole ? "nothing" : isLost ? "contents" : "times")
    await writer.flush()
    return { cursor: this.answer(changes, [this.stamps.cursor]), whole, unstable: sending.unstable }
  }

  async restore(_: Restore, transfer: Transfer): Promise<typeof RestoreReply.Type> {
    const receiving = new Receiving(new Map(this.roots.map(({ name, workspace }) => [name, workspace.root])))
    try {
      await transfer.receive(async (chunk) => receiving.push(chunk))
      receiving.finish()
    } finally {
      receiving.close()
    }
    return { cursor: this.answer(await Promise.all(this.roots.map(({ watch }) => watch.begin()))) }
  }

  /** One cursor of all roots. */
  private answer(changes: ReadonlyArray<{ readonly cursor: string }>, more: ReadonlyArray<string> = []) {
    const roots = changes.map(({ cursor }) => cursor)
    const cursor = [...roots, ...more].join("|")
    this.answered = { cursor, roots }
    return cursor
  }
}

/** Those that are below no other: what is below one comes with it. */
const outermost = (paths: ReadonlyArray<string>) => {
  const all = new Set(paths)
  return paths.filter((path) => {
    for (let at = path.lastIndexOf("/"); at > 0; at = path.lastIndexOf("/", at - 1)) {
      if (all.has(path.slice(0, at))) return false
    }
    return true
  })
}
