/**
 * Watches the workspace for changes. Every folder has a watch of its own, and a new one is looked through once its
 * watch is there, so nothing made in between is missed. What the kernel has to tell is taken whenever someone asks,
 * and every moment while programs run, for its queue is bounded; when nothing runs, nothing happens here.
 */
import { readdirSync } from "node:fs"
import { Changes } from "./Changes.ts"
import type { Changes as ChangesRequest, ChangesReply, WatchReply } from "../files/FileProtocol.ts"
import { Bit, type Event, Inotify } from "./Inotify.ts"
import { Refusal } from "../files/Refusal.ts"
import { Slices } from "../files/Slices.ts"
import { walk } from "../files/Walk.ts"
import { type Handle, join, type Workspace } from "../files/Workspace.ts"

/** Folders watched, at most: each takes a kilobyte of the kernel's memory. */
const maxFolders = 20_000

/** Milliseconds between two looks while programs run, and how many looks before it is asked whether any does. */
const tick = 100
const ticks = 10

interface Folder {
  readonly watch: number
  readonly parent: Folder | undefined
  readonly name: string
  readonly folders: Map<string, Folder>
}

export class Watch {
  private readonly workspace: Workspace
  private inotify: Inotify | undefined
  private changed = new Changes()
  private folders = new Map<number, Folder>()
  /** Too much to watch: whoever asks is told that anything may have changed. */
  private blind = false
  private timer: NodeJS.Timeout | undefined
  /** What is being done, one thing after the other, and how many. */
  private busy: Promise<unknown> = Promise.resolve()
  private turns = 0

  constructor(workspace: Workspace) {
    this.workspace = workspace
  }

  /** Begins where it does not go on already. */
  begin() {
    return this.inTurn(async (): Promise<typeof WatchReply.Type> => {
      await this.ensure()
      return { cursor: this.changed.cursor }
    })
  }

  /** All that changed after a cursor. Whoever has none, or one that means nothing any more, is told of an overflow. */
  all(cursor: string) {
    return this.inTurn(async (): Promise<typeof ChangesReply.Type> => {
      await this.ensure()
      return this.changed.since(cursor, Infinity, Infinity)
    })
  }

  private async ensure() {
    await this.take()
    if (this.inotify !== undefined && !this.blind) return
    this.end()
    this.changed = new Changes()
    this.inotify = new Inotify()
    try {
      await this.watchAll()
    } catch (error) {
      this.end()
      throw error
    }
    this.stir()
  }

  /** Whether nothing has changed after a cursor, as far as can be said at once. */
  isStill(cursor: string) {
    if (this.inotify === undefined || this.blind || this.turns > 0 || this.changed.cursor !== cursor) {
      return false
    }
    const events = this.inotify.read()
    if (events.length > 0) void this.inTurn(() => this.take(events))
    return events.length === 0
  }

  changes({ cursor, limit }: ChangesRequest) {
    return this.inTurn(async (): Promise<typeof ChangesReply.Type> => {
      await this.take()
      if (this.inotify === undefined || this.blind) this.changed.forget()
      return this.changed.since(cursor, limit)
    })
  }

  /** Programs may run from now on. */
  stir() {
    if (this.inotify === undefined || this.timer !== undefined) return
    let count = 0
    this.timer = setInterval(() => {
      if (++count % ticks === 0 && !othersRun()) {
        clearInterval(this.timer)
        this.timer = undefined
      }
      // One look at a time: what takes longer than a tick is not queued up.
      if (!this.taking) void this.inTurn(() => this.take())
    }, tick)
    this.timer.unref()
  }

  /** Stops watching. */
  end() {
    clearInterval(this.timer)
    this.timer = undefined
    this.inotify?.close()
    this.inotify = undefined
    this.folders = new Map()
    this.blind = false
  }

  private taking = false

  private inTurn<A>(work: () => Promise<A>): Promise<A> {
    this.turns++
    const turn = this.busy.then(work).finally(() => this.turns--)
    this.busy = turn.catch(() => {})
    return turn
  }

  /** What the kernel has to tell, after what it told before. */
  private async take(told: ReadonlyArray<Event> = []) {
    if (this.inotify === undefined || this.blind) return
    this.taking = true
    try {
      const slices = new Slices(Infinity)
      for (
        let events = told.length > 0 ? told : this.inotify.read();
        events.length > 0;
        events = this.inotify.read()
      ) {
        for (const event of events) await this.handle(event)
        await slices.pause()
      }
    } catch {
      this.blind = true
    } finally {
      this.taking = false
    }
  }

  private async handle({ watch, bits, name }: Event) {
    if ((bits & Bit.overflow) !== 0) return this.startOver()
    const folder = this.folders.get(watch)
    if (folder === undefined) return
    if ((bits & Bit.ignored) !== 0) return this.drop(folder)
    const path = name === "" ? pathOf(folder) : join(pathOf(folder), name)
    this.changed.add(path)
    if ((bits & Bit.folder) === 0 || name === "") return
    const known = folder.folders.get(name)
    if ((bits & (Bit.movedFrom | Bit.remove | Bit.movedTo | Bit.create)) === 0) return
    if (known !== undefined) this.drop(known)
    // Where two folders change places, the other one has come by now.
    if ((bits & Bit.remove) === 0) await this.watchNew(folder, name, path)
  }

  /** Events were lost, and with them perhaps new folders. */
  private async startOver() {
    this.changed.forget()
    this.inotify?.close()
    this.inotify = undefined
    this.folders = new Map()
    this.inotify = new Inotify()
    await this.watchAll()
  }

  private watchAll() {
    return this.workspace.locate(this.workspace.root, {}, async ({ handle }) => {
      if (handle === undefined) throw new Refusal("missing")
      await this.watchBelow(undefined, "", handle, "", () => {})
    })
  }

  private async watchNew(parent: Folder, name: string, path: string) {
    try {
      await this.workspace.locate(join(this.workspace.root, path), { link: true }, async (place) => {
        if (place.stats?.isDirectory() !== true || place.handle === undefined || place.path !== path) return
        await this.watchBelow(parent, name, place.handle, path, (path) => this.changed.add(path))
      })
    } catch (error) {
      // It has gone already, or been made something else.
      if (!(error instanceof Refusal) && !(error instanceof Error && "code" in error)) throw error
    }
  }

  /** Watches a folder and those below it, and says what each holds once it is watched. */
  private async watchBelow(
    parent: Folder | undefined,
    name: string,
    handle: Handle,
    path: string,
    found: (path: string) => void,
  ) {
    const slices = new Slices(Infinity)
    /** By their paths' depth below the first one. */
    const parents = [parent]
    const depth = path === "" ? 0 : path.split("/").length
    const whole = await walk(handle, path, {
      depth: Infinity,
      keep: Infinity,
      refused: () => (this.blind = true),
      before: (handle, path) => {
        const parts = path === "" ? [] : path.split("/")
        const level = parts.length - depth
        parents[level + 1] = this.watchFolder(parents[level], level === 0 ? name : parts.at(-1)!, handle)
      },
      enter: async () => async (entry) => {
        found(entry.path)
        await slices.pause()
        return this.blind ? "stop" : "into"
      },
    })
    if (!whole) this.blind = true
  }

  private watchFolder(parent: Folder | undefined, name: string, handle: Handle) {
    const watch = this.folders.size < maxFolders ? this.inotify?.add(`/proc/self/fd/${handle.fd}`) : undefined
    if (watch === undefined) {
      this.blind = true
      return undefined
    }
    const known = this.folders.get(watch)
    if (known !== undefined) known.parent?.folders.delete(known.name)
    const folder: Folder = { watch, parent, name, folders: new Map() }
    this.folders.set(watch, folder)
    parent?.folders.set(name, folder)
    return folder
  }

  /** Forgets a folder and those below it, which are gone or elsewhere. */
  private drop(folder: Folder) {
    for (const inner of folder.folders.values()) this.drop(inner)
    if (folder.parent?.folders.get(folder.name) === folder) folder.parent.folders.delete(folder.name)
    if (this.folders.get(folder.watch) !== folder) return
    this.folders.delete(folder.watch)
    this.inotify?.remove(folder.watch)
  }
}

const pathOf = (folder: Folder): string =>
  folder.parent === undefined ? folder.name : join(pathOf(folder.parent), folder.name)

/** Says whether any process but this one runs here. */
const othersRun = () =>
  readdirSync("/proc").some((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
