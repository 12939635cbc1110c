/** Snippets of each language in the default image. */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import type { Content } from "../../../src/domain/Content.ts"
import { failureOf } from "../../../src/domain/Failure.ts"
import type { Sandbox } from "../../../src/sandbox/Sandbox.ts"
import { runCode } from "../../../src/tools/code/RunCode.ts"
import * as FakeSandbox from "../../support/FakeSandbox.ts"
import { output, SharedSandbox } from "../../support/SharedSandbox.ts"

type Input = Parameters<typeof runCode.handler>[0]

const run = (sandbox: Sandbox, input: Input) => {
  const shown: Array<Content> = []
  const call = { ...FakeSandbox.call(Effect.succeed(sandbox)), show: (one: Content) => void shown.push(one) }
  return Effect.map(runCode.handler(input, call), (answer) => ({ ...answer, shown }))
}

layer(SharedSandbox.layer, { excludeTestServices: true })("RunCode", (it) => {
  it.effect("runs each language, with its input, its folder and what that holds", () =>
    Effect.gen(function* () {
      const sandbox = yield* SharedSandbox
      yield* output(
        sandbox,
        "mkdir -p p/node_modules/pack && cd p && echo 'value = 5' > mod.py && echo 'module.exports = 6' > node_modules/pack/index.js",
      )
      const python = yield* run(sandbox, {
        language: "python",
        code: "import mod, os, sys\nprint(sys.stdin.read(), mod.value, os.getcwd())\nsys.exit(3)",
        stdin: "in",
        cwd: "p",
      })
      assert.deepInclude(python, { exit_code: 3, status: "exited", stdout: "in 5 /workspace/p\n", files: [] })
      for (const [language, code] of [
        ["javascript", 'console.log(require("pack"), process.cwd())'],
        ["javascript", 'import six from "pack"; console.log(six, process.cwd())'],
        ["typescript", 'import six from "pack"; const n: number = six; console.log(n, process.cwd())'],
        ["bash", 'a=(6); echo "${a[0]} $PWD"'],
      ] as const) {
        const answer = yield* run(sandbox, { language, code, cwd: "p" })
        assert.deepInclude(answer, { exit_code: 0, stdout: "6 /workspace/p\n", stderr: "" }, code)
      }
      assert.strictEqual(yield* output(sandbox, "ls /tmp | grep -c code- || true"), "0\n")
    }),
  )

  it.effect("names the files that it made or changed, and shows the images among them", () =>
    Effect.gen(function* () {
      const sandbox = yield* SharedSandbox
      yield* output(
        sandbox,
        "mkdir made && cd made && echo 1 > old.txt && echo 1 > gone.txt && echo 1 > same.txt",
      )
      const answer = yield* run(sandbox, {
        language: "python",
        cwd: "made",
        code: [
          "import os, base64",
          "os.remove('gone.txt'); open('old.txt', 'a').write('2')",
          "os.mkdir('deep'); os.makedirs('a/b')",
          "png = b'\\x89PNG\\r\\n\\x1a\\n' + bytes(20)",
          "open('a/b/plot.dat', 'wb').write(png)",
          "open('text.png', 'w').write('no image')",
          "open('large.gif', 'wb').write(b'GIF89a' + bytes(700_000))",
          "os.symlink('/etc/passwd', 'link'); os.mkfifo('pipe')",
          "for n in range(6): open(f'i{n}.jpg', 'wb').write(b'\\xff\\xd8\\xff' + bytes([n]))",
        ].join("\n"),
      })
      assert.strictEqual(answer.stderr, "")
      assert.deepStrictEqual(
        answer.files.map(({ path, size, image }) => [path.slice("made/".length), size, image]),
        [
          ["a/b/plot.dat", 28, "shown"],
          ["i0.jpg", 4, "shown"],
          ["i1.jpg", 4, "shown"],
          ["i2.jpg", 4, "shown"],
          ["i3.jpg", 4, "not_shown"],
          ["i4.jpg", 4, "not_shown"],
          ["i5.jpg", 4, "not_shown"],
          ["large.gif", 700_006, "not_shown"],
          ["old.txt", 3, undefined],
          ["text.png", 8, undefined],
        ],
      )
      assert.deepStrictEqual(
        answer.shown.map((content) => (content.type === "image" ? content.mimeType : "")),
        ["image/png", "image/jpeg", "image/jpeg", "image/jpeg"],
      )
      const [png] = answer.shown
      assert.include(Buffer.from(png?.type === "image" ? png.data : "", "base64").toString("latin1"), "PNG")
    }),
  )

  it.effect("stays short where a snippet makes thousands of files, of which names are no text", () =>
    Effect.gen(function* () {
      const sandbox = yield* SharedSandbox
      const answer = yield* run(sandbox, {
        language: "python",
        code: "import os\nos.mkdir('many')\nfor n in range(3000): open(b'many/\\xff\\n' + b'x' * 200 + str(n).encode(), 'w')\nprint('\\0' * 100_000)",
      })
      assert.isBelow(JSON.stringify(answer).length, 40_000)
      assert.isAbove(answer.files.length, 5)
      assert.isAbove(answer.files_omitted ?? 0, 1000)
      yield* output(sandbox, "rm -r many")
    }),
  )

  it.effect("ends with its time, and says which language an image cannot run", () =>
    Effect.gen(function* () {
      const sandbox = yield* SharedSandbox
      const late = yield* run(sandbox, { language: "bash", code: "echo begun; sleep 60", timeout_ms: 300 })
      assert.deepInclude(late, { status: "timed_out", stdout: "begun\n" })
      assert.strictEqual(runCode.stateOf?.(late), "timed_out")
      // As on an image without a program for it.
      const without: Sandbox = {
        ...sandbox,
        start: (spec) => sandbox.start({ ...spec, env: { ...spec.env, PATH: "/nowhere" } }),
      }
      const failure = failureOf(yield* Effect.flip(run(without, { language: "javascript", code: "1" })))
      assert.strictEqual(failure.code, "interpreter_missing")
      assert.include(failure.message, "its image has no Node")
    }),
  )
})
