import { assert, describe, layer } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import type { OutputCursor } from "../../src/domain/Command.ts"
import { Docker } from "../../src/sandbox/Docker.ts"
import { Limits } from "../../src/sandbox/Limits.ts"
import type { Sandbox } from "../../src/sandbox/Sandbox.ts"
import { Sandboxes } from "../../src/sandbox/Sandboxes.ts"
import { line, output, run, SharedSandbox, start } from "../support/SharedSandbox.ts"
import { until } from "../support/Until.ts"

/** The processes in the sandbox whose command line has this text. */
const processes = (sandbox: Sandbox, text: string) =>
  Effect.map(
    run(sandbox, { ...line(""), argv: ["pgrep", "-f", text] }),
    ({ out }) => out.split("\n").filter((pid) => pid !== "").length,
  )

/** What a command that still runs has written to stdout, once it holds. */
const shows = (sandbox: Sandbox, id: Parameters<Sandbox["read"]>[0], text: string) =>
  until(
    Effect.map(sandbox.read(id, start, 1000, "output"), ({ stdout }) => Buffer.from(stdout.data).toString()),
    (out) => out.includes(text),
  )

layer(SharedSandbox.layer, { excludeTestServices: true, timeout: "60 seconds" })("ExecCommands", (it) => {
  it.effect("gives each command's exit code, output and time", () =>
    Effect.gen(function* () {
      const sandbox = yield* SharedSandbox
      for (const code of [0, 1, 3, 125, 126, 127, 128, 137, 255]) {
        assert.strictEqual((yield* run(sandbox, line(`exit ${code}`))).code, code)
      }
      const { out, err, end } = yield* run(sandbox, line("echo out; echo err >&2; sleep 0.2; exit 3"))
      assert.deepStrictEqual([out, err], ["out\n", "err\n"])
      assert.isAbove(end?.durationMs ?? 0, 190)
    }),
  )

  it.effect("gives 128 and n for a command that signal n ended", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* run(yield* SharedSandbox, line("kill -TERM $$"))).code, 143)
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

  it.effect("keeps the head and the tail of 5 MB, in bounded memory, stdout and stderr apart", () =>
    Effect.gen(function* () {
      const sandbox = yield* SharedSandbox
      const limits = yield* Limits
      const { stdout, stderr, next, code } = yield* run(
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
    }),
  )

  it.effect("kills a command that runs out of time, with daemons that left its session and group", () =>
    Effect.gen(function* () {
      const sandbox = yield* SharedSandbox
      const tree = "setsid sleep 7771 & (setsid setsid sleep 7772 &) ; trap '' TERM INT; echo up; sleep 7773"
      const { end, out } = yield* run(sandbox, line(tree, { timeoutMs: 700 }))
      assert.strictEqual(end?._tag, "TimedOut")
      assert.isAtLeast(end?.durationMs ?? 0, 690)
      assert.isBelow(end?.durationMs ?? 0, 10_000)
      assert.strictEqual(out, "up\n")
      assert.strictEqual(yield* processes(sandbox, "sleep 777"), 0)
    }),
  )

  it.effect("kills a command that is cancelled, with its daemons, and only that one", () =>
    Effect.gen(function* () {
      const sandbox = yield* SharedSandbox
      const other = yield* sandbox.start(line("sleep 6661"))
      const id = yield* sandbox.start(line("setsid sleep 6662 & echo up; sleep 6663"))
      yield* shows(sandbox, id, "up")
      yield* sandbox.cancel(id)
      const page = yield* sandbox.read(id, start, 5000, "end")
      assert.strictEqual(page.end?._tag, "Cancelled")
      assert.strictEqual(yield* processes(sandbox, "sleep 666[23]"), 0)
      assert.strictEqual(yield* processes(sandbox, "sleep 6661"), 1)
      yield* sandbox.cancel(id)
      yield* sandbox.forget(other)
      assert.strictEqual(yield* processes(sandbox, "sleep 6661"), 0)
    }),
  )

  it.effect("ends a command with its main process, and leaves a server that it started running", () =>
    Effect.gen(function* () {
      const sandbox = yield* SharedSandbox
      yield* output(sandbox, "mkdir -p /workspace/site; echo hello > /workspace/site/index.html")
      const begun = yield* run(
        sandbox,
        line("cd site; python3 -m http.server 8123 --bind 127.0.0.1 & echo started", { timeoutMs: 10_000 }),
      )
      assert.deepInclude(begun.end, { _tag: "Exited", code: 0 })
      assert.include(begun.out, "started")
      assert.isBelow(begun.end?.durationMs ?? 0, 3000)
      const fetched = yield* until(
        run(
          sandbox,
          line(
            "curl -s http://127.0.0.1:8123/ || python3 -c 'import urllib.request as u; print(u.urlopen(\"http://127.0.0.1:8123/\").read().decode())'",
          ),
        ),
        ({ out }) => out.includes("hello"),
      )
      assert.include(fetched.out, "hello")
      yield* run(sandbox, line("pkill -f http.server"))
    }),
  )

  it.effect("sends a signal that the command may handle", () =>
    Effect.gen(function* () {
      const sandbox = yield* SharedSandbox
      const id = yield* sandbox.start(
        line("trap 'echo caught; exit 7' INT; echo up; while :; do sleep 0.05; done"),
      )
      yield* shows(sandbox, id, "up")
      yield* sandbox.signal(id, "SIGINT")
      const page = yield* sandbox.read(id, start, 10_000, "end")
      assert.deepInclude(page.end, { _tag: "Exited", code: 7 })
      assert.include(Buffer.from(page.stdout.data).toString(), "caught")
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

  it.effect("says why a command could not be started", () =>
    Effect.gen(function* () {
      const sandbox = yield* SharedSandbox
      for (const spec of [
        { ...line(""), argv: ["no-such-program"] as const },
        { ...line(""), argv: ["/etc/passwd"] as const },
        line("true", { cwd: "/no/such/folder" }),
      ]) {
        const error = yield* Effect.flip(run(sandbox, spec))
        assert.strictEqual(error._tag, "CommandNotStarted")
        assert.match(error.message, /could not be started: .*\S/)
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

  it.effect("forgets a command that still runs by killing it, and dies on an unknown id", () =>
    Effect.gen(function* () {
      const sandbox = yield* SharedSandbox
      const id = yield* sandbox.start(line("sleep 5551"))
      yield* sandbox.forget(id)
      yield* sandbox.forget(id)
      assert.strictEqual(yield* processes(sandbox, "sleep 5551"), 0)
      const exit = yield* Effect.exit(sandbox.read(id, start, 0, "end"))
      assert.strictEqual(exit._tag, "Failure")
    }),
  )

  describe("when the container is gone", () => {
    it.effect("a running command ends as killed, and every later call fails with SandboxLost", () =>
      Effect.gen(function* () {
        const { make, remove } = yield* Sandboxes
        const { use } = yield* Docker
        const sandbox = yield* make
        const id = yield* sandbox.start(line("echo up; sleep 60"))
        yield* shows(sandbox, id, "up")
        const reading = yield* Effect.fork(sandbox.read(id, start, 30_000, "end"))
        yield* use("remove", (docker) => docker.getContainer(sandbox.id).kill())
        const ended = yield* Effect.either(Fiber.join(reading))
        assert.strictEqual(ended._tag === "Left" ? ended.left._tag : ended.right.end?._tag, "Exited")
        for (const call of [
          sandbox.start(line("true")),
          sandbox.files.read("/workspace/a", 0, 10),
          sandbox.files.write("/workspace/a", Buffer.from("x")),
          sandbox.files.list("/workspace", 1, 10),
        ] as ReadonlyArray<Effect.Effect<unknown, { readonly _tag: string }>>) {
          assert.strictEqual((yield* Effect.flip(call))._tag, "SandboxLost")
        }
        yield* remove(sandbox.id)
        assert.strictEqual((yield* Effect.flip(sandbox.start(line("true"))))._tag, "SandboxLost")
      }),
    )

    it.effect("a command that leaves no process to kill it with ends the sandbox when its time is over", () =>
      Effect.gen(function* () {
        const { make, remove } = yield* Sandboxes
        const { use } = yield* Docker
        const sandbox = yield* make
        const greedy =
          "import os, time\nwhile True:\n  try:\n    os.fork()\n  except OSError:\n    time.sleep(0.01)"
        const spec = { ...line("", { timeoutMs: 3000 }), argv: ["python3", "-c", greedy] as const }
        const ended = yield* Effect.either(run(sandbox, spec))
        assert.strictEqual(ended._tag === "Left" ? ended.left._tag : ended.right.end?._tag, "SandboxLost")
        const { State } = yield* use("inspect", (docker) => docker.getContainer(sandbox.id).inspect())
        assert.isFalse(State.Running)
        yield* remove(sandbox.id)
      }),
    )

    it.effect("a command whose time is over as it starts does not run on", () =>
      Effect.gen(function* () {
        const { make, remove } = yield* Sandboxes
        const sandbox = yield* make
        const late = Array.from({ length: 12 }, (_, index) =>
          line("sleep 2; echo >> ran", { timeoutMs: 20 + 5 * index }),
        )
        const ends = yield* Effect.forEach(late, (spec) => run(sandbox, spec), { concurrency: "unbounded" })
        assert.deepStrictEqual([...new Set(ends.map(({ end }) => end?._tag))], ["TimedOut"])
        assert.strictEqual(yield* processes(sandbox, "sleep 2"), 0)
        assert.strictEqual(yield* output(sandbox, "ls"), "")
        yield* remove(sandbox.id)
      }),
    )

    it.effect("a command that dropped the mark it is found by takes the sandbox with it in the end", () =>
      Effect.gen(function* () {
        const { make, remove } = yield* Sandboxes
        const sandbox = yield* make
        const bare = line("exec env -i /bin/sleep 777", { timeoutMs: 300 })
        const ended = yield* Effect.either(run(sandbox, bare))
        assert.strictEqual(ended._tag === "Left" ? ended.left._tag : ended.right.end?._tag, "SandboxLost")
        yield* remove(sandbox.id)
      }),
    )

    it.effect("killing everything from inside is no way to another's sandbox", () =>
      Effect.gen(function* () {
        const { make, remove } = yield* Sandboxes
        const [victim, other] = [yield* make, yield* SharedSandbox]
        yield* Effect.either(run(victim, line("kill -9 -1; kill -9 1; sleep 5", { timeoutMs: 5000 })))
        assert.strictEqual(yield* output(other, "echo alive"), "alive\n")
        yield* remove(victim.id)
      }),
    )
  })
})
