/**
 * Reporters of the runners for JavaScript, as files beside the report: each writes what happens as lines of JSON to it,
 * as `FactLines.ts` reads them, test by test, so that one that never ends leaves what came before.
 */

const common = String.raw`
const here = process.cwd()
const colors = new RegExp("\u001b\\[[0-9;]*m", "g")
const text = (value, limit = 4000) => {
  const whole = String(value).replace(colors, "")
  const half = limit / 2
  return whole.length <= limit ? whole : whole.slice(0, half) + " … " + (whole.length - limit) + " more … " + whole.slice(-half)
}
const shown = (value) => {
  try {
    return text(inspect(value, { depth: 4, maxStringLength: 1000, maxArrayLength: 50 }), 1000)
  } catch {
    return undefined
  }
}
const near = (path) => {
  if (typeof path !== "string" || path === "") return undefined
  const whole = path.startsWith("file:") ? fileURLToPath(path) : path
  if (whole.startsWith("node:")) return undefined
  const short = relative(here, whole)
  return isAbsolute(whole) && (short === "" || short.startsWith("..")) ? whole : short
}
/* The deepest place of a stack that is the project's own. */
const placeOf = (stack) => {
  for (const [, path, line] of String(stack).replace(colors, "").matchAll(/((?:file:\/\/|\/)?[^\s()'"]{1,1000}?):(\d+)(?::\d+)?\)?$/gm)) {
    const file = near(path)
    if (file !== undefined && !isAbsolute(file) && !file.includes("node_modules/") && existsSync(file))
      return { file, line: Number(line) }
  }
  return {}
}
/* Without the places that are not the project's. */
const traceOf = (stack) => {
  const lines = String(stack).split("\n")
  return text(lines.filter((one) => !/^\s+at .*(node_modules\/|node:|<anonymous>\)?$)/.test(one)).join("\n"))
}
const line = (fact) => JSON.stringify(fact) + "\n"
`

export const nodeReporter = String.raw`
import { existsSync } from "node:fs"
import { isAbsolute, relative } from "node:path"
import { fileURLToPath } from "node:url"
import { inspect } from "node:util"
${common}
export default async function* (events) {
  const names = []
  const said = new Map()
  for await (const { data, type } of events) {
    if (type === "test:start") {
      names.length = data.nesting
      names[data.nesting] = data.name
    } else if (type === "test:stderr" && data.file !== undefined) {
      said.set(near(data.file), ((said.get(near(data.file)) ?? "") + data.message).slice(0, 8000))
    } else if (type === "test:pass" || type === "test:fail") {
      const { details, file, skip, todo } = data
      const error = details.error
      const isSuite = details.type === "suite"
      if (type === "test:pass" || skip !== undefined || todo !== undefined) {
        if (!isSuite && !isFile(data)) yield line({ state: skip === undefined && todo === undefined ? "passed" : "skipped" })
        continue
      }
      if (error?.failureType === "subtestsFailed") continue
      if (isFile(data)) {
        const output = said.get(near(file)) ?? ""
        const message = /^\w*(?:Error|Exception)\b.*$/m.exec(output)?.[0] ?? "exit code " + error?.exitCode
        yield line({ state: "broken", id: near(file), file: near(file), ...placeOf(output), message: text(message), trace: text(output) })
        continue
      }
      const cause = error?.cause instanceof Error || typeof error?.cause === "object" ? error.cause : error
      const isComparison = cause?.code === "ERR_ASSERTION" && !["fail", "throws", "rejects", "=="].includes(cause.operator ?? "fail")
      yield line({
        state: isSuite || error?.failureType === "hookFailed" ? "error" : "failed",
        id: [near(file), ...names.slice(0, data.nesting), data.name].join(" > "),
        file: near(file), line: data.line, ...placeOf(cause?.stack ?? ""),
        message: text(cause?.message ?? error?.message ?? cause),
        trace: traceOf(cause?.stack ?? inspect(cause)),
        ...(isComparison && "expected" in cause ? { expected: shown(cause.expected), got: shown(cause.actual) } : {}),
      })
    }
  }
}
/* A file that did not load is a failed test of its name. */
const isFile = ({ file, name, nesting }) => nesting === 0 && file !== undefined && near(file) === near(name.startsWith("/") ? name : here + "/" + name)
`

export const jestReporter = String.raw`
const { appendFileSync, existsSync } = require("node:fs")
const { isAbsolute, join, relative } = require("node:path")
const { fileURLToPath } = require("node:url")
const { inspect } = require("node:util")
${common}
const report = join(__dirname, "report")
module.exports = class {
  onTestResult(_, result) {
    const file = near(result.testFilePath)
    const facts = []
    if (result.testExecError != null && result.testResults.length === 0) {
      const whole = text(result.failureMessage ?? result.testExecError.stack ?? result.testExecError.message)
      const lines = whole.split("\n").map((one) => one.trim()).filter((one) => one !== "" && !one.startsWith("●"))
      const message = lines.find((one) => /^\w*(Error|Exception)\b/.test(one)) ?? result.testExecError.message ?? lines[0]
      const line = /\((\d+):\d+\)/.exec(message)?.[1]
      facts.push({
        state: "broken", id: file, file,
        ...(line === undefined ? placeOf(result.testExecError.stack ?? whole) : { line: Number(line) }),
        message: text(message), trace: whole,
      })
    }
    for (const test of result.testResults) {
      if (test.status === "passed") facts.push({ state: "passed" })
      else if (test.status !== "failed") facts.push({ state: "skipped" })
      else {
        const detail = test.failureDetails?.[0]
        const error = detail?.error ?? detail
        const trace = test.failureMessages?.[0] ?? error?.stack ?? ""
        const sides = error?.matcherResult ?? {}
        facts.push({
          state: "failed",
          id: [file, ...test.ancestorTitles, test.title].join(" > "),
          file, line: test.location?.line, ...placeOf(trace),
          message: text(error?.message ?? String(trace).split("\n    at ")[0]), trace: traceOf(trace),
          ...("expected" in sides ? { expected: shown(sides.expected) } : {}),
          ...("actual" in sides ? { got: shown(sides.actual) } : {}),
        })
      }
    }
    appendFileSync(report, facts.map(line).join(""))
  }
  onRunComplete() {}
  getLastError() {}
}
`

export const vitestReporter = String.raw`
import { appendFileSync, existsSync } from "node:fs"
import { isAbsolute, join, relative } from "node:path"
import { fileURLToPath } from "node:url"
import { inspect } from "node:util"
${common}
const report = join(import.meta.dirname, "report")
const tell = (fact) => appendFileSync(report, line(fact))
const broken = (file, error) => {
  const stack = error.stacks?.find((one) => existsSync(one.file) && !one.file.includes("node_modules/"))
  const said = [error.name, error.message].filter(Boolean).join(": ")
  const built = /^(\/\S+?):(\d+):\d+: ERROR/m.exec(said)
  tell({
    state: "broken", id: file, file,
    ...(built !== null
      ? { file: near(built[1]), line: Number(built[2]) }
      : stack === undefined ? placeOf(error.stack ?? "") : { file: near(stack.file), line: stack.line }),
    message: text(said), trace: traceOf(error.stack ?? error.message),
  })
}
const tested = (file, names, state, errors = [], location) => {
  if (state === "passed" || state === "pass") return tell({ state: "passed" })
  if (state !== "failed" && state !== "fail") return tell({ state: "skipped" })
  const [error = {}] = errors
  const stack = error.stacks?.find((one) => !one.file.includes("node_modules/"))
  tell({
    state: "failed",
    id: [file, ...names].join(" > "),
    file, line: location?.line,
    ...(stack === undefined ? placeOf(error.stack ?? "") : { file: near(stack.file), line: stack.line }),
    message: text([error.name === "Error" ? undefined : error.name, error.message].filter(Boolean).join(": ")),
    trace: traceOf(error.stack ?? error.message ?? ""),
    ...(error.expected == null ? {} : { expected: text(error.expected, 1000) }),
    ...(error.actual == null ? {} : { got: text(error.actual, 1000) }),
  })
}
export default class {
  live = false
  onTestRunStart() {
    this.live = true
  }
  onTestCaseResult(test) {
    const names = [test.name]
    for (let at = test.parent; at?.type === "suite"; at = at.parent) names.unshift(at.name)
    const { errors, state } = test.result()
    tested(near(test.module.moduleId), names, state, errors, test.location)
  }
  onTestSuiteResult(suite) {
    for (const error of suite.errors()) broken(near(suite.module.moduleId), error)
  }
  onTestRunEnd(modules, errors) {
    for (const module of modules) for (const error of module.errors()) broken(near(module.moduleId), error)
    for (const error of errors ?? []) broken(undefined, error)
  }
  /* Before vitest 3. */
  onFinished(files = [], errors = []) {
    if (this.live) return
    const walk = (task, names, file) => {
      if (task.type !== "suite" && task.tasks === undefined)
        return tested(file, [...names, task.name], task.result?.state ?? task.mode, task.result?.errors, task.location)
      for (const error of task.result?.errors ?? []) broken(file, error)
      for (const one of task.tasks) walk(one, task.filepath === undefined ? [...names, task.name] : [], file)
    }
    for (const file of files) walk(file, [], near(file.filepath))
    for (const error of errors) broken(undefined, error)
  }
}
`
