import { assert, describe, it } from "@effect/vitest"
import { checkers } from "../../../src/tools/checks/Checkers.ts"
import { type Finding, tidy } from "../../../src/tools/checks/Finding.ts"
import { written } from "../../../src/tools/checks/Written.ts"
import { recording } from "./Recording.ts"

const piece = (text: string) => written({ data: Buffer.from(text), skipped: 0, skippedAt: 0 })

/** What a checker finds in the project of a recording, as `file:line:column severity rule message`. */
const found = (checker: string, name: string, folder: string) => {
  const { code, stdout, stderr } = recording(name)
  return checkers
    .find(({ name }) => name === checker)!
    .read({ code, stdout: piece(stdout), stderr: piece(stderr) })
    .map(tidy(checker, `/workspace/${folder}`))
    .map(shown)
}

const shown = ({ file, line, column, rule, severity, message }: Finding) =>
  `${[file, line, column].filter((part) => part !== undefined).join(":")} ${severity} ${rule ?? "-"} ${message}`

const recorded: ReadonlyArray<
  readonly [checker: string, recording: string, folder: string, findings: ReadonlyArray<string>]
> = [
  [
    "ruff",
    "ruff",
    "python",
    [
      "python/app.py:1:8 error F401 `os` imported but unused",
      "python/app.py:6:5 error F841 Local variable `unused` is assigned to but never used",
      "python/broken.py:1:12 error invalid-syntax Expected a parameter or the end of the parameter list",
      "python/broken.py:1:13 error invalid-syntax Expected `)`, found newline",
    ],
  ],
  [
    "ruff format",
    "ruff-format",
    "python",
    [
      "python/app.py error format not formatted",
      "python/broken.py:1:12 error invalid-syntax Expected a parameter or the end of the parameter list",
    ],
  ],
  [
    "flake8",
    "flake8",
    "python",
    [
      "python/app.py:1:1 error F401 'os' imported but unused",
      "python/app.py:6:5 error F841 local variable 'unused' is assigned to but never used",
      "python/app.py:8:1 error E305 expected 2 blank lines after class or function definition, found 0",
      "python/app.py:8:6 error E201 whitespace after '{'",
      "python/app.py:8:11 error E231 missing whitespace after ':'",
      "python/app.py:8:13 error E202 whitespace before '}'",
      "python/broken.py:1:13 error E999 SyntaxError: invalid syntax",
    ],
  ],
  [
    "mypy",
    "mypy",
    "python",
    ['python/app.py:7:12 error return-value Incompatible return value type (got "int", expected "str")'],
  ],
  [
    "mypy",
    "mypy-syntax",
    "python",
    [
      "python/broken.py:1:13 error syntax Expected a parameter or the end of the parameter list",
      "python/broken.py:1:14 error syntax Expected `)`, found newline",
    ],
  ],
  [
    "black",
    "black",
    "python",
    ["python/app.py error format not formatted", "python/broken.py:1:12 error - cannot be parsed"],
  ],
  [
    "pyright",
    "pyright",
    "python",
    [
      'python/app.py:7:12 error reportReturnType Type "int" is not assignable to return type "str"\n\u00a0\u00a0"int" is not assignable to "str"',
      'python/broken.py:1:11 error - "(" was not closed',
      "python/broken.py:1:12 error - Expected parameter name",
      "python/broken.py:1:12 error - Position-only parameter separator not allowed as first parameter",
      "python/broken.py:2:5 error - Expected expression",
      'python/broken.py:3:1 error - Expected ":"',
      "python/broken.py:3:1 error - Expected expression",
      "python/broken.py:3:1 error - Statements must be separated by newlines or semicolons",
    ],
  ],
  [
    "eslint",
    "eslint",
    "javascript",
    [
      "javascript/app.js:3:7 warning eqeqeq Expected '===' and instead saw '=='.",
      "javascript/app.js:3:15 error no-debugger Unexpected 'debugger' statement.",
      "javascript/broken.js:1:14 error - Parsing error: Unexpected token =",
    ],
  ],
  [
    "biome",
    "biome",
    "javascript",
    [
      "javascript/src.ts:2:9 warning lint/correctness/noUnusedVariables This variable unused is unused.",
      "javascript/app.js:3:7 error lint/suspicious/noDoubleEquals Using == may be unsafe if you are relying on type coercion.",
      "javascript/app.js:3:15 error lint/suspicious/noDebugger This is an unexpected use of the debugger statement.",
      "javascript/broken.js:1:14 error parse Expected an identifier, an array pattern, or an object pattern but instead found '= 1'.",
      "javascript/src.ts:3:3 error lint/suspicious/noDebugger This is an unexpected use of the debugger statement.",
    ],
  ],
  [
    "biome format",
    "biome-format",
    "javascript",
    [
      "javascript/app.js error format not formatted",
      "javascript/broken.js:1:14 error parse Expected an identifier, an array pattern, or an object pattern but instead found '= 1'.",
      "javascript/eslint.config.js error format not formatted",
      "javascript/package.json error format not formatted",
      "javascript/src.ts error format not formatted",
      "javascript/tsconfig.json error format not formatted",
    ],
  ],
  [
    "oxlint",
    "oxlint",
    "javascript",
    [
      "javascript/broken.js:1:14 error - Unexpected token",
      "javascript/app.js:3:15 warning eslint(no-debugger) `debugger` statement is not allowed",
      "javascript/src.ts:2:9 warning eslint(no-unused-vars) Variable 'unused' is declared but never used. Unused variables should start with a '_'.",
      "javascript/src.ts:3:3 warning eslint(no-debugger) `debugger` statement is not allowed",
    ],
  ],
  [
    "tsc",
    "tsc",
    "javascript",
    [
      "javascript/src.ts:2:9 error TS6133 'unused' is declared but its value is never read.",
      "javascript/src.ts:4:3 error TS2322 Type 'number' is not assignable to type 'string'.",
    ],
  ],
  [
    "prettier",
    "prettier",
    "javascript",
    [
      "javascript/app.js error format not formatted",
      "javascript/eslint.config.js error format not formatted",
      "javascript/package.json error format not formatted",
      "javascript/src.ts error format not formatted",
      "javascript/tsconfig.json error format not formatted",
      "javascript/broken.js:1:14 error - SyntaxError: Unexpected token",
    ],
  ],
  [
    "go vet",
    "go-vet",
    "go",
    [
      "go/inner/inner.go:5:9 error vet cannot use len(prices) (value of type int) as string value in return statement",
      "go/main.go:8:2 error vet self-assignment of x",
      'go/main.go:6:14 error vet fmt.Printf format %d has arg "text" of wrong type string',
    ],
  ],
  [
    "go build",
    "go-build",
    "go",
    [
      "go/inner/inner.go:4:6 error - declared and not used: unused",
      "go/inner/inner.go:5:9 error - cannot use len(prices) (value of type int) as string value in return statement",
    ],
  ],
  ["gofmt", "gofmt", "go", ["go/main.go error format not formatted"]],
  [
    "clippy",
    "clippy",
    "rust",
    [
      "rust/src/lib.rs:2:7 warning unused_variables unused variable: `unused`",
      "rust/src/lib.rs:4:5 warning clippy::needless_return unneeded `return` statement",
      "rust/src/lib.rs:1:22 warning clippy::ptr_arg writing `&Vec` instead of `&[_]` involves a new object where a slice will do",
      "rust/src/lib.rs:3:8 warning clippy::len_zero length comparison to zero",
    ],
  ],
  [
    "cargo check",
    "cargo-check",
    "rust",
    [
      "rust/src/lib.rs:2:7 warning unused_variables unused variable: `unused`",
      "rust/src/main.rs:2:24 error E0308 mismatched types",
    ],
  ],
  ["rustfmt", "rustfmt", "rust", ["rust/src/lib.rs error format not formatted"]],
  [
    "rustfmt",
    "rustfmt-syntax",
    "rust",
    ["rust/src/bad.rs:1:8 error - this file contains an unclosed delimiter"],
  ],
]

describe("Checkers", () => {
  for (const [checker, name, folder, findings] of recorded) {
    it(`${checker} is read as it speaks (${name})`, () => {
      assert.deepStrictEqual(found(checker, name, folder), findings)
    })
  }

  it("each has a recording that it is read from", () => {
    const read = recorded.map(([checker]) => checker)
    assert.sameMembers(
      [...new Set(read)],
      checkers.map(({ name }) => name),
    )
  })

  it("an older ruff that names unformatted files on a line each is read too", () => {
    const ruff = checkers.find(({ name }) => name === "ruff format")!
    const stderr = piece("error: Failed to parse broken.py:1:12: Expected a parameter\n")
    assert.deepStrictEqual(
      ruff
        .read({ code: 2, stdout: piece("Would reformat: a b.py\n1 file would be reformatted\n"), stderr })
        .map(tidy("ruff", "/workspace"))
        .map(shown),
      ["a b.py error format not formatted", "broken.py:1:12 error - Expected a parameter"],
    )
  })
})
