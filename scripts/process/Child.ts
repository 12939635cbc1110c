/**
 * One child process that lives as long as its scope. It is a group of its own, so that Ctrl-C reaches it
 * through its owner alone, in the owner's order. On Linux the kernel ends it when its owner is killed
 * outright (`setpriv --pdeathsig`); elsewhere it then stays.
 */
import { Deferred, Duration, Effect, Option } from "effect"
import type { Scope } from "effect"
import { spawn } from "node:child_process"
import { closeSync, existsSync, mkdirSync, openSync } from "node:fs"
import { dirname } from "node:path"
import { StartError } from "./StartError.ts"

export interface ChildOptions {
  readonly command: string
  readonly args: ReadonlyArray<string>
  /** All of its environment. */
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly cwd?: string
  /** The file that its output is added to, or `terminal`. */
  readonly output: string | "terminal"
  /** The user that it runs as; Linux only. */
  readonly user?: { readonly uid: number; readonly gid: number }
  /** How it is asked to end. Default SIGTERM. */
  readonly stopSignal?: NodeJS.Signals
  /** How long it may take over that before it is killed. Default 15 s. */
  readonly stopWithin?: Duration.DurationInput
}

/** How a process ended: a code, or a signal. */
interface ChildExit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface Child {
  readonly pid: number
  /** Ends when the process has ended. */
  readonly exited: Effect.Effect<ChildExit>
  readonly running: Effect.Effect<boolean>
  /** Sends a signal; nothing happens when the process has ended. */
  readonly signal: (signal: NodeJS.Signals) => Effect.Effect<void>
  /** Asks it to end, kills it when it takes too long, and waits until it is gone. */
  readonly stop: Effect.Effect<void>
}

/** Starts a process, and stops it when the scope closes. */
export const start = (options: ChildOptions): Effect.Effect<Child, StartError, Scope.Scope> =>
  Effect.acquireRelease(launch(options), (child) => child.stop)

const launch = (options: ChildOptions) =>
  Effect.gen(function* () {
    const exit = yield* Deferred.make<ChildExit>()
    const process = yield* Effect.async<{ pid: number; kill: (signal: NodeJS.Signals) => void }, StartError>(
      (resume) => {
        const [command, args] = commandLine(options)
        const log = options.output === "terminal" ? undefined : openLog(options.output)
        const child = spawn(command, args, {
          cwd: options.cwd,
          env: options.env,
          detached: true,
          stdio: log === undefined ? ["ignore", "inherit", "inherit"] : ["ignore", log, log],
        })
        if (log !== undefined) closeSync(log)
        child.once("error", (cause) =>
          resume(
            new StartError({
              problem: `${options.command} could not be started.`,
              remedy: "Check that it is installed and may be run.",
              cause,
            }),
          ),
        )
        child.once("spawn", () =>
          resume(Effect.succeed({ pid: child.pid ?? 0, kill: (signal) => void child.kill(signal) })),
        )
        child.once("exit", (code, signal) => Deferred.unsafeDone(exit, Effect.succeed({ code, signal })))
      },
    )
    return handle(process, exit, options)
  })

const handle = (
  process: { readonly pid: number; readonly kill: (signal: NodeJS.Signals) => void },
  exit: Deferred.Deferred<ChildExit>,
  options: ChildOptions,
): Child => {
  // `stop` runs in a finalizer, where only what may be interrupted can time out.
  const exited = Effect.interruptible(Deferred.await(exit))
  const running = Effect.map(Deferred.isDone(exit), (done) => !done)
  const signal = (name: NodeJS.Signals) => Effect.sync(() => process.kill(name))
  const stop = Effect.gen(function* () {
    yield* signal(options.stopSignal ?? "SIGTERM")
    const ended = yield* Effect.timeoutOption(exited, options.stopWithin ?? Duration.seconds(15))
    if (Option.isSome(ended)) return
    yield* signal("SIGKILL")
    yield* exited
  }).pipe(Effect.whenEffect(running), Effect.asVoid)
  return { pid: process.pid, exited, running, signal, stop }
}

const commandLine = (options: ChildOptions): [string, Array<string>] => {
  if (setpriv === undefined) return [options.command, [...options.args]]
  const { user } = options
  const as = user === undefined ? [] : [`--reuid=${user.uid}`, `--regid=${user.gid}`, "--clear-groups"]
  const death = `--pdeathsig=${(options.stopSignal ?? "SIGTERM").replace("SIG", "")}`
  return [setpriv, [...as, death, "--", options.command, ...options.args]]
}

const setpriv =
  process.platform === "linux"
    ? ["/usr/bin/setpriv", "/bin/setpriv"].find((path) => existsSync(path))
    : undefined

const openLog = (path: string) => {
  mkdirSync(dirname(path), { recursive: true })
  return openSync(path, "a", 0o600)
}
