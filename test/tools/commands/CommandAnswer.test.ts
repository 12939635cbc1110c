import { assert, describe, it } from "@effect/vitest"
import { FastCheck } from "effect"
import type { CommandEnd, CommandPage, OutputCursor } from "../../../src/domain/Command.ts"
import { OutputBuffer } from "../../../src/sandbox/OutputBuffer.ts"
import { part, summary } from "../../../src/tools/commands/CommandAnswer.ts"

const decode = (bytes: Uint8Array) => new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes)

const exited: CommandEnd = { _tag: "Exited", code: 0, durationMs: 1, limits: [], spilled: {} }

/** Characters of a text as JSON writes it. */
const cost = (text: string) => JSON.stringify(text).length - 2

/** What an answer may have of stdout and of stderr, with a line that says what is left out. */
const bounds = { stdout: 24_000 + 110, stderr: 12_000 + 110 }

const pageOf = (
  out: OutputBuffer,
  err: OutputBuffer,
  after: OutputCursor,
  end?: CommandEnd,
): CommandPage => ({
  stdout: out.read(after.stdout),
  stderr: err.read(after.stderr),
  next: { stdout: out.total, stderr: err.total },
  end,
})

/** A stream with a reader who asks for it by its cursors, and checks each answer. */
class Followed {
  private readonly name: "stdout" | "stderr"
  readonly buffer: OutputBuffer
  private readonly written: Array<Uint8Array> = []
  cursor = 0
  /** Texts between which there is a gap, each with the bytes that it shows. */
  readonly runs: Array<{ readonly from: number; to: number; text: string }> = [{ from: 0, to: 0, text: "" }]

  constructor(name: "stdout" | "stderr", limit: number) {
    this.name = name
    this.buffer = new OutputBuffer(limit)
  }

  write(bytes: Uint8Array) {
    this.written.push(bytes)
    this.buffer.push(bytes)
  }

  take(text: string, cursor: number) {
    assert.isAtMost(cost(text), bounds[this.name])
    const gap = /^\[… (\d+) bytes were not kept …\]\n/.exec(text)
    const from = this.cursor + Number(gap?.[1] ?? 0)
    const rest = text.slice(gap?.[0].length ?? 0)
    assert.strictEqual(rest, decode(Buffer.concat(this.written).subarray(from, cursor)))
    if (gap !== null) this.runs.push({ from, to: from, text: "" })
    const run = this.runs.at(-1)!
    run.text += rest
    run.to = this.cursor = cursor
  }

  /** All is read by now: each byte once, but for those that a gap counted. */
  check(limit: number) {
    const all = Buffer.concat(this.written)
    assert.strictEqual(this.cursor, all.length)
    for (const { from, to, text } of this.runs) assert.strictEqual(text, decode(all.subarray(from, to)))
    if (all.length <= limit) assert.lengthOf(this.runs, 1)
  }
}

/** Reads both streams once, and says whether there is more. */
const readOnce = (out: Followed, err: Followed, end?: CommandEnd) => {
  const after = { stdout: out.cursor, stderr: err.cursor }
  const answer = part(pageOf(out.buffer, err.buffer, after, end), after)
  out.take(answer.stdout, answer.stdout_cursor)
  err.take(answer.stderr, answer.stderr_cursor)
  return answer.more
}

/** Reads on as a caller does: as long as there is more. */
const readAll = (out: Followed, err: Followed, end?: CommandEnd) => {
  for (let answers = 1; readOnce(out, err, end); answers++) assert.isBelow(answers, 500, "it never ends")
}

/** Bytes of text and of what is none, to be cut anywhere. */
const bytes = FastCheck.array(
  FastCheck.oneof(
    FastCheck.string({ unit: "binary", maxLength: 8 }).map((text) => Buffer.from(text)),
    FastCheck.uint8Array({ maxLength: 8 }).map((bytes) => Buffer.from(bytes)),
    FastCheck.constantFrom("\ufeff", "🦀🦀", "é", "\0\x1b", "\ud7ff", "line\n").map((text) =>
      Buffer.from(text),
    ),
    FastCheck.constantFrom([0xff], [0xe2, 0x82], [0xf0, 0x9f, 0xa6], [0x80, 0x80, 0x80, 0x80]).map((bytes) =>
      Buffer.from(bytes),
    ),
  ),
  { maxLength: 12 },
).map((pieces) => Buffer.concat(pieces))

const steps = FastCheck.array(
  FastCheck.record({
    out: bytes,
    err: bytes,
    cut: FastCheck.integer({ min: 1, max: 7 }),
    reads: FastCheck.boolean(),
  }),
  { maxLength: 20 },
)

/** Long output in stretches that cost JSON very unlike much. */
const stretches = FastCheck.array(
  FastCheck.record({
    unit: FastCheck.constantFrom("\0", "a", '"', "é", "€", "🦀", "\n", "\x1b[0m"),
    bytes: FastCheck.integer({ min: 1, max: 60_000 }),
  }),
  { minLength: 1, maxLength: 6 },
)

const written = (all: ReadonlyArray<{ readonly unit: string; readonly bytes: number }>) =>
  Buffer.concat(all.map(({ unit, bytes }) => Buffer.alloc(bytes, unit)))

describe("part", () => {
  it.prop(
    "gives a reader who follows every byte that is kept once and in order, wherever characters are cut",
    [FastCheck.oneof(FastCheck.constant(10_000), FastCheck.integer({ min: 2, max: 60 })), steps],
    ([limit, steps]) => {
      const [out, err] = [new Followed("stdout", limit), new Followed("stderr", limit)]
      for (const step of steps) {
        for (let at = 0; at < step.out.length; at += step.cut) out.write(step.out.subarray(at, at + step.cut))
        err.write(step.err)
        if (step.reads) readOnce(out, err)
      }
      readAll(out, err, exited)
      out.check(limit)
      err.check(limit)
    },
    { fastCheck: { numRuns: 2000 } },
  )

  it.prop(
    "gives output that is longer than an answer in several, each below the bound as JSON",
    [FastCheck.constantFrom(1_000_000, 50_000), stretches, stretches],
    ([limit, stdout, stderr]) => {
      const [out, err] = [new Followed("stdout", limit), new Followed("stderr", limit)]
      out.write(written(stdout))
      err.write(written(stderr))
      readAll(out, err)
      readAll(out, err, exited)
      out.check(limit)
      err.check(limit)
    },
    { fastCheck: { numRuns: 60 } },
  )

  it("says once how much of the middle was not kept, where it is missing, and goes on behind it", () => {
    const [out, err] = [new Followed("stdout", 100), new Followed("stderr", 100)]
    out.write(Buffer.from(`${"h".repeat(50)}${"m".repeat(1000)}${"t".repeat(50)}`))
    const after = { stdout: 0, stderr: 0 }
    const first = part(pageOf(out.buffer, err.buffer, after, exited), after)
    assert.deepStrictEqual(first, {
      stdout: "h".repeat(50),
      stderr: "",
      stdout_cursor: 50,
      stderr_cursor: 0,
      more: true,
    })
    const next = { stdout: 50, stderr: 0 }
    const second = part(pageOf(out.buffer, err.buffer, next, exited), next)
    assert.deepStrictEqual(second, {
      stdout: `[… 1000 bytes were not kept …]\n${"t".repeat(50)}`,
      stderr: "",
      stdout_cursor: 1100,
      stderr_cursor: 0,
      more: false,
    })
  })

  it("comes past a character that the gap has cut in two", () => {
    for (const before of [47, 48, 49]) {
      const [out, err] = [new Followed("stdout", 100), new Followed("stderr", 100)]
      out.write(Buffer.from(`${"h".repeat(before)}🦀${"m".repeat(200)}`))
      readAll(out, err)
      assert.strictEqual(out.cursor, out.buffer.total)
    }
  })

  it("keeps the beginning of a character back until its rest comes, or the end", () => {
    const crab = Buffer.from("🦀")
    const [out, err] = [new Followed("stdout", 100), new Followed("stderr", 100)]
    out.write(Buffer.concat([Buffer.from("a"), crab.subarray(0, 3)]))
    assert.isFalse(readOnce(out, err))
    assert.deepStrictEqual([out.cursor, out.runs[0]?.text], [1, "a"])
    out.write(crab.subarray(3))
    assert.isFalse(readOnce(out, err))
    assert.strictEqual(out.runs[0]?.text, "a🦀")
    out.write(crab.subarray(0, 3))
    readAll(out, err)
    assert.strictEqual(out.runs[0]?.text, "a🦀")
    readAll(out, err, exited)
    assert.deepStrictEqual([out.cursor, out.runs[0]?.text], [8, "a🦀\ufffd"])
  })

  it("answers cursors at the end with nothing, and leaves them", () => {
    const buffer = new OutputBuffer(100)
    buffer.push(Buffer.alloc(1000, "x"))
    const after = { stdout: 1000, stderr: 1000 }
    assert.deepStrictEqual(part(pageOf(buffer, buffer, after), after), {
      stdout: "",
      stderr: "",
      stdout_cursor: 1000,
      stderr_cursor: 1000,
      more: false,
    })
  })
})

describe("summary", () => {
  it.prop(
    "shows head and tail, below the bound as JSON",
    [FastCheck.constantFrom(1_000_000, 50_000), stretches],
    ([limit, stretches]) => {
      const data = written(stretches)
      const buffer = new OutputBuffer(limit)
      buffer.push(data)
      const { stdout, stderr, truncated } = summary(pageOf(buffer, buffer, { stdout: 0, stderr: 0 }, exited))
      assert.isAtMost(cost(stdout), bounds.stdout)
      assert.isAtMost(cost(stderr), bounds.stderr)
      assert.strictEqual(truncated, stdout !== decode(data) || stderr !== decode(data))
      assert.strictEqual(stdout.slice(0, 500), decode(data).slice(0, 500))
      assert.strictEqual(stdout.slice(-500), decode(data).slice(-500))
    },
    { fastCheck: { numRuns: 60 } },
  )

  it("leaves the beginning of a character to the reader who goes on from its cursor", () => {
    const buffer = new OutputBuffer(100)
    buffer.push(Buffer.from("grüße 🦀").subarray(0, -1))
    const nothing = new OutputBuffer(100)
    const first = summary(pageOf(buffer, nothing, { stdout: 0, stderr: 0 }))
    assert.deepStrictEqual([first.stdout, first.stdout_cursor], ["grüße ", 8])
    buffer.push(Buffer.from("🦀!").subarray(3))
    const after = { stdout: first.stdout_cursor, stderr: first.stderr_cursor }
    assert.strictEqual(part(pageOf(buffer, nothing, after), after).stdout, "🦀!")
  })
})
