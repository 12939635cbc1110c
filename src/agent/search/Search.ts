/**
 * Finding files by name, and lines in them. Our own walk names the files, so that both answers leave out the same
 * ones everywhere; ripgrep, where the image has it, only looks into those. Both end when their time is over.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs"
import type { Glob, GlobReply, Grep, GrepReply } from "../files/FileProtocol.ts"
import { maxAnswer } from "../files/Folders.ts"
import { Found } from "./Found.ts"
import { enter, type Ignores, isIgnored } from "./Ignores.ts"
import type { Hit, Matcher } from "./Matcher.ts"
import { isPlain } from "../files/Names.ts"
import { glob, type PathPattern } from "./Patterns.ts"
import { find } from "../commands/Paths.ts"
import type { Processes } from "../commands/Processes.ts"
import { Refusal } from "../files/Refusal.ts"
import * as RegExpMatcher from "./RegExpMatcher.ts"
import * as Ripgrep from "./Ripgrep.ts"
import { Slices } from "../files/Slices.ts"
import { type Entry, walk } from "../files/Walk.ts"
import { at, type Handle, join, type Place, type Workspace } from "../files/Workspace.ts"

/**
 * What is searched at a time: files, more each time, for the first ones may be all that is asked for and each time costs
 * the start of a program; and characters of their paths, which are its arguments.
 */
const batches = { files: 500, growth: 4, maxFiles: 8000, characters: 512 * 1024 }

/** Of an expression, in characters. */
const maxPattern = 16 * 1024

export class Search {
  private readonly workspace: Workspace
  private readonly processes: Processes
  private readonly path: string
  private readonly timeLimit: number

  constructor(workspace: Workspace, processes: Processes, path: string, timeLimit: number) {
    this.workspace = workspace
    this.processes = processes
    this.path = path
    this.timeLimit = timeLimit
  }

  glob({ path, pattern, limit }: Glob) {
    const wanted = patternOf(pattern)
    return this.workspace.locate(path, {}, async (place): Promise<typeof GlobReply.Type> => {
      const { handle, stats } = place
      if (handle === undefined || stats === undefined) throw new Refusal("missing")
      if (!stats.isDirectory()) throw new Refusal("not_a_directory")
      const paths: Array<string> = []
      let bytes = 0
      const whole = await this.each(
        handle,
        place.path,
        wanted,
        new Slices(this.timeLimit),
        async ({ path }) => {
          bytes += Buffer.byteLength(JSON.stringify(path))
          if (paths.length === limit || bytes > maxAnswer) return false
          paths.push(path)
          return true
        },
      )
      return { paths, truncated: !whole }
    })
  }

  grep(request: Grep) {
    const wanted = request.glob === null ? () => true : patternOf(request.glob)
    if (request.pattern.length > maxPattern || request.pattern.includes("\0"))
      throw new Refusal("bad_pattern")
    return this.workspace.locate(request.path, {}, async (place) => {
      if (place.stats === undefined) throw new Refusal("missing")
      const folder = place.stats.isDirectory() ? place.handle : place.folder
      if (folder === undefined) throw new Refusal("missing")
      const program = find("rg", "/", this.path)
      const matcher =
        program === undefined
          ? await RegExpMatcher.make(folder, request)
          : Ripgrep.make(program, this.processes, folder, request)
      try {
        return await this.grepIn(folder, place, request, wanted, matcher)
      } finally {
        await matcher.close()
      }
    })
  }

  private async grepIn(
    folder: Handle,
    place: Place,
    request: Grep,
    wanted: PathPattern,
    matcher: Matcher,
  ): Promise<typeof GrepReply.Type> {
    const slices = new Slices(this.timeLimit)
    const found = new Found({ ...request, maxBytes: Math.min(request.maxBytes, maxAnswer) })
    const base =
      place.stats?.isDirectory() === true ? place.path : place.path.split("/").slice(0, -1).join("/")
    let skipped = 0
    let late = false
    let batch: Array<string> = []
    let characters = 0
    let most = batches.files
    const flush = async () => {
      const files = batch
      batch = []
      characters = 0
      most = Math.min(most * batches.growth, batches.maxFiles)
      if (files.length === 0) return
      late = !(await searchBatch(matcher, folder, files, found, slices, (file, hits) =>
        found.add(this.workspace, folder, file, join(base, file), hits),
      ))
    }
    const add = async ({ path }: { readonly path: string }) => {
      const file = base === "" ? path : path.slice(base.length + 1)
      if (isPlain(file)) {
        batch.push(file)
        characters += file.length
      } else skipped++
      if (batch.length >= most || characters >= batches.characters) await flush()
      return !found.full && !late
    }
    const { handle, stats } = place
    let whole = true
    if (stats?.isFile() === true) await add(place)
    else if (stats?.isDirectory() === true && handle !== undefined) {
      whole = await this.each(handle, place.path, wanted, slices, async (entry) =>
        entry.kind === "file" ? add(entry) : true,
      )
    } else throw new Refusal("not_a_file")
    if (!found.full && !late) await flush()
    const timedOut = late || slices.over
    return { files: found.files, truncated: !whole || found.full || timedOut, timedOut, skipped }
  }

  /** Calls `take`, until it answers `false`, with the files and links below a folder that are wanted and not ignored. */
  private async each(
    folder: Handle,
    path: string,
    wanted: PathPattern,
    slices: Slices,
    take: (entry: Entry) => Promise<boolean>,
  ) {
    const depth = depthOf(path)
    /** By the depth of their folders; those above the folder where it begins stand before it. */
    const ignores: Array<Ignores | undefined> = await this.above(path)
    return walk(folder, path, {
      depth: Infinity,
      keep: Infinity,
      enter: async (folder, path, names) => {
        const level = depthOf(path)
        const above = ignores[level - 1]
        const own = names.some(({ name }) => name === ".gitignore")
          ? await enter(above, folder, level)
          : above
        ignores[level] = own
        return async (entry) => {
          await slices.pause()
          if (slices.over) return "stop"
          const parts = entry.path.split("/")
          const isFolder = entry.kind === "directory"
          if (entry.name === ".git" || isIgnored(own, parts, isFolder)) return "past"
          if (isFolder) return "into"
          if (entry.kind === "other" || !wanted(parts.slice(depth))) return "past"
          return (await take(entry)) ? "past" : "stop"
        }
      },
    })
  }

  /** The ignores of the folders above one. */
  private async above(path: string) {
    const parts = path === "" ? [] : path.split("/")
    const ignores: Array<Ignores | undefined> = []
    for (let depth = 0; depth < parts.length; depth++) {
      const folder = join(this.workspace.root, parts.slice(0, depth).join("/"))
      await this.workspace.locate(folder, {}, async ({ handle }) => {
        ignores[depth] = handle === undefined ? undefined : await enter(ignores[depth - 1], handle, depth)
      })
    }
    return ignores
  }
}

/** Searches some files and adds what is in them, leaving binary ones out; says whether it was in time. */
const searchBatch = async (
  matcher: Matcher,
  folder: Handle,
  files: ReadonlyArray<string>,
  found: Found,
  slices: Slices,
  add: (file: string, hits: ReadonlyArray<Hit>) => Promise<void>,
) => {
  const hits = new Map<string, Array<Hit>>()
  // One more than there is room for tells that there is more.
  const limit = found.left + 1
  let count = 0
  const { late } = await matcher.search(files, limit, slices.left, (file, hit) => {
    if (!hits.has(file)) hits.set(file, [])
    const known = hits.get(file)!
    if (known.length === 0 && isBinary(at(folder, file))) return true
    known.push(hit)
    return ++count < limit
  })
  for (const [file, known] of hits) {
    if (!found.full && known.length > 0) await add(file, known)
  }
  return !late
}

/** As git has it: there is a zero byte near its beginning. Its beginning has just been read, and waits for no disk. */
const isBinary = (path: string | Buffer) => {
  try {
    const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    try {
      if (!fstatSync(file).isFile()) return true
      const head = Buffer.alloc(8000)
      return head.subarray(0, readSync(file, head)).includes(0)
    } finally {
      closeSync(file)
    }
  } catch {
    return true
  }
}

const patternOf = (pattern: string) => {
  if (pattern === "" || pattern.length > 4096) throw new Refusal("bad_pattern")
  return glob(pattern)
}

const depthOf = (path: string) => (path === "" ? 0 : path.split("/").length)
