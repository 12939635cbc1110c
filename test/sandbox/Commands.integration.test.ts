import { assert, layer } from "@effect/vitest"
import { Effect, Fiber, Option } from "effect"
import { basename } from "node:path"
import type { OutputCursor } from "../../src/domain/Command.ts"
import { Limits } from "../../src/sandbox/Limits.ts"
import { Sandboxes } from "../../src/sandbox/Sandboxes.ts"
import { fresh, line, output, processes, run, SharedSandbox, shows, start } from "../support/SharedSandbox.ts"

const mebibytes = (count: number) => String(count * 1024 * 1024)

layer(
  SharedSandbox.layerOf({
    SPILL_LIMIT: mebibytes(8),
    OUTPUT_LIMIT: mebibytes(1),
    MAX_COMMAND_OUTPUT: mebibytes(20),
  }),
  { excludeTestServices: true, timeout: "60 seconds" },
)("Commands", (it) => {
  it.effect("gives each command's exit code, output and time", () =>
    Effect.gen(function* () {
      const sandbox = yield* SharedSandbox
      for (const code of [0, 1, 3, 125, 126, 127, 128, 137, 255]) {
        assert.strictEqual((yield* run(sandbox, line(`exit ${code}`))).code, code)
      }
      const { out, err, end } = yield* run(sandbox, line("echo out; echo err >&2; sleep 0.2; exit 3"))
      assert.deepStrictEqual([out, err], ["out\n", "err\n"])
      assert.isAbove(end?.durationMs ?? 0, 190)
      assert.isBelow(end?.durationMs ?? 0, 2000)
    }),
  )

  for (const signal of ["SIGTERM", "SIGKILL", "SIGSEGV", "SIGUSR1"]) {
    it.effect(`names the signal that ended a command: ${signal}`, () =>
      Effect.gen(function* () {
        const { end } = yield* run(yield* SharedSandbox, line(`kill -${signal.slice(3)} $$; sleep 9`))
        assert.deepInclude(end, { _tag: "Signalled", signal })
      }),
    )
  }

  it.effect("says how much processor time a command took, and its memory at the peak", () =>
    Effect.gen(function* () {
      const sandbox = yield* SharedSandbox
      const { end } = yield* run(
        sandbox,
        line("python3 -c 'x = bytearray(150_000_000); sum(range(5_000_000))'; true"),
      )
      assert.isAbove(end?.peakMemory ?? 0, 150_000_000)
      assert.isBelow(end?.peakMemory ?? Infinity, 200_000_000)
      assert.isAbove(end?.cpuMs ?? 0, 50)
      const idle = (yield* run(sandbox, line("sleep 0.1"))).end
      assert.isBelow(idle?.cpuMs ?? 999, 90)
      assert.isUndefined(idle?.peakMemory)
      assert.deepStrictEqual([idle?.limits, idle?.spilled], [[], {}])
    }),
  )

  it.effect("runs an argv without a shell, odd arguments and all", () =>
    Effect.gen(function* () {
      const odd = ["$(id)", "; ls", "", " two  spaces", "'\"\\", "line\nbreak", "-n", "ü🦀", "%s"]
      const program = "import sys, json; print(json.dumps(sys.argv[1:]))"
      const { out } = yield* run(yield* SharedSandbox, {
        ...line(""),
        argv: ["python3", "-c", program, ...odd],
      })
      assert.deepStrictEqual(JSON.parse(out), odd)
    }),
  )

  it.effect("runs in the folder and with the environment that it was given, and its own home", () =>
    Effect.gen(function* () {
      const sandbox = yield* SharedSandbox
      const env = { GREETING: "a b=c\n'd'", EMPTY: "" }
      const command = 'printf "%s|%s|%s|%s" "$PWD" "$GREETING" "${EMPTY-unset}" "$HOME"'
      const { out } = yield* run(sandbox, line(command, { cwd: "/tmp", env }))
      assert.strictEqual(out, "/tmp|a b=c\n'd'||/home/agent")
      assert.strictEqual(yield* output(sandbox, 'printf %s "${GREETING-unset}"'), "unset")
    }),
  )

  it.effect(
    "finds a program along the PATH that the command was given, and runs a script without a first line",
    () =>
      Effect.gen(function* () {
        const sandbox = yield* SharedSandbox
        yield* output(sandbox, "mkdir -p bin; echo 'echo ran $1' > bin/own; chmod +x bin/own")
        for (const [program, env] of [
          ["own", { PATH: "/workspace/bin:/usr/bin:/bin" }],
          ["own", { PATH: "bin:/bin" }],
          ["bin/own", {}],
          ["/workspace/bin/own", {}],
        ] as const) {
          const { out } = yield* run(sandbox, { ...line("", { env }), argv: [program, "well"] })
          assert.strictEqual(out, "ran well\n", program)
        }
      }),
  )

  it.effect("gives a command that reads nothing an end of input at once", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* run(yield* SharedSandbox, line("cat; echo done"))).out, "done\n")
    }),
  )

  it.effect("passes on what is written to a command, byte for byte, and its end", () =>
    Effect.gen(function* () {
      const sandbox = yield* SharedSandbox
      const id = yield* sandbox.start(line("sha256sum; echo end", { stdin: "open" }))
      const data = Buffer.alloc(
        300_000,
        Uint8Array.from({ length: 256 }, (_, index) => index),
      )
      yield* sandbox.write(id, data, false)
      yield* sandbox.write(id, data, true)
      const page = yield* sandbox.read(id, start, 20_000, "end")
      const expected = yield* output(
        sandbox,
        "python3 -c 'import sys; d=bytes(range(256)); sys.stdout.buffer.write(((d*1172)[:300000])*2)' | sha256sum",
      )
      assert.strictEqual(Buffer.from(page.stdout.data).toString(), `${expected}end\n`)
    }),
  )

  it.effect("bears a command that takes none of its input, or ends in the middle of it", () =>
    Effect.gen(function* () {
      const sandbox = yield* SharedSandbox
      for (const command of ["exec 0<&-; sleep 0.3; exit 4", "head -c 10 > /dev/null; exit 4"]) {
        const id = yield* sandbox.start(line(command, { stdin: "open" }))
        yield* sandbox.write(id, Buffer.alloc(2_000_000), true)
        const { end } = yield* sandbox.read(id, start, 10_000, "end")
        assert.deepInclude(end, { _tag: "Exited", code: 4 })
      }
    }),
  )

  it.effect("carries several MB of input to a command that reads slowly, and waits for it", () =>
    Effect.gen(function* () {
      const sandbox = yield* SharedSandbox
      const id = yield* sandbox.start(
        line("while [ ! -e go ]; do sleep 0.02; done; wc -c", { stdin: "open" }),
      )
      const writing = yield* Effect.fork(sandbox.write(id, Buffer.alloc(5_000_000), true))
      assert.strictEqual(yield* output(sandbox, "echo meanwhile"), "meanwhile\n")
      assert.isNull(yield* Fiber.poll(writing).pipe(Effect.map(Option.getOrNull)))
      yield* output(sandbox, "touch go")
      yield* Fiber.join(writing)
      const page = yield* sandbox.read(id, start, 10_000, "end")
      assert.strictEqual(Buffer.from(page.stdout.data).toString(), "5000000\n")
      yield* output(sandbox, "rm go")
    }),
  )

  it.effect("wakes everyone who waits for more of a command's output", () =>
    Effect.gen(function* () {
      const sandbox = yield* SharedSandbox
      const id = yield* sandbox.start(line("read l; echo $l; sleep 30", { stdin: "open" }))
      const readers = yield* Effect.fork(
        Effect.replicateEffect(sandbox.read(id, start, 20_000, "output"), 3, { concurrency: "unbounded" }),
      )
      yield* sandbox.write(id, Buffer.from("news\n"), false)
      for (const { stdout, end } of yield* Fiber.join(readers)) {
        assert.strictEqual(Buffer.from(stdout.data).toString(), "news\n")
        assert.isUndefined(end)
      }
      yield* sandbox.forget(id)
    }),
  )

  it.effect("hands out output as it comes, by cursors that never repeat or lose any", () =>
    Effect.gen(function* () {
      const sandbox = yield* SharedSandbox
      const id = yield* sandbox.start(
        line("while read l; do echo got $l; echo e$l >&2; done", { stdin: "open" }),
      )
      let cursor: OutputCursor = start
      let out = ""
      for (const word of ["one", "two", "three"]) {
        yield* sandbox.write(id, Buffer.from(`${word}\n`), word === "three")
        while (!out.endsWith(`got ${word}\n`)) {
          const page = yield* sandbox.read(id, cursor, 5000, "output")
          out += Buffer.from(page.stdout.data).toString()
          cursor = page.next
        }
      }
      assert.strictEqual(out, "got one\ngot two\ngot three\n")
      const last = yield* sandbox.read(id, { ...cursor, stderr: 0 }, 5000, "end")
      assert.strictEqual(last.stdout.data.length, 0)
      assert.strictEqual(Buffer.from(last.stderr.data).toString(), "eone\netwo\nethree\n")
      assert.strictEqual(last.end?._tag, "Exited")
    }),
  )

  it.effect("answers a read without news after its time, and does not end the command", () =>
    Effect.gen(function* () {
      const sandbox = yield* SharedSandbox
      const id = yield* sandbox.start(line("sleep 30"))
      for (const condition of ["output", "end"] as const) {
        const page = yield* sandbox.read(id, start, 50, condition)
        assert.isUndefined(page.end)
      }
      yield* sandbox.forget(id)
    }),
  )

  it.effect(
    "keeps head and tail of 5 MB, stdout and stderr apart, and the whole in a file that it names",
    () =>
      Effect.gen(function* () {
        const sandbox = yield* SharedSandbox
        const limits = yield* Limits
        const { stdout, stderr, next, code, end } = yield* run(
          sandbox,
          line("echo begin; head -c 5000000 /dev/zero | tr '\\0' x; echo; echo end; echo small >&2"),
        )
        assert.strictEqual(code, 0)
        assert.deepStrictEqual(next, { stdout: 5_000_011, stderr: 6 })
        assert.strictEqual(stdout.data.length, limits.output)
        assert.strictEqual(stdout.skipped, 5_000_011 - limits.output)
        const text = Buffer.from(stdout.data).toString()
        assert.match(text.slice(0, 20), /^begin\nx+$/)
        assert.match(text.slice(-20), /^x+\nend\n$/)
        assert.strictEqual(Buffer.from(stderr.data).toString(), "small\n")
        assert.deepStrictEqual(Object.keys(end?.spilled ?? {}), ["stdout"])
        const file = end?.spilled.stdout ?? "none"
        assert.match(file, /^\/tmp\//)
        const whole = "(echo begin; head -c 5000000 /dev/zero | tr '\\0' x; echo; echo end) | sha256sum"
        assert.strictEqual(yield* output(sandbox, `sha256sum < ${file}`), yield* output(sandbox, whole))
      }),
  )

  it.effect("keeps the beginnings of long outputs in files, within a bound for all of them together", () =>
    Effect.gen(function* () {
      const { remove } = yield* Sandboxes
      const sandbox = yield* fresh
      const { spill } = yield* Limits
      const long = (count: number) => line(`echo begin; head -c ${count}M /dev/zero`)
      const first = (yield* run(sandbox, long(5))).end?.spilled.stdout ?? "none"
      const second = (yield* run(sandbox, long(6))).end?.spilled.stdout ?? "none"
      const size = `stat -c %s ${first} ${second} 2> /dev/null | paste -sd' '`
      assert.strictEqual(yield* output(sandbox, size), `${6 * 1024 * 1024 + 6}\n`)
      const third = (yield* run(sandbox, long(12))).end?.spilled.stdout ?? "none"
      assert.strictEqual(yield* output(sandbox, `ls ${third.replace(/[^/]*$/, "")}`), `${basename(third)}\n`)
      assert.strictEqual(
        yield* output(sandbox, `head -n 1 ${third}; stat -c %s ${third}`),
        `begin\n${spill}\n`,
      )
      yield* remove(sandbox.id)
    }),
  )

  it.effect("kills a command that writes more than a command may", () =>
    Effect.gen(function* () {
      const sandbox = yield* SharedSandbox
      const { totalOutput } = yield* Limits
      const { end, next } = yield* run(sandbox, line("(yes >&2) & yes"))
      assert.strictEqual(end?._tag, "TooMuchOutput")
      assert.isAbove(next.stdout + next.stderr, totalOutput)
      assert.isBelow(next.stdout + next.stderr, totalOutput + 4 * 1024 * 1024)
      assert.strictEqual(yield* processes(sandbox, "^yes"), 0)
      assert.strictEqual(yield* output(sandbox, "echo on"), "on\n")
    }),
  )

  it.effect("gives a command a terminal, of the size that is asked for, that can be typed on", () =>
    Effect.gen(function* () {
      const sandbox = yield* SharedSandbox
      const command = '[ -t 0 ] && [ -t 1 ] && echo tty; echo err >&2; read l; stty size; echo "<$l>"'
      const id = yield* sandbox.start(line(command, { tty: true, stdin: "open" }))
      yield* shows(sandbox, id, "err")
      yield* sandbox.resize(id, 91, 37)
      yield* sandbox.write(id, Buffer.from("typed\n"), false)
      const page = yield* sandbox.read(id, start, 10_000, "end")
      const out = Buffer.from(page.stdout.data).toString()
      for (const part of ["tty\r\n", "err\r\n", "37 91\r\n", "<typed>\r\n"]) assert.include(out, part)
      assert.strictEqual(page.stderr.data.length, 0)
    }),
  )

  it.effect("shows all that a terminal was given, up to the command's end", () =>
    Effect.gen(function* () {
      const sandbox = yield* SharedSandbox
      const command = "echo one; stty size; echo two; stty size; printf end"
      const outs = yield* Effect.forEach(
        Array.from({ length: 300 }),
        () => Effect.map(run(sandbox, line(command, { tty: true })), ({ out }) => out),
        { concurrency: 12 },
      )
      assert.deepStrictEqual([...new Set(outs)], ["one\r\n24 80\r\ntwo\r\n24 80\r\nend"])
    }),
  )

  it.effect("says why a command could not be started", () =>
    Effect.gen(function* () {
      const sandbox = yield* SharedSandbox
      yield* output(sandbox, "printf '#!/no/such/interpreter\\n' > orphan; chmod +x orphan")
      for (const [spec, reason] of [
        [{ ...line(""), argv: ["no-such-program"] as const }, /there is no program no-such-program/],
        [{ ...line(""), argv: ["/no/such/program"] as const }, /there is no program \/no\/such\/program/],
        [{ ...line(""), argv: ["/workspace"] as const }, /there is no program \/workspace/],
        [{ ...line(""), argv: ["/etc/passwd"] as const }, /may not be executed/],
        [{ ...line(""), argv: ["./orphan"] as const }, /interpreter is missing/],
        [{ ...line(""), argv: ["true", "x".repeat(3_000_000)] as const }, /too long/],
        [line("true", { cwd: "/no/such/folder" }), /there is no folder \/no\/such\/folder/],
        [line("true", { cwd: "/etc/passwd" }), /there is no folder \/etc\/passwd/],
        [line("true", { tty: true, cwd: "/no/such/folder" }), /there is no folder/],
      ] as const) {
        const error = yield* Effect.flip(run(sandbox, spec))
        assert.strictEqual(error._tag, "CommandNotStarted")
        assert.match(error.message, reason)
      }
    }),
  )

  it.effect("runs 30 commands at once, each with its own output", () =>
    Effect.gen(function* () {
      const sandbox = yield* SharedSandbox
      const outs = yield* Effect.forEach(
        Array.from({ length: 30 }, (_, index) => index),
        (index) => output(sandbox, `echo ${index}; sleep 0.1; echo ${index} again`),
        { concurrency: "unbounded" },
      )
      assert.deepStrictEqual(
        outs,
        outs.map((_, index) => `${index}\n${index} again\n`),
      )
    }),
  )
})
