/**
 * Commands by the engine's exec. A command's environment carries its id, and so do all processes that it
 * starts, daemons too: that is how its tree is found. Each ends when its main process exits, not when its
 * pipes close. The scope given to `make` bounds all of them.
 */
import { Deferred, Effect, FiberMap, Option } from "effect"
import type Dockerode from "dockerode"
import type { Duplex } from "node:stream"
import { Writable } from "node:stream"
import {
  CommandId,
  type CommandEnd,
  type CommandPage,
  type CommandSpec,
  type OutputCursor,
} from "../domain/Command.ts"
import type { ContainerId } from "../domain/Identity.ts"
import { randomId } from "../domain/Identity.ts"
import { CommandNotStarted, SandboxError, SandboxLost } from "../domain/SandboxError.ts"
import { Docker, statusOf } from "./Docker.ts"
import { Limits } from "./Limits.ts"
import { OutputBuffer } from "./OutputBuffer.ts"
import type { Sandbox } from "./Sandbox.ts"

interface Command {
  readonly stdout: OutputBuffer
  readonly stderr: OutputBuffer
  readonly stream: Duplex
  readonly resize: (columns: number, rows: number) => Promise<unknown>
  readonly end: Deferred.Deferred<CommandEnd, SandboxError | SandboxLost | CommandNotStarted>
  readonly cancelled: Deferred.Deferred<void>
  /** Called, once, when more output has come. */
  onOutput: (() => void) | undefined
}

/** The commands of one container, which the scope's end does not remove. */
export const make = (container: ContainerId) =>
  Effect.gen(function* () {
    const { use } = yield* Docker
    const limits = yield* Limits
    const commands = new Map<CommandId, Command>()
    const fibers = yield* FiberMap.make<CommandId>()

    const lostIfGone = <A, E>(effect: Effect.Effect<A, E | SandboxError>) =>
      Effect.catchIf(
        effect,
        (error): error is (E | SandboxError) & SandboxError => error instanceof SandboxError && gone(error),
        () => Effect.fail(new SandboxLost()),
      )

    const get = (id: CommandId) => {
      const command = commands.get(id)
      return command === undefined ? Effect.dieMessage(`unknown command ${id}`) : Effect.succeed(command)
    }

    /** Runs a short command of our own to its end. */
    const run = (argv: ReadonlyArray<string>, input: Uint8Array | undefined, outputLimit: number) =>
      Effect.gen(function* () {
        const stdout = new OutputBuffer(outputLimit * 2)
        const stderr = new OutputBuffer(64 * 1024)
        const { exec, stream, ended } = yield* Effect.acquireRelease(
          open({
            argv,
            cwd: "/",
            env: [],
            stdin: input !== undefined,
            tty: false,
            stdout: into(stdout),
            stderr: into(stderr),
          }),
          ({ stream }) => Effect.sync(() => stream.destroy()),
        )
        if (input !== undefined) stream.end(input)
        yield* ended
        const code = yield* exitCode(exec)
        return { code, stdout: stdout.read(0).data, stderr: Buffer.from(stderr.read(0).data).toString() }
      }).pipe(
        Effect.scoped,
        Effect.timeoutFail({
          duration: "60 seconds",
          onTimeout: () => new SandboxError({ operation: "exec", cause: "it did not end within 60 s" }),
        }),
        lostIfGone,
      )

    const open = Effect.fnUntraced(function* (options: {
      readonly argv: ReadonlyArray<string>
      readonly cwd: string
      readonly env: ReadonlyArray<string>
      readonly stdin: boolean
      readonly tty: boolean
      readonly stdout: Writable
      readonly stderr: Writable
    }) {
      const exec = yield* use("exec", (docker) =>
        docker.getContainer(container).exec({
          Cmd: [...options.argv],
          WorkingDir: options.cwd,
          Env: [...options.env],
          AttachStdin: options.stdin,
          AttachStdout: true,
          AttachStderr: true,
          Tty: options.tty,
        }),
      )
      const stream = yield* use("exec", () =>
        exec.start({ hijack: true, stdin: options.stdin, Tty: options.tty }),
      )
      const ended = yield* Deferred.make<void>()
      for (const event of ["end", "close", "error"]) {
        stream.once(event, () => Deferred.unsafeDone(ended, Effect.void))
      }
      if (options.tty) stream.pipe(options.stdout)
      else
        yield* use("exec", async (docker) => docker.modem.demuxStream(stream, options.stdout, options.stderr))
      return { exec, stream, ended: Deferred.await(ended) }
    })

    /** Waits until the exec has ended; the engine may say so a little after its stream has closed. */
    const exitCode = (exec: Dockerode.Exec, waitMs = 5): Effect.Effect<number, SandboxError> =>
      Effect.flatMap(
        use("inspect", () => exec.inspect()),
        ({ Running, ExitCode }) =>
          !Running && ExitCode !== null
            ? Effect.succeed(ExitCode)
            : Effect.delay(exitCode(exec, Math.min(waitMs * 2, 300)), waitMs),
      )

    const kill = (id: CommandId, signal: string) =>
      run(["/bin/sh", "-c", killScript, "sh", `${marker}=${id}`, signal.replace("SIG", "")], undefined, 1024)

    const start = Effect.fnUntraced(
      function* (spec: CommandSpec) {
        const id = CommandId.make(yield* randomId("o_"))
        const startedAt = performance.now()
        const env = Object.entries({ ...spec.env, [marker]: id }).map(([name, value]) => `${name}=${value}`)
        const stdout = new OutputBuffer(limits.output)
        const stderr = new OutputBuffer(limits.output)
        let command: Command | undefined
        const onOutput = () => command?.onOutput?.()
        const { exec, stream, ended } = yield* open({
          argv: spec.argv,
          cwd: spec.cwd,
          env,
          stdin: spec.stdin === "open",
          tty: spec.tty,
          stdout: into(stdout, onOutput),
          stderr: into(stderr, onOutput),
        })
        command = {
          stdout,
          stderr,
          stream,
          resize: (columns, rows) => exec.resize({ w: columns, h: rows }),
          end: yield* Deferred.make<CommandEnd, SandboxError | SandboxLost | CommandNotStarted>(),
          cancelled: yield* Deferred.make<void>(),
          onOutput: undefined,
        }
        commands.set(id, command)
        const exited = Effect.raceFirst(
          Effect.zipRight(ended, exitCode(exec)),
          exitCode(exec).pipe(
            Effect.delay("200 millis"),
            Effect.tap(() => Effect.timeoutOption(ended, "100 millis")),
          ),
        )
        const end = Effect.raceAll<Effect.Effect<Ended, SandboxError>>([
          Effect.map(exited, (code) => ({ _tag: "Exited", code })),
          Effect.as(Effect.sleep(spec.timeoutMs), { _tag: "TimedOut" }),
          Effect.as(Deferred.await(command.cancelled), { _tag: "Cancelled" }),
        ]).pipe(
          Effect.tap((how) =>
            how._tag === "Exited"
              ? Effect.void
              : Effect.zipRight(kill(id, "SIGKILL"), Effect.timeoutOption(exited, "5 seconds")),
          ),
          Effect.tap((how) => (how._tag === "Exited" ? refusal(how.code, stdout) : Effect.void)),
          Effect.map((how): CommandEnd => ({
            ...how,
            durationMs: Math.round(performance.now() - startedAt),
          })),
          lostIfGone,
        )
        yield* FiberMap.run(
          fibers,
          id,
          Deferred.complete(command.end, end).pipe(Effect.ensuring(Effect.sync(() => stream.destroy()))),
        )
        return id
      },
      lostIfGone,
      Effect.uninterruptible,
    )

    const read: Sandbox["read"] = Effect.fnUntraced(function* (id, after, waitMs, until) {
      const command = yield* get(id)
      const news =
        until === "end"
          ? Deferred.await(command.end)
          : Effect.raceFirst(Deferred.await(command.end), outputSince(command, after))
      yield* Effect.timeoutOption(news, waitMs)
      const ended = yield* Deferred.poll(command.end)
      const page: Omit<CommandPage, "end"> = {
        stdout: command.stdout.read(after.stdout),
        stderr: command.stderr.read(after.stderr),
        next: { stdout: command.stdout.total, stderr: command.stderr.total },
      }
      return { ...page, end: Option.isSome(ended) ? yield* ended.value : undefined }
    })

    const cancel: Sandbox["cancel"] = Effect.fnUntraced(function* (id) {
      const command = yield* get(id)
      yield* Deferred.succeed(command.cancelled, undefined)
      yield* Deferred.await(command.end)
    })

    return {
      run,
      start,
      read,
      cancel,
      write: Effect.fnUntraced(function* (id: CommandId, data: Uint8Array, end: boolean) {
        const { stream } = yield* get(id)
        yield* Effect.async<void, SandboxLost>((resume) => {
          stream.write(data, (error) => resume(error ? Effect.fail(new SandboxLost()) : Effect.void))
          if (end) stream.end()
        })
      }),
      signal: (id: CommandId, signal: string) => Effect.asVoid(kill(id, signal)),
      resize: Effect.fnUntraced(function* (id: CommandId, columns: number, rows: number) {
        const command = yield* get(id)
        yield* use("exec", () => command.resize(columns, rows)).pipe(lostIfGone, Effect.asVoid)
      }),
      forget: Effect.fnUntraced(function* (id: CommandId) {
        const command = commands.get(id)
        if (command === undefined) return
        if (!(yield* Deferred.isDone(command.end))) yield* Effect.ignore(cancel(id))
        commands.delete(id)
      }),
    }
  })

type Ended =
  | { readonly _tag: "Exited"; readonly code: number }
  | { readonly _tag: "TimedOut" }
  | { readonly _tag: "Cancelled" }

const marker = "CODEGEN_COMMAND"

/** Signals every process whose environment has the mark `$1`; for KILL again until none is left. */
const killScript = `
for round in 1 2 3 4 5 6 7 8 9 10; do
  found=
  for process in /proc/[0-9]*; do
    if grep -qaz "^$1\\$" "$process/environ" 2>/dev/null; then
      kill -s "$2" "\${process#/proc/}" 2>/dev/null && found=1
    fi
  done
  if [ -z "$found" ] || [ "$2" != KILL ]; then exit 0; fi
done`

/** The engine says 404 of a container that is removed and 409 of one that does not run. */
const gone = (error: SandboxError) =>
  statusOf(error) === 404 ||
  (statusOf(error) === 409 &&
    error.cause instanceof Error &&
    /is not running|is restarting|removal/.test(error.cause.message))

/** The engine writes why it could not start a command where the command's own output would stand. */
const refusal = (code: number, stdout: OutputBuffer) => {
  if (code < 126 || code > 128 || stdout.total > 4096) return Effect.void
  const [, reason] =
    /^OCI runtime exec failed: (?:exec failed: )?(.*)/s.exec(Buffer.from(stdout.read(0).data).toString()) ??
    []
  return reason === undefined ? Effect.void : Effect.fail(new CommandNotStarted({ reason: reason.trim() }))
}

const outputSince = (command: Command, after: OutputCursor) =>
  Effect.async<void>((resume) => {
    const done = () => {
      command.onOutput = undefined
      resume(Effect.void)
    }
    if (command.stdout.total > after.stdout || command.stderr.total > after.stderr) done()
    else command.onOutput = done
  })

const into = (buffer: OutputBuffer, onOutput = () => {}) =>
  new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      buffer.push(chunk)
      onOutput()
      done()
    },
  })
