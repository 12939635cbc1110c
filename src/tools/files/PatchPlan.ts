/** What a patch comes to in a workspace: read and checked whole, before anything is written. */
import { Effect, Either } from "effect"
import { FileError } from "../../domain/SandboxError.ts"
import type { SandboxFiles } from "../../sandbox/SandboxFiles.ts"
import { absolute } from "../Tool.ts"
import type { FilePatch } from "./Patch.ts"
import { patched } from "./PatchedFile.ts"

/** A file as it is, or is to be; without permission bits it keeps those it has, or has the usual. */
interface Contents {
  readonly bytes: Buffer
  readonly mode: number | undefined
}

/** One file that changes: it goes where `after` is undefined, and is new where `before` is. */
export interface FileChange {
  readonly path: string
  readonly before: Contents | undefined
  readonly after: Contents | undefined
}

/** A sentence for each file's part that does not apply. */
type Problems = ReadonlyArray<string>

/** Bytes of all files together, before and after. */
const maxBytes = 64 * 1024 * 1024

/** `limit` bounds one file, in bytes. What is gone in `changes` stands before what is written. */
export const plan = (files: SandboxFiles, parts: ReadonlyArray<FilePatch>, limit: number) =>
  Effect.gen(function* () {
    const problems = doubles(parts)
    const gone = new Set(parts.flatMap((part) => (leaves(part) ? [part.from!] : [])))
    const changes: Array<FileChange> = []
    let bytes = 0
    for (const part of parts) {
      const checked = yield* Effect.either(partOf(files, part, gone, limit))
      if (Either.isRight(checked)) {
        changes.push(...checked.right)
        for (const { before, after } of checked.right) {
          bytes += (before?.bytes.length ?? 0) + (after?.bytes.length ?? 0)
        }
        if (bytes > maxBytes) return Either.left([`All files together are larger than ${maxBytes} bytes.`])
      } else if (typeof checked.left === "string") problems.push(checked.left)
      else if (checked.left._tag === "FileError") problems.push(checked.left.message)
      else return yield* checked.left
    }
    if (problems.length > 0) return Either.left<Problems>(problems)
    const rank = ({ after }: FileChange) => (after === undefined ? 0 : 1)
    return Either.right(changes.sort((one, other) => rank(one) - rank(other)))
  })

/** Whether the file is not where it was. */
const leaves = ({ from, isCopy, to }: FilePatch) => from !== undefined && from !== to && !isCopy

const doubles = (parts: ReadonlyArray<FilePatch>) => {
  const seen = new Set<string>()
  const problems: Array<string> = []
  const note = (kind: "from" | "to", path: string | undefined, at: number) => {
    if (path !== undefined && seen.has(`${kind} ${path}`)) {
      problems.push(
        `${path}: the part at line ${at} of the patch is the second for this file; put them into one.`,
      )
    }
    seen.add(`${kind} ${path}`)
  }
  for (const { at, from, isCopy, to } of parts) {
    if (!isCopy) note("from", from, at)
    if (from !== to) note("to", to, at)
  }
  return problems
}

const partOf = (files: SandboxFiles, part: FilePatch, gone: ReadonlySet<string>, limit: number) =>
  Effect.gen(function* () {
    const { from, hunks, mode, to } = part
    if (from !== undefined) yield* isItself(files, from)
    if (to !== undefined && to !== from) {
      yield* isItself(files, to)
      if (!gone.has(to) && (yield* exists(files, to))) {
        return yield* new FileError({ path: to, reason: "exists" })
      }
    }
    const before = from === undefined ? undefined : yield* read(files, from, limit)
    const result = patched(before?.bytes ?? Buffer.alloc(0), hunks)
    if (Either.isLeft(result)) return yield* Effect.fail(`${from ?? to}: ${result.left}`)
    const bytes = result.right
    if (bytes.length > limit) return yield* new FileError({ path: to ?? "", reason: "too_large" })
    if (to === undefined && bytes.length > 0) {
      return yield* Effect.fail(`${from}: the patch deletes it, but it holds more than the patch takes away.`)
    }
    const removal: ReadonlyArray<FileChange> = leaves(part) ? [{ path: from!, before, after: undefined }] : []
    if (to === undefined) return removal
    // A new file that is not executable has the usual bits; one from elsewhere takes its own along.
    const bits =
      from === undefined && mode === 0o644 ? undefined : (mode ?? (to === from ? undefined : before?.mode))
    const written = { path: to, before: to === from ? before : undefined, after: { bytes, mode: bits } }
    return [...removal, written]
  })

const read = (files: SandboxFiles, path: string, limit: number) =>
  Effect.flatMap(files.read(absolute(path), 0, limit), ({ data, mode, size }) =>
    size > data.length
      ? Effect.fail(new FileError({ path, reason: "too_large" }))
      : Effect.succeed<Contents>({ bytes: Buffer.from(data.buffer, data.byteOffset, data.length), mode }),
  )

/** What stands at a path, with all links resolved; undefined where nothing does. */
const found = (files: SandboxFiles, path: string) =>
  files.stat(absolute(path)).pipe(
    Effect.catchIf(
      (error) => error._tag === "FileError" && error.reason === "missing",
      () => Effect.succeed(undefined),
    ),
  )

const exists = (files: SandboxFiles, path: string) =>
  Effect.map(found(files, path), (stat) => stat !== undefined)

/** Refuses a path through a link: two parts of a patch could mean one file by it. */
const isItself = (files: SandboxFiles, path: string) =>
  Effect.gen(function* () {
    for (let parts = path.split("/"); parts.length > 0; parts = parts.slice(0, -1)) {
      const here = parts.join("/")
      const stat = yield* found(files, here)
      if (stat === undefined) continue
      if (stat.path !== here) {
        return yield* Effect.fail(
          `${path}: the way there goes through a link, ${here}; name ${stat.path} instead.`,
        )
      }
      return
    }
  })
