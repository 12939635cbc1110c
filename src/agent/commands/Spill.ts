/**
 * The files that keep output past the bound of what a node keeps of it, below /tmp, so that a model can look through
 * them with ordinary tools. Each has a stream's beginning, to a bound; the oldest go when all are too large.
 */
import { closeSync, constants, mkdirSync, openSync, rmSync, writeSync } from "node:fs"

const folder = "/tmp/command-output"

interface Spilled {
  readonly path: string
  size: number
}

const files: Array<Spilled> = []
let limit = 0

/** Bytes of all files together, at most. */
export const setLimit = (bytes: number) => {
  limit = bytes
}

/** One stream's file, made once the stream has grown past `keep` bytes. */
export class Spill {
  private readonly name: string
  private readonly keep: number
  private head: Array<Uint8Array> = []
  private total = 0
  private file: (Spilled & { readonly descriptor: number }) | undefined
  private stopped = false

  constructor(name: string, keep: number) {
    this.name = name
    this.keep = keep
  }

  /** Null where there is none, or it has gone for another stream's. */
  get path() {
    return this.file !== undefined && files.includes(this.file) ? this.file.path : null
  }

  push(chunk: Uint8Array) {
    if (this.stopped) return
    this.total += chunk.length
    if (this.file !== undefined) this.write(chunk)
    else {
      this.head.push(chunk)
      if (this.total > this.keep) this.begin()
    }
  }

  end() {
    this.stopped = true
    this.head = []
    if (this.file !== undefined) closeSync(this.file.descriptor)
  }

  private begin() {
    const path = `${folder}/${this.name}`
    try {
      mkdirSync(folder, { recursive: true, mode: 0o755 })
      const descriptor = openSync(
        path,
        constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
        0o644,
      )
      this.file = { path, size: 0, descriptor }
      files.push(this.file)
    } catch {
      this.stopped = true
    }
    for (const chunk of this.head) this.write(chunk)
    this.head = []
  }

  private write(chunk: Uint8Array) {
    const { file } = this
    if (file === undefined || this.stopped) return
    if (!files.includes(file)) {
      // Another stream's file took its place.
      closeSync(file.descriptor)
      this.file = undefined
      this.stopped = true
      return
    }
    const piece = chunk.subarray(0, limit - file.size)
    try {
      while (files[0] !== file && files.reduce((sum, { size }) => sum + size, chunk.length) > limit) {
        rmSync(files.shift()!.path, { force: true })
      }
      file.size += writeSync(file.descriptor, piece)
    } catch {
      this.stopped = true
    }
    if (file.size >= limit) this.stopped = true
  }
}
