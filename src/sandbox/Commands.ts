/**
 * The commands of one sandbox. The agent runs them; their time, the bound of their output and their end are kept
 * here, where no program of the sandbox reaches. The scope given to `make` bounds all of them.
 */
import { Deferred, Effect, Exit, FiberMap, Option } from "effect"
import type { Channel } from "../agent/Channel.ts"
import {
  type CommandEnd,
  CommandId,
  type CommandSpec,
  type CommandUsage,
  type OutputCursor,
} from "../domain/Command.ts"
import { CommandNotStarted, SandboxLost } from "../domain/SandboxError.ts"
import { Waiters } from "../domain/Waiters.ts"
import type { AgentLink, CommandNews } from "./AgentLink.ts"
import { OutputBuffer } from "./OutputBuffer.ts"
import type { Sandbox } from "./Sandbox.ts"
import { Stillness } from "./Stillness.ts"

interface Command {
  readonly number: number
  readonly stdout: OutputBuffer
  readonly stderr: OutputBuffer
  readonly ended: Deferred.Deferred<CommandEnd, CommandNotStarted | SandboxLost>
  /** Woken by output, room for input, the end. */
  readonly waiters: Waiters
  /** None once it has ended: what is kept of it then is kept for long. */
  running: Running | undefined
}

interface Running {
  readonly input: Channel
  readonly writing: Effect.Semaphore
  readonly stop: (how: Stopped) => void
}

type News = Extract<CommandNews, { readonly type: "ended" }>

/** Bounds of each command's output in bytes: what is kept of a stream, and what may come on both. */
export interface OutputLimits {
  readonly output: number
  readonly totalOutput: number
}

export const make = Effect.fnUntraced(function* (
  link: AgentLink,
  limits: OutputLimits,
  stillness = new Stillness(),
) {
  const commands = new Map<CommandId, Command>()
  const fibers = yield* FiberMap.make<CommandId>()
  let lastNumber = 0

  const get = (id: CommandId) => {
    const command = commands.get(id)
    return command === undefined ? Effect.dieMessage(`unknown command ${id}`) : Effect.succeed(command)
  }

  /** Kills the tree. What is not gone then goes with the whole sandbox. */
  const kill = (command: number) =>
    link
      .ask((id) => ({ type: "kill", id, command }))
      .pipe(
        Effect.timeoutOption(killTime),
        Effect.filterOrFail(
          (answer) => Option.isSome(answer) && answer.value.value === true,
          () => link.giveUp("a command could not be killed"),
        ),
      )

  const start = Effect.fnUntraced(function* (spec: CommandSpec) {
    const number = ++lastNumber
    const id = CommandId.make(String(number))
    const startedAt = performance.now()
    const first = yield* Deferred.make<News | Stopped, CommandNotStarted | SandboxLost>()
    const ended = yield* Deferred.make<CommandEnd, CommandNotStarted | SandboxLost>()
    const waiters = new Waiters()
    const wake = () => waiters.wake()
    let total = 0
    let open = 2
    let news: News | undefined
    let isStopped = false
    const finish = (how: Effect.Effect<News | Stopped, CommandNotStarted | SandboxLost>) =>
      Deferred.unsafeDone(first, how)
    // The end is whole once the last output has come.
    const finishIfWhole = () => {
      if (open === 0 && news !== undefined) finish(Effect.succeed(news))
    }
    const stream = (buffer: OutputBuffer) => {
      const channel: Channel = link.open({
        data: (chunk) => {
          buffer.push(chunk)
          total += chunk.length
          channel.consume(chunk.length)
          if (total > limits.totalOutput) finish(Effect.succeed("TooMuchOutput"))
          wake()
        },
        end: () => {
          open--
          finishIfWhole()
        },
        drain: wake,
      })
      return channel
    }
    const command: Command = {
      number,
      stdout: new OutputBuffer(limits.output),
      stderr: new OutputBuffer(limits.output),
      ended,
      waiters,
      running: undefined,
    }
    const stdout = stream(command.stdout)
    const stderr = stream(command.stderr)
    link.follow(number, (message) => {
      if (message instanceof SandboxLost) return finish(Effect.fail(message))
      if (message.type === "notStarted") {
        return finish(Effect.fail(new CommandNotStarted({ reason: message.reason })))
      }
      news = message
      finishIfWhole()
      wake()
    })
    command.running = {
      input: stdout,
      writing: Effect.unsafeMakeSemaphore(1),
      stop: (how) => finish(Effect.succeed(how)),
    }
    commands.set(id, command)
    const message = {
      type: "start" as const,
      command: number,
      stdout: stdout.id,
      stderr: stderr.id,
      argv: spec.argv,
      cwd: spec.cwd,
      env: spec.env,
      stdin: spec.stdin === "open",
      terminal: spec.tty ? { columns: 80, rows: 24 } : null,
      keep: limits.output,
    }
    stillness.begin()
    if (Buffer.byteLength(JSON.stringify(message)) <= maxStart) yield* link.send(message)
    else finish(Effect.fail(new CommandNotStarted({ reason: "its arguments and environment are too long" })))
    // Nobody will write to it: a terminal has to be told.
    if (spec.tty && spec.stdin === "none") stdout.end()

    const timer = setTimeout(() => finish(Effect.succeed("TimedOut")), spec.timeoutMs)
    const end = Effect.gen(function* () {
      const how = yield* Deferred.await(first)
      if (typeof how !== "string") return endOf(how, startedAt)
      isStopped = true
      yield* kill(number)
      yield* waiters.until(() => news !== undefined, 500)
      return { _tag: how, ...usageOf(news, startedAt) }
    })
    yield* FiberMap.run(
      fibers,
      id,
      Effect.ensuring(
        // The sandbox may end while the command is being killed: its readers are told so, not interrupted.
        Effect.uninterruptibleMask((restore) =>
          Effect.flatMap(Effect.exit(restore(end)), (exit) =>
            Deferred.done(
              ended,
              Exit.isInterrupted(exit) ? Exit.fail(new SandboxLost({ container: link.container })) : exit,
            ),
          ),
        ),
        Effect.sync(() => {
          clearTimeout(timer)
          // What was killed may have written after its main process ended.
          stillness.end(isStopped ? null : (news?.still ?? null))
          link.unfollow(number)
          // An agent that has ended both, and has no input to end, has nothing left to do with them.
          stdout.close(open > 0 || spec.stdin === "open")
          stderr.close(open > 0)
          command.running = undefined
          wake()
        }),
      ),
    )
    return id
  }, Effect.uninterruptible)

  const read: Sandbox["read"] = Effect.fnUntraced(function* (id, after, waitMs, until) {
    const { stdout, stderr, ended, waiters } = yield* get(id)
    const hasMore = () => until === "output" && (stdout.total > after.stdout || stderr.total > after.stderr)
    yield* waiters.until(() => hasMore() || isDone(ended), waitMs)
    const end = yield* Deferred.poll(ended)
    const next: OutputCursor = { stdout: stdout.total, stderr: stderr.total }
    return {
      stdout: stdout.read(after.stdout),
      stderr: stderr.read(after.stderr),
      next,
      end: Option.isSome(end) ? yield* end.value : undefined,
    }
  })

  const cancel: Sandbox["cancel"] = Effect.fnUntraced(function* (id) {
    const { running, ended } = yield* get(id)
    running?.stop("Cancelled")
    yield* Deferred.await(ended)
  })

  return {
    start,
    read,
    cancel,
    // What a command does not take, because it ended or closed its input, is dropped, as in a shell's pipe.
    write: Effect.fnUntraced(function* (id: CommandId, data: Uint8Array, end: boolean) {
      const { ended, running, waiters } = yield* get(id)
      if (running === undefined) return
      const { input, writing } = running
      const taken = waiters.until(() => input.waiting === 0 || isDone(ended))
      // One at a time, and none behind one whose writer gave up: all of them would stay in memory otherwise.
      yield* Effect.gen(function* () {
        yield* taken
        input.write(data)
        if (end) input.end()
        yield* taken
      }).pipe(writing.withPermits(1))
    }),
    signal: Effect.fnUntraced(function* (id: CommandId, signal: string) {
      const { number } = yield* get(id)
      yield* signal === "SIGKILL" ? kill(number) : link.send({ type: "signal", command: number, signal })
    }, Effect.asVoid),
    resize: Effect.fnUntraced(function* (id: CommandId, columns: number, rows: number) {
      const { number } = yield* get(id)
      yield* link.send({ type: "resize", command: number, columns, rows })
    }),
    forget: Effect.fnUntraced(function* (id: CommandId) {
      const command = commands.get(id)
      if (command === undefined) return
      if (!(yield* Deferred.isDone(command.ended))) yield* Effect.ignore(cancel(id))
      commands.delete(id)
    }),
  }
})

type Stopped = "TimedOut" | "Cancelled" | "TooMuchOutput"

/** Bytes of a command with its arguments and environment, somewhat more than the kernel takes. */
const maxStart = 3 * 1024 * 1024

/** Time for the agent to kill a tree. */
const killTime = "8 seconds"

const endOf = (news: News, startedAt: number): CommandEnd => {
  const usage = usageOf(news, startedAt)
  return news.signal === null
    ? { _tag: "Exited", code: news.code ?? 0, ...usage }
    : { _tag: "Signalled", signal: news.signal, ...usage }
}

const usageOf = (news: News | undefined, startedAt: number): CommandUsage => ({
  durationMs: Math.round(performance.now() - startedAt),
  ...(news === undefined ? {} : { cpuMs: news.cpuMs }),
  ...(news === undefined || news.peakMemory === null ? {} : { peakMemory: news.peakMemory }),
  limits: news?.limits ?? [],
  spilled: {
    ...(typeof news?.spilled.stdout === "string" ? { stdout: news.spilled.stdout } : {}),
    ...(typeof news?.spilled.stderr === "string" ? { stderr: news.spilled.stderr } : {}),
  },
})

const isDone = <A, E>(deferred: Deferred.Deferred<A, E>) => Effect.runSync(Deferred.isDone(deferred))
