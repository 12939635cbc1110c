/**
 * Commands by the engine's exec. A command's environment carries its id, and so do all processes that it
 * starts, daemons too: that is how its tree is found. The scope given to `make` bounds all of them.
 */
import { Deferred, Effect, FiberMap, Option } from "effect"
import type { Duplex } from "node:stream"
import { CommandId, type CommandEnd, type CommandSpec, type OutputCursor } from "../domain/Command.ts"
import { type ContainerId, randomId } from "../domain/Identity.ts"
import { CommandNotStarted, type SandboxError, SandboxLost } from "../domain/SandboxError.ts"
import { Docker } from "./Docker.ts"
import * as Exec from "./Exec.ts"
import { Limits } from "./Limits.ts"
import { OutputBuffer } from "./OutputBuffer.ts"
import type { Sandbox } from "./Sandbox.ts"

type EndError = SandboxError | SandboxLost | CommandNotStarted

interface Command {
  readonly stdout: OutputBuffer
  readonly stderr: OutputBuffer
  readonly stream: Duplex
  readonly resize: (columns: number, rows: number) => Promise<unknown>
  readonly ended: Deferred.Deferred<CommandEnd, EndError>
  readonly cancelled: Deferred.Deferred<void>
  /** Called, once each, when more output has come. */
  readonly readers: Set<() => void>
}

/** The commands of one container, which the scope's end does not remove. */
export const make = Effect.fnUntraced(function* (container: ContainerId) {
  const docker = yield* Docker
  const limits = yield* Limits
  const commands = new Map<CommandId, Command>()
  const fibers = yield* FiberMap.make<CommandId>()

  const get = (id: CommandId) => {
    const command = commands.get(id)
    return command === undefined ? Effect.dieMessage(`unknown command ${id}`) : Effect.succeed(command)
  }

  const run = (argv: ReadonlyArray<string>, input: Uint8Array | undefined, limit: number) =>
    Exec.run(container, argv, input, limit).pipe(Effect.provideService(Docker, docker))

  const signal = (id: CommandId, name: string) =>
    run(["/bin/sh", "-c", signalScript, "sh", `${marker}=${id}`, name.replace("SIG", "")], undefined, 1024)

  /**
   * Kills the tree until its main process has `exited`: a process that has only just been started, or that dropped
   * its environment, does not show its mark. What cannot be killed in that way goes with the whole container.
   */
  const kill = Effect.fnUntraced(function* (id: CommandId, exited: Effect.Effect<unknown, SandboxError>) {
    for (let round = 0; round < 5; round++) {
      yield* signal(id, "SIGKILL")
      if (Option.isSome(yield* Effect.timeoutOption(exited, "500 millis"))) return
    }
    yield* docker.use("remove", (docker) => docker.getContainer(container).kill())
    return yield* new SandboxLost({ container })
  })

  const start = Effect.fnUntraced(
    function* (spec: CommandSpec) {
      const id = CommandId.make(yield* randomId("o_"))
      const startedAt = performance.now()
      const readers = new Set<() => void>()
      const stdout = new OutputBuffer(limits.output)
      const stderr = new OutputBuffer(limits.output)
      const { exec, stream, exited } = yield* Exec.open(container, {
        argv: spec.argv,
        cwd: spec.cwd,
        env: Object.entries({ ...spec.env, [marker]: id }).map(([name, value]) => `${name}=${value}`),
        stdin: spec.stdin === "open",
        tty: spec.tty,
        stdout,
        stderr,
        onOutput: () => {
          for (const reader of readers) reader()
        },
      })
      const ended = yield* Deferred.make<CommandEnd, EndError>()
      const cancelled = yield* Deferred.make<void>()
      const resize = (columns: number, rows: number) => exec.resize({ w: columns, h: rows })
      commands.set(id, { stdout, stderr, stream, resize, ended, cancelled, readers })

      const first = Effect.raceAll<Effect.Effect<number | "TimedOut" | "Cancelled", SandboxError>>([
        exited,
        Effect.as(Effect.sleep(spec.timeoutMs), "TimedOut"),
        Effect.as(Deferred.await(cancelled), "Cancelled"),
      ])
      const end = Effect.gen(function* () {
        // The engine stopped telling of it: nothing may run on without its time limit.
        const how = yield* first.pipe(Effect.tapError(() => Effect.ignore(kill(id, exited))))
        if (typeof how === "number") yield* started(container, how, stdout)
        else yield* kill(id, exited)
        const durationMs = Math.round(performance.now() - startedAt)
        return typeof how === "number"
          ? { _tag: "Exited" as const, code: how, durationMs }
          : { _tag: how, durationMs }
      }).pipe(Exec.lostIfGone(container))
      yield* FiberMap.run(
        fibers,
        id,
        Deferred.complete(ended, end).pipe(Effect.ensuring(Effect.sync(() => stream.destroy()))),
      )
      return id
    },
    Exec.lostIfGone(container),
    Effect.provideService(Docker, docker),
    Effect.uninterruptible,
  )

  const read: Sandbox["read"] = Effect.fnUntraced(function* (id, after, waitMs, until) {
    const { stdout, stderr, ended, readers } = yield* get(id)
    const hasMore = () => stdout.total > after.stdout || stderr.total > after.stderr
    const more = until === "end" ? Effect.never : nextOutput(readers, hasMore)
    yield* Effect.timeoutOption(Effect.raceFirst(Effect.exit(Deferred.await(ended)), more), waitMs)
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
    const { cancelled, ended } = yield* get(id)
    yield* Deferred.succeed(cancelled, undefined)
    yield* Deferred.await(ended)
  })

  return {
    run,
    start,
    read,
    cancel,
    // What a command does not take, because it ended or closed its input, is dropped, as in a shell's pipe.
    write: Effect.fnUntraced(function* (id: CommandId, data: Uint8Array, end: boolean) {
      const { stream, ended } = yield* get(id)
      const written = Effect.async<void>((resume) => {
        stream.write(data, () => resume(Effect.void))
        if (end) stream.end()
      })
      yield* Effect.raceFirst(written, Effect.exit(Deferred.await(ended)))
    }),
    signal: (id: CommandId, name: string) => Effect.asVoid(signal(id, name)),
    resize: Effect.fnUntraced(function* (id: CommandId, columns: number, rows: number) {
      const { resize } = yield* get(id)
      yield* docker.use("exec", () => resize(columns, rows)).pipe(Exec.lostIfGone(container))
    }),
    forget: Effect.fnUntraced(function* (id: CommandId) {
      const command = commands.get(id)
      if (command === undefined) return
      if (!(yield* Deferred.isDone(command.ended))) yield* Effect.ignore(cancel(id))
      commands.delete(id)
    }),
  }
})

const marker = "CODEGEN_COMMAND"

/**
 * Sends signal `$2` to every process whose environment has the mark `$1`. KILL comes to processes that were all
 * stopped before, so that none acts on another's end, and again until none is left.
 */
const signalScript = `
for round in 1 2 3 4 5 6 7 8 9 10; do
  found=
  for process in /proc/[0-9]*; do
    if grep -qaz "^$1"'$' "$process/environ" 2>/dev/null; then
      found="$found \${process#/proc/}"
      [ "$2" != KILL ] || kill -s STOP "\${process#/proc/}" 2>/dev/null
    fi
  done
  [ -z "$found" ] || kill -s "$2" $found 2>/dev/null
  if [ -z "$found" ] || [ "$2" != KILL ]; then exit 0; fi
done
exit 1`

/** The engine writes why it could not start a command where the command's own output would stand. */
const started = (container: ContainerId, code: number, stdout: OutputBuffer) => {
  if (code < 126 || code > 128 || stdout.total > 4096) return Effect.void
  const text = Buffer.from(stdout.read(0).data).toString()
  if (/^cannot exec in a \w+ state/.test(text)) return Effect.fail(new SandboxLost({ container }))
  const [, reason] = /^OCI runtime exec failed: (?:exec failed: )?(.*)/s.exec(text) ?? []
  return reason === undefined ? Effect.void : Effect.fail(new CommandNotStarted({ reason: reason.trim() }))
}

const nextOutput = (readers: Set<() => void>, hasMore: () => boolean) =>
  Effect.async<void>((resume) => {
    const reader = () => {
      readers.delete(reader)
      resume(Effect.void)
    }
    if (hasMore()) reader()
    else readers.add(reader)
    return Effect.sync(() => readers.delete(reader))
  })
