/**
 * A unified diff as `git diff` writes it, read strictly: what is not understood is refused with its line and not passed
 * over, so that no part of a patch is dropped without a word. Its text is held as one character a byte, for what it
 * changes may have any encoding. (Git's documentation, "diff-generate-patch".)
 */
import { Either } from "effect"
import { nameOf } from "../../agent/files/Names.ts"
import { unquoted } from "./QuotedName.ts"

export interface FilePatch {
  /** Where it begins in the patch, as a line from 1. */
  readonly at: number
  /** Relative to /workspace; undefined for a new file. */
  readonly from: string | undefined
  /** Undefined for a file that goes. */
  readonly to: string | undefined
  /** `from` stays. */
  readonly isCopy: boolean
  /** Permission bits, where they are to be others. */
  readonly mode: number | undefined
  readonly hunks: ReadonlyArray<Hunk>
}

export interface Hunk {
  readonly at: number
  /** How many lines of the old file stand before it. */
  readonly before: number
  readonly rows: ReadonlyArray<Row>
}

/** A line with its line feed, unless the file ends with it and has none. */
export interface Row {
  readonly mark: " " | "-" | "+"
  readonly line: string
}

/** What is wrong, and in which line of the patch. */
interface Flaw {
  readonly at: number
  readonly text: string
}

type Read<A> = Either.Either<A, Flaw>

export const parse = (patch: string): Read<ReadonlyArray<FilePatch>> =>
  new Reader(Buffer.from(patch).toString("latin1")).files()

const hunkHeader = /^@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@/

/** What stands between `diff --git` and the contents; the last group of each is what it says. */
const headers = {
  oldMode: /^old mode (\d{6})$/,
  newMode: /^new mode (\d{6})$/,
  newFile: /^new file mode (\d{6})$/,
  deletedFile: /^deleted file mode (\d{6})$/,
  copyFrom: /^copy from (.+)$/,
  copyTo: /^copy to (.+)$/,
  renameFrom: /^rename from (.+)$/,
  renameTo: /^rename to (.+)$/,
  likeness: /^(?:dis)?similarity index (\d{1,3}%)$/,
  index: /^index [0-9a-f]{4,64}\.\.[0-9a-f]{4,64}(?: (\d{6}))?$/,
} as const

type Header = keyof typeof headers

class Reader {
  private readonly lines: ReadonlyArray<string>
  private next = 0

  constructor(text: string) {
    this.lines = text.replace(/\n$/, "").split("\n")
  }

  files(): Read<ReadonlyArray<FilePatch>> {
    const files: Array<FilePatch> = []
    while (this.next < this.lines.length) {
      const line = this.header()
      if (line === "") {
        this.next++
        continue
      }
      const isGit = line.startsWith("diff --git ")
      if (!isGit && !line.startsWith("--- ")) {
        return this.flaw("a file's part begins with `diff --git a/PATH b/PATH` or `--- PATH`")
      }
      const file = isGit ? this.gitFile() : this.plainFile()
      if (Either.isLeft(file)) return Either.left(file.left)
      files.push(file.right)
    }
    return files.length === 0 ? this.flaw("the patch is empty") : Either.right(files)
  }

  private gitFile(): Read<FilePatch> {
    const at = this.next + 1
    const both = this.header().slice("diff --git ".length)
    this.next++
    const said = new Map<Header, string>()
    for (let header = this.extended(); header !== undefined; header = this.extended()) {
      said.set(header.name, header.value)
    }
    if (/^(Binary files |GIT binary patch)/.test(this.header())) {
      return this.flaw("binary contents cannot be patched")
    }
    const [oldMode, newMode] = [said.get("oldMode"), said.get("newMode")]
    const modes = [oldMode, newMode, said.get("newFile"), said.get("deletedFile"), said.get("index")]
    if (modes.some((mode) => mode !== undefined && mode !== "" && !mode.startsWith("100"))) {
      return this.flaw("links and submodules cannot be patched", at)
    }
    const isCopy = said.has("copyFrom")
    const from = said.get("copyFrom") ?? said.get("renameFrom")
    const to = said.get("copyTo") ?? said.get("renameTo")
    if ((from === undefined) !== (to === undefined)) return this.flaw("`from` and `to` belong together", at)
    const named = this.header().startsWith("--- ") ? this.contents() : undefined
    if (named !== undefined && Either.isLeft(named)) return Either.left(named.left)
    const hunks = named?.right.hunks ?? []
    const names =
      from !== undefined && to !== undefined
        ? { from: unquoted(from), to: unquoted(to) }
        : named === undefined
          ? namesOf(both)
          : withoutPrefix(named.right)
    const mode = newMode ?? said.get("newFile")
    return this.file(at, {
      from: said.has("newFile") ? undefined : names?.from,
      to: said.has("deletedFile") ? undefined : names?.to,
      isCopy,
      mode: mode === undefined ? undefined : Number.parseInt(mode.slice(-3), 8),
      hunks,
      isNamed: names !== undefined,
      isNew: said.has("newFile"),
      isRename: from !== undefined,
    })
  }

  private plainFile(): Read<FilePatch> {
    const at = this.next + 1
    return Either.flatMap(this.contents(), (named) => {
      const names = withoutPrefix(named)
      return this.file(at, {
        ...names,
        isCopy: false,
        mode: undefined,
        hunks: named.hunks,
        isNamed: true,
        isNew: names.from === undefined,
        isRename: false,
      })
    })
  }

  /** What two names and what stands below them come to. */
  private file(
    at: number,
    file: Omit<FilePatch, "at"> & {
      readonly isNamed: boolean
      readonly isNew: boolean
      readonly isRename: boolean
    },
  ): Read<FilePatch> {
    const { from, hunks, isCopy, isNamed, isNew, isRename, mode, to } = file
    const problem = (text: string) => this.flaw(text, at)
    if (!isNamed || (from === undefined && to === undefined))
      return problem("it does not say which file is meant")
    if ((from === undefined) !== isNew) return problem("it says both that the file is new and that it is not")
    if (from !== undefined && to !== undefined && from !== to && !isRename) {
      return problem("the names differ; a rename needs `rename from` and `rename to`")
    }
    const bad = [from, to].find((name) => name !== undefined && !isInside(name))
    if (bad !== undefined) return problem(`the path ${shown(bad)} is none inside the workspace`)
    const isEmpty =
      hunks.length === 0 && mode === undefined && !isRename && from !== undefined && to !== undefined
    if (isEmpty) return problem("it changes nothing")
    const pathOf = (name: string | undefined) =>
      name === undefined ? undefined : nameOf(Buffer.from(name, "latin1"))
    return Either.right({ at, from: pathOf(from), to: pathOf(to), isCopy, mode, hunks })
  }

  /** `---`, `+++` and the hunks below them. */
  private contents(): Read<Names & { readonly hunks: ReadonlyArray<Hunk> }> {
    const from = nameIn(this.header())
    this.next++
    if (!this.header().startsWith("+++ ")) return this.flaw("`+++ PATH` is expected after `---`")
    const to = nameIn(this.header())
    this.next++
    const hunks: Array<Hunk> = []
    while (this.header().startsWith("@@")) {
      const hunk = this.hunk()
      if (Either.isLeft(hunk)) return Either.left(hunk.left)
      hunks.push(hunk.right)
    }
    return hunks.length === 0
      ? this.flaw("a hunk is expected: `@@ -LINE,COUNT +LINE,COUNT @@`")
      : Either.right({ from, to, hunks })
  }

  private hunk(): Read<Hunk> {
    const at = this.next + 1
    const header = hunkHeader.exec(this.header())
    if (header === null) return this.flaw("a hunk begins with `@@ -LINE,COUNT +LINE,COUNT @@`")
    this.next++
    const [start, oldCount, , newCount] = [1, 2, 3, 4].map((group) => Number(header[group] ?? 1))
    const rows: Array<Row> = []
    let [old, fresh] = [0, 0]
    const isWhole = () => old === oldCount && fresh === newCount
    for (;;) {
      const line = this.lines[this.next]
      if (line?.startsWith("\\") === true) {
        const last = rows.at(-1)
        if (last === undefined || !last.line.endsWith("\n"))
          return this.flaw("this line is not expected here")
        rows[rows.length - 1] = { mark: last.mark, line: last.line.slice(0, -1) }
        this.next++
        continue
      }
      // Of an empty line of the file some leave out the space before it.
      const mark = line === "" || line === "\r" ? " " : line?.[0]
      const goesOn = line !== undefined && (mark === " " || mark === "-" || mark === "+")
      if (isWhole() && (!goesOn || line === "" || this.beginsFile())) break
      if (!goesOn || isWhole() || old > oldCount! || fresh > newCount!) {
        return this.flaw(
          `the hunk's header counts ${oldCount} old and ${newCount} new lines, which is not what stands below it`,
          at,
        )
      }
      if (mark !== "+") old++
      if (mark !== "-") fresh++
      rows.push({ mark, line: `${line === "" || line === "\r" ? line : line.slice(1)}\n` })
      this.next++
    }
    if (rows.every(({ mark }) => mark === " ")) return this.flaw("the hunk changes nothing", at)
    return Either.right({ at, before: oldCount === 0 ? start! : Math.max(0, start! - 1), rows })
  }

  private beginsFile() {
    return this.lines[this.next]!.startsWith("--- ") && this.lines[this.next + 1]?.startsWith("+++ ") === true
  }

  private extended() {
    const line = this.header()
    for (const [name, pattern] of Object.entries(headers)) {
      const match = pattern.exec(line)
      if (match !== null) {
        this.next++
        return { name: name as Header, value: match[1] ?? "" }
      }
    }
    return undefined
  }

  /** The next line, without a carriage return at its end. */
  private header() {
    return (this.lines[this.next] ?? "").replace(/\r$/, "")
  }

  private flaw(text: string, at = Math.min(this.next + 1, this.lines.length)): Either.Either<never, Flaw> {
    return Either.left({ at, text })
  }
}

interface Names {
  readonly from: string | undefined
  readonly to: string | undefined
}

/** The name in a line `--- NAME` or `+++ NAME`, before the time that some programs write after it. */
const nameIn = (line: string) => {
  const name = unquoted(line.slice(4).replace(/\t.*$/, ""))
  return name === "/dev/null" ? undefined : name
}

/**
 * Without git's prefixes: `a/` and `b/`, the other way round where a diff is reversed, or other letters by its setting
 * `diff.mnemonicPrefix`. Two that are the same are a folder's name in a diff without prefixes.
 */
const withoutPrefix = ({ from, to }: Names): Names => {
  const [one, other] = [from, to].map((name) => (name === undefined ? "" : prefix.exec(name)?.[0]))
  const has = one !== undefined && other !== undefined && one !== other
  return has ? { from: from?.slice(one.length), to: to?.slice(other.length) } : { from, to }
}

const prefix = /^[abciow]\//

/** Both names of a line `diff --git`, which are the same but for their prefix wherever they are needed. */
const namesOf = (both: string): Names | undefined => {
  const half = (both.length - 1) / 2
  const [from, to] = [unquoted(both.slice(0, half)), unquoted(both.slice(half + 1))]
  if (!Number.isInteger(half) || both[half] !== " ") return undefined
  const names = withoutPrefix({ from, to })
  return names.from === names.to ? names : undefined
}

const isInside = (name: string) =>
  name.length <= 4096 &&
  !name.includes("\0") &&
  name.split("/").every((part) => part !== "" && part !== "." && part !== "..")

const shown = (name: string) => JSON.stringify(Buffer.from(name, "latin1").toString().slice(0, 200))
