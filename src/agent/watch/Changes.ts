/** The paths that changed, in the order of their last change, bounded: the oldest are forgotten first. */
import { randomBytes } from "node:crypto"
import type { ChangesReply } from "../files/FileProtocol.ts"

/** What is remembered: paths, and characters of all together. */
const maxPaths = 50_000
const maxCharacters = 8 * 1024 * 1024

/** Characters of one answer. */
const maxAnswer = 512 * 1024

export class Changes {
  /** Says whose cursors are understood: another agent's, or those from before a new beginning, are not. */
  private readonly life = randomBytes(8).toString("hex")
  private readonly paths = new Map<string, number>()
  private characters = 0
  private last = 0
  /** Up to here things are forgotten. */
  private forgotten = 0

  get cursor() {
    return this.cursorAt(this.last)
  }

  add(path: string) {
    if (!this.paths.delete(path)) this.characters += path.length
    this.paths.set(path, ++this.last)
    while (this.paths.size > maxPaths || this.characters > maxCharacters) {
      const [oldest, at] = this.paths.entries().next().value!
      this.paths.delete(oldest)
      this.characters -= oldest.length
      this.forgotten = at
    }
  }

  /** Something changed, and nobody knows what. */
  forget() {
    this.paths.clear()
    this.characters = 0
    this.forgotten = ++this.last
  }

  since(cursor: string, limit: number, maxCharacters = maxAnswer): typeof ChangesReply.Type {
    const [life, number] = cursor.split(".")
    const after = life === this.life && /^\d+$/.test(number ?? "") ? Number(number) : -1
    if (after < this.forgotten || after > this.last) {
      return { paths: [], overflow: true, cursor: this.cursor, more: false }
    }
    const paths: Array<string> = []
    let characters = 0
    let end = after
    for (const [path, at] of this.paths) {
      if (at <= after) continue
      characters += path.length
      if (paths.length === limit || (characters > maxCharacters && paths.length > 0)) {
        return { paths, overflow: false, cursor: this.cursorAt(end), more: true }
      }
      paths.push(path)
      end = at
    }
    return { paths, overflow: false, cursor: this.cursor, more: false }
  }

  private cursorAt(number: number) {
    return `${this.life}.${number}`
  }
}
