/** One run of a program in a container by the engine's exec: its streams, and how it ended. */
import { Deferred, Effect } from "effect"
import { Writable } from "node:stream"
import type { ContainerId } from "../domain/Identity.ts"
import { SandboxError, SandboxLost } from "../domain/SandboxError.ts"
import { timeLimit } from "../domain/TimeLimit.ts"
import { Docker, statusOf } from "./Docker.ts"
import { OutputBuffer } from "./OutputBuffer.ts"

export interface ExecOptions {
  readonly argv: ReadonlyArray<string>
  readonly cwd: string
  /** `NAME=value`, each. */
  readonly env: ReadonlyArray<string>
  readonly stdin: boolean
  readonly tty: boolean
  readonly stdout: OutputBuffer
  readonly stderr: OutputBuffer
  /** Called when more output has come. */
  readonly onOutput: () => void
}

/** Starts a program. The stream is its standard input; whoever opens it destroys it. */
export const open = Effect.fnUntraced(function* (container: ContainerId, options: ExecOptions) {
  const { use } = yield* Docker
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
  const stdout = into(options.stdout, options.onOutput)
  const stderr = into(options.stderr, options.onOutput)
  if (options.tty) stream.pipe(stdout)
  else yield* use("exec", async (docker) => docker.modem.demuxStream(stream, stdout, stderr))

  /** Asks until the engine says that it has ended, which may be a little after its stream has closed. */
  const code = (waitMs = 5): Effect.Effect<number, SandboxError> =>
    Effect.flatMap(
      use("inspect", () => exec.inspect()),
      ({ Running, ExitCode }) =>
        !Running && ExitCode !== null
          ? Effect.succeed(ExitCode)
          : Effect.delay(code(Math.min(waitMs * 2, 500)), waitMs),
    )
  // The program's own end counts: what it left running may hold the stream open.
  const exited = Effect.raceFirst(
    Effect.zipRight(Deferred.await(ended), code()),
    code().pipe(
      Effect.delay("200 millis"),
      Effect.tap(() => Effect.timeoutOption(Deferred.await(ended), "100 millis")),
    ),
  )
  return { exec, stream, ended: Deferred.await(ended), exited }
})

/** Runs a short program of our own to its end, keeping `limit` bytes of its output, or a little more. */
export const run = (
  container: ContainerId,
  argv: ReadonlyArray<string>,
  input: Uint8Array | undefined,
  limit: number,
) =>
  Effect.gen(function* () {
    const stdout = new OutputBuffer(limit * 2)
    const stderr = new OutputBuffer(4096)
    const stdin = input !== undefined
    const { stream, exited } = yield* Effect.acquireRelease(
      open(container, { argv, cwd: "/", env: [], stdin, tty: false, stdout, stderr, onOutput: () => {} }),
      ({ stream }) => Effect.sync(() => stream.destroy()),
    )
    if (stdin) stream.end(input)
    return { code: yield* exited, stdout: stdout.read(0).data }
  }).pipe(
    Effect.scoped,
    timeLimit(
      "60 seconds",
      () => new SandboxError({ operation: "exec", cause: "it did not end within 60 s" }),
    ),
    lostIfGone(container),
  )

/** Makes `SandboxLost` of what the engine says of a container that is removed (404) or does not run (409). */
export const lostIfGone =
  (container: ContainerId) =>
  <A, E, R>(effect: Effect.Effect<A, E | SandboxError, R>) =>
    Effect.catchIf(
      effect,
      (error): error is (E | SandboxError) & SandboxError => error instanceof SandboxError && isGone(error),
      () => Effect.fail(new SandboxLost({ container })),
    )

const isGone = (error: SandboxError) =>
  statusOf(error) === 404 ||
  (statusOf(error) === 409 &&
    error.cause instanceof Error &&
    /is not running|is restarting|removal/.test(error.cause.message))

const into = (buffer: OutputBuffer, onOutput: () => void) =>
  new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      buffer.push(chunk)
      onOutput()
      done()
    },
  })
