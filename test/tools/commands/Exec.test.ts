import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { type CommandEnd, CommandId, type CommandSpec } from "../../../src/domain/Command.ts"
import { failureOf } from "../../../src/domain/Failure.ts"
import { exec } from "../../../src/tools/commands/Exec.ts"
import * as FakeSandbox from "../../support/FakeSandbox.ts"

type Input = Parameters<typeof exec.handler>[0]

const run = (input: Input, output: Parameters<typeof FakeSandbox.running>[1] = {}) =>
  Effect.gen(function* () {
    const started: Array<CommandSpec> = []
    const sandbox = FakeSandbox.running(started, output)
    const answer = yield* exec.handler(input, FakeSandbox.call(Effect.succeed(sandbox)))
    return { answer, spec: started[0]! }
  })

/** The failure of a call that must not even need a sandbox. */
const refusal = (input: Input) =>
  exec
    .handler(input, FakeSandbox.call(Effect.dieMessage("no sandbox is needed")))
    .pipe(Effect.flip, Effect.map(failureOf))

describe("Exec", () => {
  describe("arguments", () => {
    it.effect("run a line in a shell, in /workspace, for the time that the settings name", () =>
      Effect.gen(function* () {
        const { spec } = yield* run({ command: "echo $HOME | wc" })
        assert.strictEqual(spec.argv[0], "/bin/sh")
        assert.strictEqual(spec.argv.at(-1), "echo $HOME | wc")
        assert.strictEqual(spec.cwd, "/workspace/.")
        assert.strictEqual(spec.timeoutMs, FakeSandbox.limits.commandTimeoutMs)
        assert.strictEqual(spec.stdin, "none")
        assert.isFalse(spec.tty)
      }),
    )

    it.effect("run an argv as it is", () =>
      Effect.gen(function* () {
        const { spec } = yield* run({
          argv: ["printf", "%s", "$HOME; rm -rf /"],
          cwd: "src",
          env: { A: "b" },
          stdin: "",
          timeout_ms: 5,
        })
        assert.deepStrictEqual(spec, {
          argv: ["printf", "%s", "$HOME; rm -rf /"],
          cwd: "/workspace/src",
          env: { A: "b" },
          stdin: "open",
          tty: false,
          timeoutMs: 5,
        })
      }),
    )

    it.effect("need exactly one of `command` and `argv`", () =>
      Effect.gen(function* () {
        for (const input of [{}, { command: "ls", argv: ["ls"] }, { stdin: "x" }]) {
          const failure = yield* refusal(input)
          assert.strictEqual(failure.code, "invalid_arguments")
          assert.include(failure.message, "`command` or `argv`")
        }
      }),
    )

    it.effect("carry no NUL", () =>
      Effect.gen(function* () {
        for (const input of [{ command: "a\0b" }, { argv: ["a\0b"] }, { argv: ["a", "\0"] }]) {
          assert.include((yield* refusal(input)).message, "NUL")
        }
      }),
    )

    it.effect("name no longer time than MAX_COMMAND_TIMEOUT, which the answer names", () =>
      Effect.gen(function* () {
        const most = FakeSandbox.limits.maxCommandTimeoutMs
        assert.strictEqual((yield* run({ command: "ls", timeout_ms: most })).spec.timeoutMs, most)
        const { code, message } = yield* refusal({ command: "ls", timeout_ms: most + 1 })
        assert.strictEqual(code, "invalid_arguments")
        assert.include(message, String(most))
      }),
    )
  })

  describe("answers", () => {
    it.effect("a command that exits with any code is a normal result", () =>
      Effect.gen(function* () {
        const end: CommandEnd = { _tag: "Exited", code: 3, durationMs: 12, limits: [], spilled: {} }
        const { answer } = yield* run({ command: "x" }, { stdout: "out\n", stderr: "é", end })
        assert.deepStrictEqual(answer as unknown, {
          operation_id: "o_1",
          status: "exited",
          exit_code: 3,
          stdout: "out\n",
          stderr: "é",
          stdout_cursor: 4,
          stderr_cursor: 2,
          duration_ms: 12,
          truncated: false,
          checkpoint: { state: "off" },
        })
        assert.strictEqual(exec.stateOf?.(answer), "succeeded")
      }),
    )

    for (const [tag, status] of [
      ["TimedOut", "timed_out"],
      ["Cancelled", "cancelled"],
    ] as const) {
      it.effect(`one that ${tag} says so, keeps its output and has no exit code`, () =>
        Effect.gen(function* () {
          const { answer } = yield* run(
            { command: "x" },
            { stdout: "half", end: { _tag: tag, durationMs: 9, limits: [], spilled: {} } },
          )
          assert.strictEqual(answer.status, status)
          assert.strictEqual(answer.stdout, "half")
          assert.strictEqual(answer.signal, "SIGKILL")
          assert.notProperty(answer, "exit_code")
          assert.strictEqual(exec.stateOf?.(answer), status)
        }),
      )
    }

    it.effect("name the signal that ended a command, its processor time and its memory", () =>
      Effect.gen(function* () {
        const { answer } = yield* run(
          { command: "x" },
          {
            end: {
              _tag: "Signalled",
              signal: "SIGSEGV",
              durationMs: 9,
              cpuMs: 7,
              peakMemory: 100_000_000,
              limits: [],
              spilled: {},
            },
          },
        )
        assert.deepInclude(answer, {
          status: "exited",
          signal: "SIGSEGV",
          cpu_ms: 7,
          peak_memory: 100_000_000,
        })
        assert.notProperty(answer, "exit_code")
        assert.notProperty(answer, "note")
        assert.strictEqual(exec.stateOf?.(answer), "succeeded")
      }),
    )

    for (const [limit, ...words] of [
      ["memory", "memory", "512 MiB", "SANDBOX_MEMORY"],
      ["pids", "processes", "64", "SANDBOX_PIDS"],
      ["workspace", "/workspace is full", "256 MiB", "SANDBOX_WORKSPACE"],
      ["home", "/home/agent is full", "128 MiB", "SANDBOX_HOME"],
      ["tmp", "/tmp is full", "64 MiB", "SANDBOX_TMP"],
    ] as const) {
      it.effect(`name the limit that a command met, and its setting: ${limit}`, () =>
        Effect.gen(function* () {
          const end: CommandEnd = { _tag: "Exited", code: 1, durationMs: 9, limits: [limit], spilled: {} }
          const { answer } = yield* run({ command: "x" }, { end })
          for (const word of words) assert.include(answer.note, word)
        }),
      )
    }

    it.effect("say that a command wrote more than it may, and where its output stands", () =>
      Effect.gen(function* () {
        const spilled = { stdout: "/tmp/command-output/1.stdout" }
        const { answer } = yield* run(
          { command: "x" },
          { end: { _tag: "TooMuchOutput", durationMs: 9, limits: [], spilled } },
        )
        assert.strictEqual(answer.signal, "SIGKILL")
        for (const word of ["16 MiB", "MAX_COMMAND_OUTPUT", spilled.stdout]) assert.include(answer.note, word)
      }),
    )

    it.effect("keep output up to their limit whole", () =>
      Effect.gen(function* () {
        const { answer } = yield* run(
          { command: "x" },
          { stdout: "o".repeat(24_000), stderr: "e".repeat(12_000) },
        )
        assert.isFalse(answer.truncated)
        assert.strictEqual(answer.stdout.length + answer.stderr.length, 36_000)
      }),
    )

    it.effect("keep head and tail of longer output, say how much is left out, and stay below 40,000", () =>
      Effect.gen(function* () {
        const { answer } = yield* run(
          { command: "x" },
          { stdout: `begin${"o".repeat(90_000)}end`, stderr: "e".repeat(90_000) },
        )
        assert.isTrue(answer.truncated)
        assert.match(answer.stdout, /^begin/)
        assert.match(answer.stdout, /end$/)
        const left = Number(/(\d+) bytes left out/.exec(answer.stdout)?.[1])
        assert.strictEqual(left, 90_008 - 24_000)
        assert.strictEqual(answer.stdout_cursor, 90_008)
        assert.isBelow(JSON.stringify(answer).length, 40_000)
      }),
    )

    it.effect("count what the buffer had dropped already", () =>
      Effect.gen(function* () {
        const data = Buffer.from(`${"h".repeat(20_000)}${"t".repeat(20_000)}`)
        const sandbox = FakeSandbox.make({
          start: () => Effect.succeed(CommandId.make("1")),
          read: () =>
            Effect.succeed({
              stdout: { data, skipped: 1_000_000, skippedAt: 20_000 },
              stderr: { data: Buffer.from("ab"), skipped: 10, skippedAt: 1 },
              next: { stdout: 1_040_000, stderr: 12 },
              end: { _tag: "Exited" as const, code: 0, durationMs: 1, limits: [], spilled: {} },
            }),
        })
        const answer = yield* exec.handler({ command: "x" }, FakeSandbox.call(Effect.succeed(sandbox)))
        assert.include(answer.stdout, "1016000 bytes left out")
        assert.match(answer.stdout, /^h{12000}\n\[.*\]\nt{12000}$/)
        assert.match(answer.stderr, /^a\n\[… 10 bytes left out.*\]\nb$/)
      }),
    )
  })

  it.effect("gives the command its standard input, and then an end", () =>
    Effect.gen(function* () {
      const written: Array<readonly [string, boolean]> = []
      const sandbox = {
        ...FakeSandbox.running([]),
        write: (_: CommandId, data: Uint8Array, end: boolean) =>
          Effect.sync(() => void written.push([Buffer.from(data).toString(), end])),
      }
      yield* exec.handler({ command: "cat", stdin: "grüße" }, FakeSandbox.call(Effect.succeed(sandbox)))
      assert.deepStrictEqual(written, [["grüße", true]])
    }),
  )

  it.effect("lets go of the command when it is interrupted", () =>
    Effect.gen(function* () {
      const [begun, forgotten] = [yield* Deferred.make<void>(), yield* Deferred.make<CommandId>()]
      const sandbox = {
        ...FakeSandbox.running([]),
        read: () => Effect.zipRight(Deferred.succeed(begun, undefined), Effect.never),
        forget: (id: CommandId) => Effect.asVoid(Deferred.succeed(forgotten, id)),
      }
      const fiber = yield* Effect.fork(
        exec.handler({ command: "sleep 9" }, FakeSandbox.call(Effect.succeed(sandbox))),
      )
      yield* Deferred.await(begun)
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(yield* Deferred.await(forgotten), "1")
    }),
  )
})
