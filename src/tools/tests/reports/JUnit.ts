/** Reads JUnit's XML, as many runners write it, each a little different. */
import type { Collector } from "../Collector.ts"
import type { ReportReader } from "../Runner.ts"
import { sidesIn } from "./Sides.ts"
import { Xml } from "./Xml.ts"

interface Case {
  readonly id: string
  readonly file: string | undefined
  readonly line: number | undefined
  state: "passed" | "failed" | "skipped" | "error"
  message: string
  text: string
}

export class JUnit implements ReportReader {
  private readonly collector: Collector
  private readonly xml: Xml
  private test: Case | undefined
  /** Of the suites that are open, by their depth. */
  private readonly files: Array<string | undefined> = []
  /** The element whose text is kept. */
  private reading: string | undefined
  private suite: { message: string; text: string } | undefined
  /** What the tests took together, in milliseconds. */
  durationMs = 0

  constructor(collector: Collector) {
    this.collector = collector
    this.xml = new Xml({
      open: (name, attributes) => this.open(name, attributes),
      text: (text) => this.keep(text),
      close: (name) => this.close(name),
    })
  }

  push(piece: Uint8Array) {
    this.xml.push(piece)
  }

  end() {
    this.xml.end()
    if (this.xml.problem !== undefined)
      this.collector.error({ message: `A report is not whole: ${this.xml.problem}.` })
  }

  private open(name: string, attributes: ReadonlyMap<string, string>) {
    if (name === "testsuite") {
      if (this.files.length < maxDepth) this.files.push(attributes.get("file") ?? this.files.at(-1))
    } else if (name === "testcase") {
      const time = Number(attributes.get("time") ?? 0)
      if (Number.isFinite(time) && time > 0) this.durationMs += time * 1000
      const line = Number(attributes.get("line") ?? Number.NaN)
      this.test = {
        id: idOf(attributes.get("classname") ?? "", attributes.get("name") ?? ""),
        file: attributes.get("file") ?? this.files.at(-1),
        line: Number.isInteger(line) ? line : undefined,
        state: "passed",
        message: "",
        text: "",
      }
    } else if (name === "failure" || name === "error" || name === "skipped") {
      this.verdict(name, attributes.get("message") ?? attributes.get("type") ?? "")
    }
  }

  private verdict(name: "failure" | "error" | "skipped", message: string) {
    const { test } = this
    if (test === undefined) {
      // Of a suite that did not start.
      if (name === "skipped") return
      this.suite = { message, text: "" }
    } else {
      // The first one tells; more may follow, of what tidies up.
      if (test.state === "failed" || test.state === "error") return
      test.state = name === "failure" ? "failed" : name
      test.message = message
    }
    this.reading = name
  }

  private keep(text: string) {
    const target = this.test ?? this.suite
    if (this.reading === undefined || target === undefined || target.text.length >= maxText) return
    target.text += text.slice(0, maxText - target.text.length)
  }

  private close(name: string) {
    if (name === this.reading) {
      this.reading = undefined
      if (this.test === undefined && this.suite !== undefined) {
        const { message, text } = this.suite
        this.suite = undefined
        this.collector.error({
          message: message || firstLine(text),
          trace: text.trim(),
          ...placeIn(text, this.files.at(-1)),
        })
      }
    } else if (name === "testsuite") this.files.pop()
    else if (name === "testcase" && this.test !== undefined) {
      const { file, id, line, message, state, text } = this.test
      this.test = undefined
      if (state === "passed" || state === "skipped") return this.collector.count(state)
      const trace = text.trim()
      this.collector.fail(
        {
          id,
          ...(this.collector.hasRoom ? placeIn(trace, file) : {}),
          ...(line === undefined ? {} : { line, ...(file === undefined ? {} : { file }) }),
          message: message || firstLine(trace),
          trace,
          ...(this.collector.hasRoom ? sidesIn(`${message}\n${trace}`) : {}),
        },
        state,
      )
    }
  }
}

const idOf = (group: string, name: string) =>
  group === "" || name === group || name.startsWith(`${group} `) ? name : `${group} > ${name}`

const firstLine = (text: string) => text.trim().split("\n")[0] ?? ""

/** The last place that a text names in a file, or in any file where none is known. */
const placeIn = (text: string, file: string | undefined) => {
  let found: { readonly file: string; readonly line: number } | undefined
  for (const match of text.matchAll(/\.[a-z]{1,5}:(\d{1,7})/g)) {
    const end = text.indexOf(":", match.index)
    let begin = match.index
    while (begin > 0 && end - begin < maxPath && !/[\s()'"<>:,]/.test(text[begin - 1] ?? "")) begin--
    const path = text.slice(begin, end)
    if (file === undefined || path.endsWith(file) || file.endsWith(path)) {
      found = { file: file ?? path, line: Number(match[1]) }
    }
  }
  return found ?? (file === undefined ? {} : { file })
}

const maxPath = 300
const maxText = 8000
const maxDepth = 100
