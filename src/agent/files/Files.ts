/** Does what a node asks of the files of the sandbox, and answers each request once. */
import * as Archives from "../archive/Archives.ts"
import type { Channels } from "../Channels.ts"
import * as Contents from "./Contents.ts"
import type { FileRefusal } from "../../domain/SandboxError.ts"
import type { FileOperation } from "./FileProtocol.ts"
import * as Folders from "./Folders.ts"
import { defaultPath } from "../commands/Paths.ts"
import type { Processes } from "../commands/Processes.ts"
import type { FileRequest } from "../Protocol.ts"
import { reasonOf } from "./Refusal.ts"
import { Search } from "../search/Search.ts"
import { Snapshots } from "../snapshot/Snapshots.ts"
import { Transfer } from "./Transfers.ts"
import { Watch } from "../watch/Watch.ts"
import { Workspace } from "./Workspace.ts"

export interface FilesOptions {
  readonly root?: string
  readonly home?: string
  /** Where programs are looked for. */
  readonly path?: string
  /** For one search, in milliseconds. */
  readonly searchTime?: number
}

export type FileAnswer = { readonly value: unknown } | { readonly failure: FileRefusal }

export class Files {
  private readonly channels: Channels
  private readonly workspace: Workspace
  private readonly search: Search
  private readonly watch: Watch
  private readonly homeWatch: Watch
  private readonly snapshots: Snapshots

  constructor(
    channels: Channels,
    processes: Processes,
    { root = "/workspace", home = "/home/agent", path = defaultPath, searchTime = 10_000 }: FilesOptions = {},
  ) {
    this.channels = channels
    this.workspace = new Workspace(root)
    this.search = new Search(this.workspace, processes, path, searchTime)
    this.watch = new Watch(this.workspace)
    const homeFolder = new Workspace(home)
    this.homeWatch = new Watch(homeFolder)
    this.snapshots = new Snapshots([
      { name: "workspace", workspace: this.workspace, watch: this.watch },
      { name: "home", workspace: homeFolder, watch: this.homeWatch },
    ])
  }

  async handle({ channel, request }: FileRequest): Promise<FileAnswer> {
    const transfer = isStreamed(request) ? new Transfer(this.channels, channel) : undefined
    try {
      return { value: await this.perform(request, transfer) }
    } catch (error) {
      return { failure: reasonOf(error) }
    } finally {
      transfer?.finish()
    }
  }

  /** A command was started: what it changes is looked for until nothing runs any more. */
  stir() {
    this.watch.stir()
    this.homeWatch.stir()
  }

  /** What the last snapshot called its moment, where nothing has changed since; else null. */
  still() {
    return this.snapshots.still()
  }

  private perform(request: FileOperation, transfer: Transfer | undefined): Promise<unknown> {
    const { workspace } = this
    switch (request.op) {
      case "read":
        return Contents.read(workspace, request, transfer!)
      case "readLines":
        return Contents.readLines(workspace, request, transfer!)
      case "write":
        return Contents.write(workspace, request, transfer!)
      case "append":
        return Contents.append(workspace, request, transfer!)
      case "stat":
        return Folders.stat(workspace, request)
      case "list":
        return Folders.list(workspace, request)
      case "mkdir":
        return Folders.makeFolder(workspace, request)
      case "move":
        return Folders.move(workspace, request)
      case "copy":
        return Folders.copy(workspace, request)
      case "remove":
        return Folders.remove(workspace, request)
      case "glob":
        return this.search.glob(request)
      case "grep":
        return this.search.grep(request)
      case "watch":
        return this.watch.begin()
      case "changes":
        return this.watch.changes(request)
      case "snapshot":
        return this.snapshots.snapshot(request, transfer!)
      case "restore":
        return this.snapshots.restore(request, transfer!)
      case "pack":
        return Archives.pack(workspace, request, transfer!)
      case "unpack":
        return Archives.unpack(workspace, request, transfer!)
    }
  }
}

const streamed = new Set<FileOperation["op"]>([
  "read",
  "readLines",
  "write",
  "append",
  "snapshot",
  "restore",
  "pack",
  "unpack",
])

const isStreamed = ({ op }: FileOperation) => streamed.has(op)
