/** Reads the events of `go test -json`, after a line that names the module. (`go doc test2json`.) */
import { Option, Schema } from "effect"
import type { Collector } from "../Collector.ts"
import { objectsBy } from "../../JsonObject.ts"
import type { ReportReader } from "../Runner.ts"
import type { SuiteError } from "../TestReport.ts"
import { Lines } from "./Lines.ts"
import { sidesIn } from "./Sides.ts"

const Event = Schema.Struct({
  Module: Schema.optional(Schema.String),
  Action: Schema.optional(Schema.String),
  Package: Schema.optional(Schema.String),
  Test: Schema.optional(Schema.String),
  Output: Schema.optional(Schema.String),
  FailedBuild: Schema.optional(Schema.String),
})

export class GoReport implements ReportReader {
  private readonly collector: Collector
  private readonly folder: string
  private readonly lines = new Lines(maxLine, (line) => this.take(line))
  private readonly decode = objectsBy(Event)
  private module = ""
  /** What running tests wrote, by package and test; a package's own by its name alone. */
  private readonly outputs = new Map<string, string>()
  /** Tests that failed, with those that they are parts of, and packages in which any did. */
  private readonly parents = new Set<string>()
  private readonly failed = new Set<string>()

  constructor(collector: Collector, folder: string) {
    this.collector = collector
    this.folder = folder
  }

  push(piece: Uint8Array) {
    this.lines.push(piece)
  }

  end() {
    this.lines.end()
  }

  private take(line: string) {
    const event = Option.getOrUndefined(this.decode(line))
    if (event === undefined) return this.build(line)
    const { Action: action, Module: module, Output: output = "", Package: unit = "", Test: test } = event
    if (module !== undefined) this.module = module
    const key = test === undefined ? unit : `${unit} > ${test}`
    if (action === "build-output") this.build(output)
    else if (action === "output") this.keep(key, output)
    else if (action === "pass" || action === "skip") {
      if (test !== undefined) this.collector.count(action === "pass" ? "passed" : "skipped")
      this.outputs.delete(key)
    } else if (action === "fail") {
      if (test === undefined) this.endPackage(unit, event.FailedBuild !== undefined)
      else this.fail(unit, test, key)
      this.outputs.delete(key)
    }
  }

  private keep(key: string, output: string) {
    const known = this.outputs.get(key) ?? ""
    if (known === "" && this.outputs.size >= maxOutputs) return
    const room = maxOutput - known.length
    // The end says what failed; the beginning is there for what wrote most.
    this.outputs.set(key, room >= output.length ? known + output : (known + output).slice(-maxOutput))
  }

  private build(line: string) {
    const error = goError(line)
    if (error !== undefined) this.collector.error(error)
  }

  private fail(unit: string, test: string, key: string) {
    if (this.failed.size < maxOutputs) this.failed.add(unit)
    if (this.parents.size < maxOutputs) {
      for (let at = test.lastIndexOf("/"); at > 0; at = test.lastIndexOf("/", at - 1))
        this.parents.add(`${unit} > ${test.slice(0, at)}`)
    }
    const said = saidIn(this.outputs.get(key) ?? "")
    // A test fails with its parts, which are named.
    if (this.parents.has(key) && said.trim() === "") return
    this.collector.fail({ id: key, ...this.account(unit, said) })
  }

  private endPackage(unit: string, failedBuild: boolean) {
    const output = this.outputs.get(unit) ?? ""
    if (this.failed.has(unit) || failedBuild || /\[(build|setup) failed\]/.test(output)) return
    this.collector.error({ suite: unit, ...this.account(unit, output.replace(/^FAIL\b.*\n?/gm, "")) })
  }

  private account(unit: string, said: string) {
    const panic = /^panic: .*$/m.exec(said)?.[0]
    const message = panic ?? said.replace(/^\s*[^\s:/]{1,500}\.go:\d+: /, "").trim()
    return {
      ...(panic === undefined ? this.placeOf(unit, said) : this.frameOf(said)),
      message: message === "" ? "It failed, and says nothing." : message,
      trace: said,
      ...(this.collector.hasRoom ? sidesIn(said) : {}),
    }
  }

  /** The last place that a test names is where it gave up; files are named without their folder. */
  private placeOf(unit: string, said: string) {
    const found = [...said.matchAll(/^[ \t]{0,40}([^\s:/]{1,300}\.go):(\d+):/gm)].at(-1)
    if (found === undefined) return {}
    const [, file = "", line] = found
    const prefix = `${this.module}/`
    const folder = unit.startsWith(prefix) ? `${unit.slice(prefix.length)}/` : ""
    return { file: folder + file, line: Number(line) }
  }

  /** Of the frames of a panic, the deepest of the project's own. */
  private frameOf(said: string) {
    const frame = said.split("\n").find((line) => line.startsWith(`\t${this.folder}/`))
    const found = /^(.{1,1000}?\.go):(\d+)/.exec(frame?.slice(this.folder.length + 2) ?? "")
    return found === null ? {} : { file: found[1] ?? "", line: Number(found[2]) }
  }
}

/** What the compiler or vet says of a place. */
export const goError = (line: string): SuiteError | undefined => {
  const found = /^(?:vet: )?(\.{0,2}[^\s:]{1,500}\.(?:go|mod)):(\d+)(?::\d+)?: (.{1,2000})/.exec(line)
  if (found === null) return undefined
  const [, file = "", number, message = ""] = found
  return { file: file.replace(/^\.\//, ""), line: Number(number), message }
}

/** Without the runner's own lines. */
const saidIn = (output: string) =>
  output.replace(/^(=== (RUN|PAUSE|CONT|NAME)\b|[ \t]{0,40}--- (FAIL|PASS|SKIP): ).*\n?/gm, "")

const maxLine = 256 * 1024
const maxOutputs = 20_000
/** Characters of one test's output. */
const maxOutput = 8000
