/** A module that abbreviates names, and stumbles over two spaces in a row. */
import type { SampleProject } from "./SampleProject.ts"

const source = `/** The initials of a name: "Ada Lovelace" gives "AL". */
export const initials = (name) =>
  name
    .split(" ")
    .map((word) => word[0].toUpperCase())
    .join("")
`

const tests = `import assert from "node:assert/strict"
import { test } from "node:test"
import { initials } from "../src/initials.js"

test("two words", () => {
  assert.equal(initials("Ada Lovelace"), "AL")
})

test("more than one space", () => {
  assert.equal(initials(" grace  hopper "), "GH")
})
`

export const nodeProject: SampleProject = {
  language: "Node",
  folder: "initials",
  files: {
    "initials/package.json": `{ "name": "initials", "version": "1.0.0", "type": "module" }\n`,
    "initials/src/initials.js": source,
    "initials/test/initials.test.js": tests,
  },
  test: "node --test --test-reporter=spec",
  red: /^ℹ pass 1$[^]*^ℹ fail 1$/m,
  failure:
    /(?<error>\w+Error)\b.*\n(?:\s+at .*\n)*?\s+at .*\/workspace\/initials\/(?<file>src\/\S+?):(?<line>\d+)/,
  wrong: `    .split(" ")`,
  right: `    .trim()\n    .split(/\\s+/)`,
  green: /^ℹ pass 2$[^]*^ℹ fail 0$/m,
}
