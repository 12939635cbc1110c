/**
 * The link to one sandbox's agent. An attachment that breaks while the container runs is made again, and nothing is
 * lost by it. An agent that ends, falls silent or says what makes no sense costs its sandbox: every call then fails
 * with `SandboxLost`. The link ends with its scope; the container does not.
 */
import { Data, Deferred, Effect, Exit, Option, Schedule, Schema } from "effect"
import { randomBytes } from "node:crypto"
import type { Channel, ChannelHandler } from "../agent/Channel.ts"
import { Channels } from "../agent/Channels.ts"
import { ProtocolError, secretOf, secretSize, version } from "../agent/Frame.ts"
import { type ToAgent, ToNode } from "../agent/Protocol.ts"
import type { ContainerId } from "../domain/Identity.ts"
import { type FileRefusal, SandboxError, SandboxLost } from "../domain/SandboxError.ts"
import { timeLimit } from "../domain/TimeLimit.ts"
import * as Attachment from "./Attachment.ts"
import { Docker, statusOf } from "./Docker.ts"

/** What the agent says of a command. */
export type CommandNews = Extract<ToNode, { readonly type: "ended" | "notStarted" }>

export interface Answer {
  readonly value?: unknown
  readonly failure?: FileRefusal | undefined
}

export interface AgentLink {
  readonly container: ContainerId
  /** Sends a message; it arrives, in order, or the sandbox is lost. */
  readonly send: (message: ToAgent) => Effect.Effect<void, SandboxLost>
  /** Sends the message that `make` makes of a new id, and waits for its answer. */
  readonly ask: (make: (id: number) => ToAgent) => Effect.Effect<Answer, SandboxLost>
  /** Opens a channel under a new number. Whoever opens it closes it. */
  readonly open: (handler: ChannelHandler) => Channel
  /** Calls `news` with what the agent says of this command, or with the loss of the sandbox, until `unfollow`. */
  readonly follow: (command: number, news: (news: CommandNews | SandboxLost) => void) => void
  readonly unfollow: (command: number) => void
  /** Waits until the sandbox is lost. */
  readonly lost: Effect.Effect<never, SandboxLost>
  /** Waits for the agent, and greets it. */
  readonly greet: (
    env: Readonly<Record<string, string>>,
    spill: number,
  ) => Effect.Effect<void, SandboxLost | SandboxError>
  /** Why the sandbox is lost, once it is. */
  readonly reason: () => string
  /** Ends a sandbox that cannot be used any more. */
  readonly giveUp: (why: string) => Effect.Effect<SandboxLost>
}

/** Why an agent is given up. */
class Nonsense extends Data.TaggedError("Nonsense")<{ readonly message: string }> {}

const usual = {
  /** Between two looks at whether the agent answers, in milliseconds. */
  pause: 5_000,
  /** The time that it has to do so. */
  silence: 20_000,
  /** Attachments that may break within a minute. */
  breaks: 200,
}

/** Time for an agent to answer to a new attachment. */
const hearing = "3 seconds"

/** Without words on what is wrong: they are made of what came, which may be too deep for it, and too long. */
const decode = Schema.decodeUnknownOption(ToNode)

/** Attaches to a container, which need not run yet. */
export const make = Effect.fnUntraced(function* (
  container: ContainerId,
  { pause, silence, breaks: maxBreaks } = usual,
) {
  const docker = yield* Docker
  const lost = yield* Deferred.make<never, SandboxLost>()
  const ready = yield* Deferred.make<void>()
  const answers = new Map<number, (answer: Exit.Exit<Answer, SandboxLost>) => void>()
  const commands = new Map<number, (news: CommandNews | SandboxLost) => void>()
  const secret = secretOf(randomBytes(secretSize))
  let attachment: Attachment.Attachment | undefined
  let heard = performance.now()
  let over = false
  /** Messages that the agent may still send. */
  let due = 0
  /** The end of what the agent wrote to its standard error. */
  let complaint = ""
  let reason = ""

  /** Nobody waits for the agent any more. */
  const end = (error: SandboxLost) => {
    Deferred.unsafeDone(lost, Effect.fail(error))
    for (const answer of answers.values()) answer(Exit.fail(error))
  }

  const lose = (why: string) =>
    Effect.suspend(() => {
      if (over) return Effect.void
      over = true
      reason = why.slice(0, 1000)
      attachment?.close()
      const error = new SandboxLost({ container })
      for (const news of commands.values()) news(error)
      end(error)
      return Effect.logInfo("a sandbox is lost", { container, why: reason })
    })

  const channels = new Channels({
    send: (pieces) => attachment?.write(pieces),
    message: (received) => {
      const message = Option.getOrUndefined(decode(received))
      if (message === undefined) throw new ProtocolError("a message that makes no sense")
      // What is sent has one message in return at most, whoever still waits for it.
      if (--due < 0) throw new ProtocolError("a message that nobody asked for")
      if (message.type === "ready") {
        if (message.version !== version) throw new ProtocolError(`an agent of version ${message.version}`)
        Deferred.unsafeDone(ready, Effect.void)
      } else if (message.type === "answer") {
        answers.get(message.id)?.(Exit.succeed(message))
      } else {
        commands.get(message.command)?.(message)
      }
    },
    follows: false,
  })

  const connect = Effect.fnUntraced(
    function* (number: number) {
      let broken = false
      attachment = yield* Attachment.open(
        container,
        secret,
        number,
        (bytes) => {
          heard = performance.now()
          try {
            channels.receive(bytes)
          } catch (error) {
            broken = true
            throw error
          }
        },
        (text) => {
          complaint = (complaint + text.toString()).slice(-1000)
        },
      )
      channels.attach(number)
      const { close, closed } = attachment
      // What the engine still had of the last one may have fallen into the mark of this one. The first one has no
      // other before it, and waits for its container to start.
      const unheard = Effect.suspend(() =>
        number === 1 || channels.isHeard ? Effect.never : Effect.succeed("the agent did not hear of it"),
      )
      return Effect.raceFirst(closed, Effect.delay(unheard, hearing)).pipe(
        Effect.tap(() => Effect.sync(close)),
        Effect.filterOrFail(
          () => !broken,
          (why) => new Nonsense({ message: why }),
        ),
      )
    },
    Effect.provideService(Docker, docker),
  )

  const reconnect = (number: number) =>
    Effect.gen(function* () {
      const { State } = yield* docker.use("inspect", (docker) => docker.getContainer(container).inspect())
      if (State.Running) return yield* connect(number)
      return yield* new Nonsense({
        message: `the container has ended with ${State.ExitCode} ${complaint}`.trim(),
      })
    }).pipe(
      Effect.retry({
        schedule: Schedule.spaced("200 millis"),
        times: 50,
        while: (error) => error._tag === "SandboxError" && statusOf(error) !== 404,
      }),
    )

  const serve = (first: Effect.Effect<string, Nonsense>) =>
    Effect.gen(function* () {
      let closed = first
      let breaks: ReadonlyArray<number> = []
      for (let number = 2; ; number++) {
        yield* closed
        if (over) return
        const now = performance.now()
        breaks = [...breaks.filter((time) => now - time < 60_000), now]
        if (breaks.length > maxBreaks) return yield* new Nonsense({ message: "its attachments break" })
        // The engine may still pass on what it has of the last one.
        yield* Effect.sleep(Math.min(10 * breaks.length, 200))
        closed = yield* reconnect(number)
      }
    }).pipe(Effect.catchAll((error) => lose(error.message)))

  /** Says whether there is an agent to hear it. */
  const tell = (message: ToAgent) => {
    if (over) return false
    due++
    channels.send(message)
    return true
  }

  const send = (message: ToAgent) =>
    Effect.suspend(() => (tell(message) ? Effect.void : Effect.fail(new SandboxLost({ container }))))

  let lastId = 0
  const ask = (make: (id: number) => ToAgent) =>
    Effect.async<Answer, SandboxLost>((resume) => {
      const id = ++lastId
      answers.set(id, (answer) => {
        answers.delete(id)
        resume(answer)
      })
      if (!tell(make(id))) answers.get(id)?.(Exit.fail(new SandboxLost({ container })))
      return Effect.sync(() => answers.delete(id))
    })

  const giveUp = (why: string) =>
    Effect.zipRight(
      lose(why),
      docker.use("remove", (docker) => docker.getContainer(container).kill()),
    ).pipe(Effect.ignore, Effect.as(new SandboxLost({ container })))

  const look = Effect.gen(function* () {
    yield* Deferred.await(ready)
    const asked = performance.now()
    yield* Effect.timeoutOption(
      ask((id) => ({ type: "ping", id })),
      silence,
    )
    // What came while this process stood still is heard first.
    if (heard < asked) yield* Effect.sleep(Math.min(pause, 1_000))
    if (heard < asked) yield* giveUp(`the agent was silent for ${silence} ms`)
  })

  const closed = yield* connect(1)
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      over = true
      attachment?.close()
      end(new SandboxLost({ container }))
    }),
  )
  yield* Effect.forkScoped(Effect.interruptible(serve(closed)))
  yield* look.pipe(
    Effect.repeat(Schedule.spaced(pause)),
    Effect.ignore,
    Effect.interruptible,
    Effect.forkScoped,
  )

  let lastChannel = 0
  return {
    container,
    send,
    ask,
    open: (handler) => channels.open(++lastChannel, handler),
    follow: (command, news) => void commands.set(command, news),
    unfollow: (command) => void commands.delete(command),
    lost: Deferred.await(lost),
    reason: () => reason,
    greet: (env, spill) =>
      send({ type: "hello", version, env, spill }).pipe(
        Effect.zipRight(Effect.raceFirst(Deferred.await(ready), Deferred.await(lost))),
        timeLimit(
          "20 seconds",
          () => new SandboxError({ operation: "attach", cause: "the agent is silent" }),
        ),
      ),
    giveUp,
  } satisfies AgentLink
})
