/** Commands that go on after exec has answered, on a real sandbox. */
import { assert, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import type { OperationId } from "../../src/domain/Identity.ts"
import type { Operation } from "../../src/domain/Operation.ts"
import { HeldSessions } from "../../src/session/HeldSessions.ts"
import type { Operations } from "../../src/session/Operations.ts"
import { exec } from "../../src/tools/commands/Exec.ts"
import { killCommand } from "../../src/tools/commands/KillCommand.ts"
import { listCommands } from "../../src/tools/commands/ListCommands.ts"
import { readOutput } from "../../src/tools/commands/ReadOutput.ts"
import { sendInput } from "../../src/tools/commands/SendInput.ts"
import { newOperation as operation } from "../support/Operation.ts"
import { outcomeOf } from "../support/Outcome.ts"
import * as SessionTable from "../support/SessionTable.ts"
import * as TestNode from "../support/TestNode.ts"
import { until } from "../support/Until.ts"

interface Tool<A> {
  readonly name: string
  readonly output: { readonly Type: A }
}

/** A session that this node owns, and ways to call its tools. */
const session = Effect.gen(function* () {
  const { claim, release } = yield* HeldSessions
  const id = yield* SessionTable.insert()
  yield* Effect.addFinalizer(() => release(id))
  const operations: Operations = yield* claim(id)
  const reply = <A>(operation: Operation) =>
    Effect.gen(function* () {
      yield* operations.begin(operation)
      const { reply } = yield* operations.page(operation.id, undefined, 30_000)
      if (reply === undefined || reply._tag === "Failed" || reply._tag === "Cancelled")
        return yield* Effect.dieMessage(JSON.stringify(reply))
      return reply.output as A
    })
  const ask = <A>(tool: Tool<A>, input: unknown) => reply<A>(operation(tool.name, input))
  /** The code of a call that must be refused. */
  const refusal = (tool: Tool<unknown>, input: unknown) =>
    Effect.gen(function* () {
      const called = operation(tool.name, input)
      yield* operations.begin(called)
      const reply = yield* outcomeOf(operations, called.id, 30_000)
      return reply?._tag === "Failed" ? reply.failure.code : "none"
    })
  /** Starts a command; gives its operation's id, and what exec answers at once. */
  const start = (input: unknown) =>
    Effect.gen(function* () {
      const called = operation("exec", input)
      const answer = yield* reply<typeof exec.output.Type>({ ...called, answerMs: 0 })
      assert.strictEqual(answer.status, "running")
      return { called, id: called.id, answer }
    })
  const look = (id: OperationId, wait_ms = 1000) => ask(readOutput, { operation_id: id, wait_ms })
  return {
    id,
    operations,
    ask,
    refusal,
    start,
    look,
    repeat: (called: Operation) => reply<typeof exec.output.Type>(called),
    send: (id: OperationId, input: string, end = false) => ask(sendInput, { operation_id: id, input, end }),
    shows: (id: OperationId, text: string) => until(look(id), ({ stdout }) => stdout.includes(text)),
    ended: (id: OperationId) => until(look(id), ({ status }) => status !== "running"),
    running: (pattern: string) =>
      Effect.map(ask(exec, { argv: ["pgrep", "-c", "-f", pattern] }), ({ stdout }) => Number(stdout)),
  }
})

const KiB = 1024

layer(
  HeldSessions.layer.pipe(
    Layer.provideMerge(TestNode.both({ IDLE_TIMEOUT: "10 minutes", OUTPUT_LIMIT: String(64 * KiB) })),
  ),
  { excludeTestServices: true, timeout: "60 seconds" },
)("Commands that go on", (it) => {
  it.scoped("are read at once, before their session has a sandbox", () =>
    Effect.gen(function* () {
      const { ask, look, start } = yield* session
      const { answer, id } = yield* start({ command: "echo $((6 * 7)); sleep 100" })
      assert.deepInclude(answer, { stdout: "", stdout_cursor: 0 })
      assert.deepInclude(yield* look(id, 0), { status: "running", stdout: "", stdout_cursor: 0 })
      assert.deepInclude(yield* look(id, 30_000), { status: "running", stdout: "42\n", stdout_cursor: 3 })
      const { commands } = yield* ask(listCommands, {})
      assert.deepInclude(commands[0], {
        operation_id: id,
        command: "echo $((6 * 7)); sleep 100",
        status: "running",
        stdout_bytes: 3,
      })
    }),
  )

  it.scoped("die by kill_command with their daemons, and leave those of others alone", () =>
    Effect.gen(function* () {
      const { ask, id: session_, look, repeat, running, shows, start } = yield* session
      const server = (seconds: number) => ({
        command: `setsid sleep ${seconds}1 & (setsid nohup sleep ${seconds}2 &) ; echo up; exec sleep ${seconds}3`,
      })
      const [one, two] = [yield* start(server(711)), yield* start(server(722))]
      yield* shows(one.id, "up\n")
      yield* shows(two.id, "up\n")
      assert.strictEqual(yield* running("^sleep 7[12][12][123]"), 6)
      assert.deepStrictEqual(yield* ask(killCommand, { operation_id: one.id }), {
        operation_id: one.id,
        status: "cancelled",
        signal: "SIGKILL",
      })
      assert.strictEqual(yield* running("^sleep 711[123]"), 0)
      assert.strictEqual(yield* running("^sleep 722[123]"), 3)
      assert.deepInclude(yield* look(one.id), { status: "cancelled", signal: "SIGKILL", stdout: "up\n" })
      assert.deepInclude(yield* repeat(one.called), { status: "cancelled", stdout: "up\n" })
      assert.propertyVal(yield* SessionTable.states(session_), one.id, "cancelled")
      // Once more does nothing, and says the same.
      assert.propertyVal(yield* ask(killCommand, { operation_id: one.id }), "status", "cancelled")
      const { commands } = yield* ask(listCommands, {})
      assert.deepStrictEqual(
        commands.slice(0, 2).map(({ status }) => status),
        ["cancelled", "running"],
      )
    }),
  )

  it.scoped("get a signal by kill_command, and may go on", () =>
    Effect.gen(function* () {
      const { ask, ended, shows, start } = yield* session
      const { id } = yield* start({
        command:
          "trap 'echo caught' USR1; trap 'echo bye; exit 7' TERM; echo up; while :; do sleep 0.05; done",
      })
      yield* shows(id, "up\n")
      const signal = (signal: string) => ask(killCommand, { operation_id: id, signal })
      assert.propertyVal(yield* signal("SIGUSR1"), "status", "running")
      yield* shows(id, "caught\n")
      yield* signal("SIGTERM")
      assert.deepInclude(yield* ended(id), { status: "exited", exit_code: 7, stdout: "up\ncaught\nbye\n" })
    }),
  )

  it.scoped("take input as it comes, until its end", () =>
    Effect.gen(function* () {
      const { ended, refusal, send, shows, start } = yield* session
      const { id } = yield* start({ argv: ["cat"], stdin: "first\n", stdin_open: true })
      yield* shows(id, "first\n")
      assert.propertyVal(yield* send(id, "grüße\n"), "bytes", 8)
      yield* shows(id, "first\ngrüße\n")
      yield* send(id, "last", true)
      assert.deepInclude(yield* ended(id), { status: "exited", exit_code: 0, stdout: "first\ngrüße\nlast" })
      assert.strictEqual(yield* refusal(sendInput, { operation_id: id, input: "x" }), "input_not_taken")
      const closed = yield* start({ command: "sleep 100" })
      assert.strictEqual(
        yield* refusal(sendInput, { operation_id: closed.id, input: "x" }),
        "input_not_taken",
      )
      assert.strictEqual(yield* refusal(sendInput, { operation_id: "none", input: "x" }), "no_such_command")
    }),
  )

  it.scoped("are waited for by a reader who has all but the beginning of a character", () =>
    Effect.gen(function* () {
      const { ask, look, operations, send, start } = yield* session
      const { id } = yield* start({
        command: "printf 'a\\xf0\\x9f'; read line; printf '\\xa6\\x80'; sleep 100",
        stdin_open: true,
      })
      assert.deepInclude(yield* look(id), { stdout: "a", stdout_cursor: 1 })
      // Both bytes are there by now, and another call comes and goes while the reader waits.
      yield* until(ask(listCommands, {}), ({ commands }) => commands[0]?.stdout_bytes === 3)
      const waits = operation("read_output", { operation_id: id, stdout_cursor: 1, wait_ms: 20_000 })
      yield* operations.begin(waits)
      yield* ask(exec, { argv: ["true"] })
      yield* send(id, "\n")
      const reply = yield* outcomeOf(operations, waits.id, 20_000)
      assert.deepInclude(reply?._tag === "Answered" ? reply.output : {}, { stdout: "🦀", stdout_cursor: 5 })
    }),
  )

  it.scoped("are talked to on a terminal, and interrupted there by Ctrl-C", () =>
    Effect.gen(function* () {
      const { ended, send, shows, start } = yield* session
      const { id } = yield* start({
        argv: ["python3", "-q"],
        tty: true,
        stdin_open: true,
        env: { PYTHON_BASIC_REPL: "1" },
      })
      yield* shows(id, ">>> ")
      yield* send(id, "6 * 7\n")
      yield* shows(id, "42\r\n")
      yield* send(id, "import time; print('sle' + 'eps'); time.sleep(100)\n")
      yield* shows(id, "sleeps\r\n")
      yield* send(id, "\u0003")
      yield* shows(id, "KeyboardInterrupt")
      yield* send(id, "exit(3)\n")
      assert.deepInclude(yield* ended(id), { status: "exited", exit_code: 3, stderr: "" })
    }),
  )

  it.scoped("are read whole by one who follows, though they write more than is kept", () =>
    Effect.gen(function* () {
      const { ask, send, start } = yield* session
      const block = (n: number) => `${String(n).repeat(99)}\n`.repeat(300)
      const { id } = yield* start({
        argv: [
          "python3",
          "-c",
          "import sys\nfor n in range(1, 8):\n  print((str(n) * 99 + '\\n') * 300, end='', flush=True); sys.stdin.readline()",
        ],
        stdin_open: true,
      })
      let cursor = 0
      for (let n = 1; n < 8; n++) {
        let text = ""
        while (text.length < 30_000) {
          const page = yield* ask(readOutput, { operation_id: id, stdout_cursor: cursor })
          assert.strictEqual(page.stdout_cursor, cursor + page.stdout.length)
          text += page.stdout
          cursor = page.stdout_cursor
        }
        assert.strictEqual(text, block(n))
        yield* send(id, "\n")
      }
      const last = yield* ask(readOutput, { operation_id: id, stdout_cursor: cursor })
      assert.deepInclude(last, { status: "exited", exit_code: 0, stdout: "", stdout_cursor: 210_000 })
    }),
  )

  it.scoped("are read from cursors to both sides of what was not kept", () =>
    Effect.gen(function* () {
      const { ask, ended, start } = yield* session
      const whole = Array.from({ length: 100_000 }, (_, n) => `${n + 1}\n`).join("")
      const { id } = yield* start({ argv: ["seq", "100000"] })
      yield* ended(id)
      const pieces: Array<string> = []
      let cursor = 0
      for (let more = true; more;) {
        const page = yield* ask(readOutput, { operation_id: id, stdout_cursor: cursor })
        pieces.push(page.stdout)
        cursor = page.stdout_cursor
        more = page.more
      }
      assert.strictEqual(cursor, whole.length)
      const left = whole.length - 64 * KiB
      assert.strictEqual(
        pieces.join(""),
        `${whole.slice(0, 32 * KiB)}[… ${left} bytes were not kept …]\n${whole.slice(-32 * KiB)}`,
      )
    }),
  )

  it.scoped("that run out of their time are recorded so, though their caller was answered before", () =>
    Effect.gen(function* () {
      const { ended, id: session_, repeat, running, start } = yield* session
      const { called, id } = yield* start({
        command: "echo begun; setsid sleep 7331 & exec sleep 7332",
        timeout_ms: 1500,
      })
      assert.deepInclude(yield* ended(id), { status: "timed_out", signal: "SIGKILL", stdout: "begun\n" })
      assert.deepInclude(yield* repeat(called), { status: "timed_out", stdout: "begun\n" })
      assert.propertyVal(yield* SessionTable.states(session_), id, "timed_out")
      assert.strictEqual(yield* running("^sleep 733"), 0)
    }),
  )

  it.scoped("that could not be started say why to one who reads them", () =>
    Effect.gen(function* () {
      const { refusal, start } = yield* session
      const { id } = yield* start({ argv: ["no-such-program"] })
      assert.strictEqual(yield* refusal(readOutput, { operation_id: id }), "command_not_started")
    }),
  )
})
