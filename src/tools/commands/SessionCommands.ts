/**
 * The commands of one session on the node that owns it, each under the operation that started it: those that run, and
 * the last ones that ended, so that their output can still be read.
 */
import { Effect } from "effect"
import type { CommandId, CommandPage, CommandSpec } from "../../domain/Command.ts"
import type { OperationId } from "../../domain/Identity.ts"
import type { SandboxLost } from "../../domain/SandboxError.ts"
import type { Unavailable } from "../../domain/SessionError.ts"
import type { Sandbox } from "../../sandbox/Sandbox.ts"

export interface SessionCommand {
  readonly operation: OperationId
  readonly sandbox: Sandbox
  readonly id: CommandId
  readonly spec: CommandSpec
  /** The command as its caller gave it. */
  readonly shown: string
  /** Milliseconds since 1970. */
  readonly startedAt: number
  /** Bytes of output that are kept of it once it has ended; none while it runs. */
  kept: number | undefined
}

export class SessionCommands {
  private readonly commands = new Map<OperationId, SessionCommand>()
  /** In order of their end. */
  private ended: ReadonlyArray<SessionCommand> = []
  private readonly turns = new Map<string, Effect.Semaphore>()

  /** Lets operations that write the same files by a program that expects nobody beside it do so one after another. */
  inTurn<A, E, R>(what: "packages" | "git", work: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    const turn = this.turns.get(what) ?? Effect.unsafeMakeSemaphore(1)
    this.turns.set(what, turn)
    return turn.withPermits(1)(work)
  }

  /**
   * Starts a command as this operation's, in place of one that it ran before. It is to be given to `end` or to `drop`.
   */
  start(
    operation: OperationId,
    sandbox: Sandbox,
    spec: CommandSpec,
    shown: string,
  ): Effect.Effect<SessionCommand, SandboxLost | Unavailable> {
    const before = this.commands.get(operation)
    return Effect.uninterruptible(
      Effect.map(
        Effect.zipRight(before === undefined ? Effect.void : this.drop(before), sandbox.start(spec)),
        (id) => {
          const command: SessionCommand = {
            operation,
            sandbox,
            id,
            spec,
            shown,
            startedAt: Date.now(),
            kept: undefined,
          }
          this.commands.set(operation, command)
          return command
        },
      ),
    )
  }

  find(operation: OperationId) {
    return this.commands.get(operation)
  }

  /** In order of their start. */
  all(): ReadonlyArray<SessionCommand> {
    return [...this.commands.values()]
  }

  /**
   * It has ended, as its last page says. Those that ended first go where too many are kept, or too much of their
   * output; this one stays, so that a caller who followed it can read the rest.
   */
  end(command: SessionCommand, { stdout, stderr }: CommandPage) {
    return Effect.suspend(() => {
      command.kept = stdout.data.length + stderr.data.length
      this.ended = [...this.ended, command]
      let bytes = this.ended.reduce((sum, { kept = 0 }) => sum + kept, 0)
      const gone = this.ended.slice(0, -1).filter(({ kept = 0 }, index) => {
        if (this.ended.length - index <= maxEnded && bytes <= maxKept) return false
        bytes -= kept
        return true
      })
      return Effect.forEach(gone, (one) => this.drop(one), { discard: true })
    })
  }

  /** Forgets a command. One that still runs is killed. */
  drop({ id, operation, sandbox }: SessionCommand) {
    this.commands.delete(operation)
    this.ended = this.ended.filter((one) => one.operation !== operation)
    return sandbox.forget(id)
  }
}

/** Commands that have ended, and bytes of their output. */
const maxEnded = 32
const maxKept = 8 * 1024 * 1024
