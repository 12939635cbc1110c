/**
 * The link to one sandbox's agent. An attachment that breaks while the container runs is made again, and nothing is
 * lost by it. An agent that ends, falls silent or says what makes no sense costs its sandbox: every call then fails
 * with `SandboxLost`. The link ends with its scope; the container does not.
 */
import { Data, Deferred, Effect, Exit, Option, Runtime, Schedule, Schema } from "effect"
import { randomBytes } from "node:crypto"
import type { Channel, ChannelHandler } from "../agent/Channel.ts"
import { Channels } from "../agent/Channels.ts"
import { ProtocolError, secretOf, secretSize, version } from "../agent/Frame.ts"
import { type ToAgent, ToNode } from "../agent/Protocol.ts"
import type { ContainerId } from "../domain/Identity.ts"
import { messageOf } from "../domain/Failure.ts"
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

export interface AskOptions {
  /** Others than the agent may hold its answer up. */
  readonly isHeldUp?: boolean
  /** Is called once the message is on its way: what follows it on a channel may go too. */
  readonly sent?: () => void
}

export interface AgentLink {
  readonly container: ContainerId
  /** Sends a message; it arrives, in order, or the sandbox is lost. */
  readonly send: (message: ToAgent) => Effect.Effect<void, SandboxLost>
  /**
   * Sends the message that `make` makes of a new id, and waits for its answer. An agent that owes one for too long, and
   * is not held up by others, is of no use: it is given up.
   */
  readonly ask: (make: (id: number) => ToAgent, options?: AskOptions) => Effect.Effect<Answer, SandboxLost>
  /** Opens a channel under a new number. Whoever opens it closes it. */
  readonly open: (handler: ChannelHandler) => Channel
  /** Calls `news` with what the agent says of this command, or with the loss of the sandbox, until `unfollow`. */
  readonly follow: (command: number, news: (news: CommandNews | SandboxLost) => void) => void
  readonly unfollow: (command: number) => void
  /** Calls `run` once the sandbox is lost, at once where it is. */
  readonly whenLost: (run: () => void) => void
  /** Waits for the agent, and greets it. */
  readonly greet: (
    env: Readonly<Record<string, string>>,
    spill: number,
  ) => Effect.Effect<void, SandboxLost | SandboxError>
  /** Why the sandbox is lost, once it is. */
  readonly reason: () => string
  /** Ends a sandbox that cannot be used any more. */
  readonly giveUp: (why: string) => SandboxLost
}

/** Who waits for an answer, and since how many looks. */
interface Asked {
  readonly answer: (answer: Exit.Exit<Answer, SandboxLost>) => void
  looks: number
}

/** Why an agent is given up. */
class Nonsense extends Data.TaggedError("Nonsense")<{ readonly message: string }> {}

const usual = {
  /** Between two looks at whether the agent answers, in milliseconds. */
  pause: 5_000,
  /** Looks at which it may not have done so. */
  silence: 4,
  /** Looks at which it may owe an answer. */
  debt: 60,
  /** Attachments that may break within a minute. */
  breaks: 200,
}

/** Time for an agent to answer to a new attachment, in milliseconds. */
const hearing = 3_000

/** Without words on what is wrong: they are made of what came, which may be too deep for it, and too long. */
const decode = Schema.decodeUnknownOption(ToNode)

/**
 * Attaches to a container, which need not run yet. While nothing is asked, a link is a timer and no fiber: a node has
 * as many as sessions, and most of them idle.
 */
export const make = Effect.fnUntraced(function* (
  container: ContainerId,
  patience: Partial<typeof usual> = {},
) {
  const { pause, silence, debt, breaks: maxBreaks } = { ...usual, ...patience }
  const docker = yield* Docker
  const scope = yield* Effect.scope
  const runtime = yield* Effect.runtime()
  const run = <A>(effect: Effect.Effect<A>) => void Runtime.runFork(runtime, effect, { scope })
  const ready = yield* Deferred.make<void, SandboxLost>()
  const answers = new Map<number, Asked>()
  const commands = new Map<number, (news: CommandNews | SandboxLost) => void>()
  const mourners: Array<() => void> = []
  const secret = secretOf(randomBytes(secretSize))
  let attachment: Attachment.Attachment | undefined
  let attachments = 0
  /** When the last ones broke. */
  let breaks: ReadonlyArray<number> = []
  let over = false
  let timer: NodeJS.Timeout | undefined
  /** Something came since the last look; looks since then. */
  let isHeard = true
  let silent = 0
  /** Messages that the agent may still send. */
  let due = 0
  /** The end of what the agent wrote to its standard error. */
  let complaint = ""
  let reason = ""

  /** Nobody waits for the agent any more. */
  const end = (error: SandboxLost) => {
    over = true
    clearInterval(timer)
    attachment?.close()
    Deferred.unsafeDone(ready, Effect.fail(error))
    for (const { answer } of answers.values()) answer(Exit.fail(error))
  }

  const lose = (why: string) => {
    if (over) return
    reason = why.slice(0, 1000)
    const error = new SandboxLost({ container })
    end(error)
    for (const news of commands.values()) news(error)
    run(Effect.logInfo("a sandbox is lost", { container, why: reason }))
    // Whoever is told may end the link.
    for (const mourn of mourners) mourn()
  }

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
        timer ??= setInterval(look, pause)
      } else if (message.type === "answer") {
        answers.get(message.id)?.answer(Exit.succeed(message))
      } else {
        commands.get(message.command)?.(message)
      }
    },
    follows: false,
  })

  const connect = Effect.gen(function* () {
    const number = attachments + 1
    const opened = yield* Attachment.open(container, secret, number, {
      receive: (bytes) => {
        isHeard = true
        try {
          if (!over) channels.receive(bytes)
        } catch (error) {
          lose(messageOf(error))
        }
      },
      complain: (text) => {
        complaint = (complaint + text.toString()).slice(-1000)
      },
      closed: () => {
        if (!over) run(reconnect)
      },
    })
    if (over) return opened.close()
    attachments = number
    attachment = opened
    channels.attach(number)
    // What the engine still had of the last one may have fallen into the mark of this one. The first one has no
    // other before it, and waits for its container to start.
    if (number === 1) return
    setTimeout(() => {
      if (attachment === opened && !channels.isHeard) opened.close()
    }, hearing).unref()
  }).pipe(Effect.provideService(Docker, docker))

  const reconnect: Effect.Effect<void> = Effect.gen(function* () {
    const now = performance.now()
    breaks = [...breaks.filter((time) => now - time < 60_000), now]
    if (breaks.length > maxBreaks) return yield* new Nonsense({ message: "its attachments break" })
    // The engine may still pass on what it has of the last one.
    yield* Effect.sleep(Math.min(10 * breaks.length, 200))
    yield* Effect.gen(function* () {
      const { State } = yield* docker.use("inspect", (docker) => docker.getContainer(container).inspect())
      if (State.Running) return yield* connect
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
  }).pipe(Effect.catchAll((error) => Effect.sync(() => lose(error.message))))

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
  const ask: AgentLink["ask"] = (make, { isHeldUp = false, sent } = {}) =>
    Effect.async((resume) => {
      const id = ++lastId
      const answer: Asked["answer"] = (answer) => {
        answers.delete(id)
        resume(answer)
      }
      answers.set(id, { answer, looks: isHeldUp ? -Infinity : 0 })
      if (tell(make(id))) sent?.()
      else answer(Exit.fail(new SandboxLost({ container })))
      return Effect.sync(() => answers.delete(id))
    })

  const giveUp = (why: string) => {
    const isFirst = !over
    lose(why)
    if (isFirst) run(Effect.ignore(docker.use("remove", (docker) => docker.getContainer(container).kill())))
    return new SandboxLost({ container })
  }

  // Looks are counted, not time: what came while this process stood still is heard before the next one.
  const look = () => {
    for (const asked of answers.values()) {
      if (++asked.looks > debt) return void giveUp(`the agent owes an answer for ${debt * pause} ms`)
    }
    silent = isHeard ? 0 : silent + 1
    if (silent >= silence) return void giveUp(`the agent was silent for ${silent * pause} ms`)
    if (silent > 0) return
    isHeard = false
    tell({ type: "ping", id: 0 })
  }

  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      if (!over) end(new SandboxLost({ container }))
    }),
  )
  yield* connect

  let lastChannel = 0
  return {
    container,
    send,
    ask,
    open: (handler) => channels.open(++lastChannel, handler),
    follow: (command, news) => void commands.set(command, news),
    unfollow: (command) => void commands.delete(command),
    whenLost: (run) => {
      if (over) run()
      else mourners.push(run)
    },
    reason: () => reason,
    greet: (env, spill) =>
      send({ type: "hello", version, env, spill }).pipe(
        Effect.zipRight(Deferred.await(ready)),
        timeLimit(
          "20 seconds",
          () => new SandboxError({ operation: "attach", cause: "the agent is silent" }),
        ),
      ),
    giveUp,
  } satisfies AgentLink
})
