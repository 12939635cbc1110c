/**
 * What the files were like when they were sent last, so that a look at all of them sends only those that differ. It is
 * kept in the agent's memory alone, and ends with the sandbox: after a restore nothing is known.
 *
 * A program can set a file's times, but not that of its last change (ctime), which every change of its bytes, its
 * permissions or its times moves on. The kernel's clock for it ticks: a file that changed at the very tick in which it
 * was read may change again and look the same, so of such a file nothing is noted. Through a mapping, a file is written
 * to without a trace; hence `sum`.
 */
import { randomBytes } from "node:crypto"
import type { Stats } from "node:fs"

/** What is noted: entries, and characters of their names. Some 150 bytes an entry. */
const maxStamps = 100_000
const maxCharacters = 4 * 1024 * 1024

/** Milliseconds, more than two ticks of the slowest kernel's clock. */
const tick = 25

/** Of a file, folder or link. */
export interface Stamp {
  /** When it changed last, in milliseconds since 1970; not a number where it may change and look the same. */
  readonly changed: number
  readonly inode: number
  /** In bytes. */
  readonly size: number
  /** Of a file's bytes. */
  readonly sum: number
  /** Of a folder. */
  readonly mode: number
  readonly inner: Folder | undefined
}

export type Folder = Map<string, Stamp>

/** At a file or link. */
type Look = Pick<Stats, "ctimeMs" | "ino" | "size">

export class Stamps {
  /** Another agent's cursors mean nothing here. */
  private readonly life = randomBytes(8).toString("hex")
  private snapshots = 0
  private roots: Folder | undefined
  private left = { stamps: 0, characters: 0 }

  /**
   * A snapshot begins, of what changed after an earlier one. What is noted is of the last one that was sent: where that
   * is not the one, whatever it told may not be known to the node.
   */
  begin(after: string | undefined) {
    if (after !== this.cursor) this.roots = undefined
    this.snapshots++
  }

  /** Names the snapshot that is being sent. */
  get cursor() {
    return `${this.life}.${this.snapshots}`
  }

  /** All that was sent before is noted. */
  get isWhole() {
    return this.roots !== undefined
  }

  /** All that is below these is sent anew. */
  startOver(names: ReadonlyArray<string>) {
    this.roots = new Map()
    this.left = { stamps: maxStamps, characters: maxCharacters }
    for (const name of names) this.folder(this.roots, name, 0)
  }

  /** What is noted below a folder; undefined where nothing is to be. */
  at(path: string): Folder | undefined {
    let folder = this.roots
    for (const name of path.split("/")) folder = folder?.get(name)?.inner
    // A folder that was never sent: what is noted is not all.
    if (folder === undefined) this.roots = undefined
    return folder
  }

  /** Notes a folder that was sent with its permissions; gives what is noted below it, which is nothing of a new one. */
  folder(within: Folder | undefined, name: string, mode: number): Folder | undefined {
    const known = within?.get(name)?.inner
    const inner = known ?? new Map()
    const stamp = { changed: 0, inode: 0, size: 0, sum: 0, mode, inner }
    return this.note(within, name, stamp) ? inner : known
  }

  /** Notes a file or link that was sent, looked at with `stats` at `time`, before its bytes were read. */
  file(within: Folder | undefined, name: string, { ctimeMs, ino, size }: Look, time: number, sum: number) {
    const changed = ctimeMs < time - tick ? ctimeMs : NaN
    this.note(within, name, { changed, inode: ino, size, sum, mode: 0, inner: undefined })
  }

  forget(within: Folder | undefined, name: string) {
    const stamp = within?.get(name)
    if (within === undefined || stamp === undefined) return
    for (const inner of stamp.inner?.keys() ?? []) this.forget(stamp.inner, inner)
    within.delete(name)
    this.left.stamps++
    this.left.characters += name.length
  }

  /** Says whether there was room. */
  private note(within: Folder | undefined, name: string, stamp: Stamp) {
    if (within === undefined || this.roots === undefined) return false
    const known = within.get(name)
    if (known?.inner !== undefined && stamp.inner === undefined) this.forget(within, name)
    if (!within.has(name)) {
      this.left.stamps--
      this.left.characters -= name.length
      if (this.left.stamps < 0 || this.left.characters < 0) {
        this.roots = undefined
        return false
      }
    }
    within.set(name, stamp)
    return true
  }
}

/** Whether a file or link is as it was when it was noted. */
export const isSame = (stamp: Stamp | undefined, { ctimeMs, ino, size }: Look) =>
  stamp !== undefined &&
  stamp.inner === undefined &&
  stamp.changed === ctimeMs &&
  stamp.inode === ino &&
  stamp.size === size
