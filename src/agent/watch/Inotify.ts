/** What the kernel says of changes in folders. Everything here runs at once and blocks nothing. */
import koffi from "koffi"
import { close, readNow } from "../Kernel.ts"
import { nameOf } from "../files/Names.ts"

const libc = koffi.load("libc.so.6")

const init = libc.func("int inotify_init1(int)")
const addWatch = libc.func("int inotify_add_watch(int, const char *, uint32_t)")
const removeWatch = libc.func("int inotify_rm_watch(int, int)")

const IN_NONBLOCK = 0o4000
const IN_CLOEXEC = 0o2000000

/** The bits of an event. */
export const Bit = {
  modify: 0x2,
  attributes: 0x4,
  closeWrite: 0x8,
  movedFrom: 0x40,
  movedTo: 0x80,
  create: 0x100,
  remove: 0x200,
  overflow: 0x4000,
  /** The watch has gone, with its folder or by `remove`. */
  ignored: 0x8000,
  folder: 0x40000000,
} as const

const wanted =
  Bit.modify |
  Bit.attributes |
  Bit.closeWrite |
  Bit.movedFrom |
  Bit.movedTo |
  Bit.create |
  Bit.remove |
  0x1000000

export interface Event {
  readonly watch: number
  readonly bits: number
  /** In the folder of the watch; empty for the folder itself. */
  readonly name: string
}

export class Inotify {
  private readonly descriptor: number
  private readonly buffer = Buffer.alloc(64 * 1024)

  constructor() {
    this.descriptor = init(IN_NONBLOCK | IN_CLOEXEC) as number
    if (this.descriptor < 0) throw new Error("no more changes can be watched")
  }

  /** Watches the folder at an ASCII path; gives the number of the watch, or none where there may be no more. */
  add(path: string): number | undefined {
    const watch = addWatch(this.descriptor, path, wanted) as number
    return watch < 0 ? undefined : watch
  }

  remove(watch: number) {
    removeWatch(this.descriptor, watch)
  }

  /** Some of what has happened since it was last asked; none where nothing has. */
  read(): ReadonlyArray<Event> {
    const events: Array<Event> = []
    const size = readNow(this.descriptor, this.buffer) ?? 0
    for (let at = 0; at < size;) {
      const length = this.buffer.readUInt32LE(at + 12)
      const name = this.buffer.subarray(at + 16, at + 16 + length)
      const end = name.indexOf(0)
      events.push({
        watch: this.buffer.readInt32LE(at),
        bits: this.buffer.readUInt32LE(at + 4),
        name: nameOf(end < 0 ? name : name.subarray(0, end)),
      })
      at += 16 + length
    }
    return events
  }

  close() {
    close(this.descriptor)
  }
}
