import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { checkers } from "../../../src/tools/checks/Checkers.ts"
import { jsonElements, jsonLines, lines, written } from "../../../src/tools/checks/Written.ts"
import { recording } from "./Recording.ts"

const whole = (text: string) => written({ data: Buffer.from(text), skipped: 0, skippedAt: 0 })

/** Of which `skipped` bytes at a place were not kept. */
const cut = (text: string, at: number, skipped: number) =>
  written({
    data: Buffer.concat([Buffer.from(text).subarray(0, at), Buffer.from(text).subarray(at + skipped)]),
    skipped,
    skippedAt: at,
  })

const Item = Schema.Struct({ id: Schema.Number })

const readerOf = (name: string) => checkers.find((checker) => checker.name === name)!.read

describe("Written", () => {
  it("leaves out the lines that a gap has broken", () => {
    assert.deepStrictEqual(lines(cut("one\ntwo\nthree\nfour\n", 5, 6)), ["one", "four", ""])
    assert.deepStrictEqual(lines(whole("one\ntwo")), ["one", "two"])
  })

  it("reads lines of JSON among others, and leaves out what does not fit", () => {
    const text = 'hello\n{"id":1}\n{"id":"2"}\n{"id":3\n{"id":4}\n'
    assert.deepStrictEqual(jsonLines(whole(text), Item), [{ id: 1 }, { id: 4 }])
  })

  it("reads the elements of an array, whatever stands in their texts", () => {
    const items = [
      { id: 1, text: '}]",{[\\"' },
      { id: 2, inner: { list: [[1], {}] } },
      { id: "no" },
      { id: 3 },
    ]
    assert.deepStrictEqual(jsonElements(whole(JSON.stringify(items)), Item), [
      { id: 1 },
      { id: 2 },
      { id: 3 },
    ])
    assert.deepStrictEqual(
      jsonElements(whole(JSON.stringify({ other: [{ id: 9 }], items, last: [{ id: 8 }] })), Item, "items"),
      [{ id: 1 }, { id: 2 }, { id: 3 }],
    )
  })

  it("reads those elements that are whole, where the text breaks off anywhere", () => {
    const text = JSON.stringify([{ id: 1, text: "a}" }, { id: 2 }, { id: 3 }])
    for (let length = 0; length < text.length; length++) {
      const read = jsonElements(cut(text, length, text.length - length), Item)
      assert.deepStrictEqual(read, [{ id: 1 }, { id: 2 }, { id: 3 }].slice(0, read.length))
      assert.isAtLeast(read.length, (text.slice(0, length).match(/\},|\}\]/g) ?? []).length - 1)
    }
  })

  it("finds nothing in what is no array", () => {
    for (const text of ["", "[", "]", "{}", "null", '{"items": {}}', '"items":', "[1, 2"]) {
      assert.deepStrictEqual(jsonElements(whole(text), Item, "items"), [])
    }
  })

  it("a linter's answer that was cut names what came before", () => {
    const { stdout } = recording("eslint")
    const at = stdout.indexOf('"messageId":"unexpected","endLine":3,"endColumn":23')
    assert.isAbove(at, 0)
    const cutAt = (at: number) =>
      readerOf("eslint")({ code: 1, stdout: cut(stdout, at, stdout.length - at), stderr: whole("") }).length
    assert.strictEqual(cutAt(at), 0)
    assert.strictEqual(cutAt(stdout.indexOf('{"filePath"', at)), 2)
  })

  for (const { name, read } of checkers) {
    it(`${name} is read in short time, whatever it says`, () => {
      const hostile = [
        "a:1:1".repeat(200_000),
        "::error title=,file=,line=1,endLine=1,col=1,".repeat(20_000),
        "[error] a: aError: (1:1) ".repeat(800).concat("\n").repeat(50),
        `{"diagnostics": [${'{"a":['.repeat(100_000)}`,
        `[${'{"filePath":"x","messages":[]},'.repeat(20_000)}`,
        "((((1,1): error TS1: ".repeat(100).concat("\n").repeat(400),
        "error: cannot parse: a:1:1: --> ".repeat(100).concat("\n").repeat(300),
        "\0\u001b[31m\ud800".repeat(100_000),
        '{"filename":"x"}\n'.repeat(50_000),
      ]
      const begin = performance.now()
      for (const text of hostile) read({ code: 1, stdout: whole(text), stderr: whole(text) })
      assert.isBelow(performance.now() - begin, 5000)
    })
  }
})
