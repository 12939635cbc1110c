/** Reads the text of `cargo test`, stdout and stderr in one. */
import type { Collector } from "../Collector.ts"
import type { ReportReader } from "../Runner.ts"
import { Lines } from "./Lines.ts"

export class CargoReport implements ReportReader {
  private readonly collector: Collector
  private readonly lines = new Lines(maxLine, (line) => this.take(line))
  /** The file that the tests which run are built from. */
  private target = ""
  /** Failed tests of the target whose output has not come yet. */
  private failed = new Set<string>()
  private section: { readonly test: string; text: string } | undefined
  private compiler:
    { readonly message: string; place?: { file: string; line: number }; text: string } | undefined
  private broken = 0
  /** Errors of cargo itself, which name no place. */
  private readonly general: Array<string> = []
  private tested = false

  constructor(collector: Collector) {
    this.collector = collector
  }

  push(piece: Uint8Array) {
    this.lines.push(piece)
  }

  end() {
    this.lines.end()
    this.endTarget()
    this.endCompiler()
    if (!this.tested && this.broken === 0 && this.general.length > 0) {
      this.collector.error({ message: this.general[0] ?? "", trace: this.general.join("\n") })
    }
  }

  private take(line: string) {
    const target = /^\s+(?:Running (?:unittests )?(\S{1,500})|Doc-tests (\S{1,200})|Running `)/.exec(line)
    if (target !== null) {
      this.endTarget()
      this.endCompiler()
      this.target = target[1] ?? target[2] ?? ""
      return
    }
    const result = /^test (.{1,500}?)(?: - should panic)? \.\.\. (ok|FAILED|ignored)(?:, .*| <.*)?$/.exec(
      line,
    )
    if (result !== null) {
      this.tested = true
      const [, test = "", word] = result
      if (word === "ok") this.collector.count("passed")
      else if (word === "ignored") this.collector.count("skipped")
      else if (this.failed.size < maxFailed) this.failed.add(test)
      else this.collector.fail({ id: this.idOf(test), message: "" })
      return
    }
    const section = /^---- (.{1,500}) stdout ----$/.exec(line)
    if (section !== null || line === "failures:" || line.startsWith("test result: ")) {
      this.endSection()
      if (section !== null) this.section = { test: section[1] ?? "", text: "" }
      if (line.startsWith("test result: ")) this.endTarget()
      return
    }
    if (this.section !== undefined) {
      const room = maxText - this.section.text.length
      if (room > 0) this.section.text += `${line.slice(0, room)}\n`
      return
    }
    this.compile(line)
  }

  /** What the compiler writes: a message, a place, then the code. */
  private compile(line: string) {
    const error = /^error(?:\[E\d+\])?: (.{1,2000})$/.exec(line)
    if (error !== null) {
      this.endCompiler()
      this.compiler = { message: error[0], text: `${line}\n` }
    } else if (/^warning(\[|:)/.test(line) || line === "") this.endCompiler()
    else if (this.compiler !== undefined) {
      const place = /^\s*--> (.{1,500}?):(\d+):\d+$/.exec(line)
      if (place !== null && this.compiler.place === undefined) {
        this.compiler.place = { file: place[1] ?? "", line: Number(place[2]) }
      }
      const room = maxText - this.compiler.text.length
      if (room > 0) this.compiler.text += `${line.slice(0, room)}\n`
    }
  }

  private endCompiler() {
    if (this.compiler === undefined) return
    const { message, place, text } = this.compiler
    this.compiler = undefined
    if (place === undefined) {
      if (this.general.length < maxGeneral) this.general.push(text.trim())
      return
    }
    this.broken++
    this.collector.error({ ...place, message, trace: text })
  }

  private endSection() {
    if (this.section === undefined) return
    const { test, text } = this.section
    this.section = undefined
    if (!this.failed.delete(test)) return
    const said = text.trim()
    const account = this.collector.hasRoom ? accountOf(said) : { message: said }
    this.collector.fail({ id: this.idOf(test), ...account })
  }

  private endTarget() {
    this.endSection()
    for (const test of this.failed)
      this.collector.fail({ id: this.idOf(test), message: "It failed, and says nothing." })
    this.failed = new Set()
  }

  private idOf(test: string) {
    return this.target === "" || test.startsWith(`${this.target} - `) ? test : `${this.target} > ${test}`
  }
}

/** Rust 1.73 has the place before the message, those before behind it. */
const accountOf = (said: string) => {
  const begin = said.slice(0, maxRead)
  const now = /panicked at ([^\n']{1,500}?):(\d{1,9}):\d{1,9}:\n([\s\S]{0,4000})/.exec(begin)
  const then = /panicked at '([\s\S]{0,4000}?)', ([^\n]{1,500}?):(\d{1,9}):\d{1,9}/.exec(begin)
  const [message, file, line] =
    now !== null ? [now[3], now[1], now[2]] : then !== null ? [then[1], then[2], then[3]] : [said]
  const clean = (message ?? "").replace(/\nnote: run with `RUST_BACKTRACE[\s\S]*/, "").trim()
  // A test that gave an error back panics in Rust's own code.
  const isOwn = file !== undefined && !file.startsWith("/")
  const left = sideOf("left", clean)
  const right = sideOf("right", clean)
  return {
    ...(isOwn ? { file, line: Number(line) } : {}),
    message: clean === "" ? "It failed, and says nothing." : clean,
    trace: said,
    // By the custom of assert_eq!(got, expected).
    ...(isOwn && left !== undefined && right !== undefined ? { got: left, expected: right } : {}),
  }
}

const sideOf = (side: string, message: string) => {
  const value = new RegExp(`^[ \\t]{0,40}${side}: (.{1,500}?),?$`, "m").exec(message)?.[1]
  return value === undefined ? undefined : (/^`(.*)`/.exec(value)?.[1] ?? value)
}

const maxLine = 64 * 1024
const maxFailed = 20_000
const maxText = 8000
/** Characters of it in which a panic is looked for: the time grows with their square. */
const maxRead = 4000
const maxGeneral = 20
