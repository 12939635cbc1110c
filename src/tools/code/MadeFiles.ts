/** The files of the workspace that were made or changed since a moment, and images among them. */
import { Effect, Option, Schema } from "effect"
import type { Content } from "../../domain/Content.ts"
import type { SandboxFiles } from "../../sandbox/SandboxFiles.ts"
import { imageLimit, imageType } from "../files/ImageType.ts"

export const MadeFile = Schema.Struct({
  path: Schema.String.annotations({ description: "Relative to /workspace." }),
  size: Schema.Number.annotations({ description: "In bytes." }),
  image: Schema.optional(
    Schema.Literal("shown", "not_shown").annotations({
      description: "`not_shown`: it is too large, or one of many; read_file may show it.",
    }),
  ),
})
type MadeFile = typeof MadeFile.Type

export interface Made {
  readonly files: ReadonlyArray<MadeFile>
  /** Paths beside those. */
  readonly omitted: number
  /** Nobody knows what changed: it was too much. */
  readonly isUnknown: boolean
}

/** Those that changed after a cursor of `watch`, in order of their paths; `show` is given the images. */
export const madeSince = Effect.fnUntraced(function* (
  files: SandboxFiles,
  cursor: string,
  show: (content: Content) => void,
) {
  const { overflow, paths, more } = yield* files.changes(cursor, maxPaths)
  if (overflow) return { files: [], omitted: 0, isUnknown: true } satisfies Made
  const looked = paths.toSorted().slice(0, maxLooked)
  const found = yield* Effect.forEach(looked, (path) => fileAt(files, path), { concurrency: 8 })
  const made = found.flatMap((file) => Option.toArray(file))
  let room = imageLimit
  let images = 0
  let characters = 0
  const shown: Array<MadeFile> = []
  for (const { path, size } of made) {
    characters += JSON.stringify(path).length + 60
    if (characters > charactersLimit) break
    const type = imageType((yield* headOf(files, path, headBytes)) ?? new Uint8Array())
    const image =
      type === undefined || images === maxImages || size > room ? undefined : yield* headOf(files, path, size)
    // It may have become another since.
    const isShown = image !== undefined && image.length === size && imageType(image) === type
    if (isShown) {
      images++
      room -= size
      show({ type: "image", data: Buffer.from(image).toString("base64"), mimeType: type! })
    }
    shown.push({
      path,
      size,
      ...(type === undefined ? {} : { image: isShown ? ("shown" as const) : ("not_shown" as const) }),
    })
  }
  const omitted = made.length - shown.length + (paths.length - looked.length)
  return { files: shown, omitted: more ? omitted + 1 : omitted, isUnknown: false } satisfies Made
})

/** What stands there, where that is a file. */
const fileAt = (files: SandboxFiles, path: string) =>
  files.stat(`/workspace/${path}`).pipe(
    Effect.map(({ kind, size }) => (kind === "file" ? Option.some({ path, size }) : Option.none())),
    Effect.catchTag("FileError", () => Effect.succeed(Option.none())),
  )

const headOf = (files: SandboxFiles, path: string, length: number) =>
  files.read(`/workspace/${path}`, 0, length).pipe(
    Effect.map(({ data }) => data),
    Effect.catchTag("FileError", () => Effect.succeed(undefined)),
  )

/** Paths that are asked for, and those of them that are looked at. */
const maxPaths = 2000
const maxLooked = 200

/** Characters of the files of one answer. */
const charactersLimit = 6000

/** Bytes by which an image is known. */
const headBytes = 16

/** Images of one answer. */
const maxImages = 4
