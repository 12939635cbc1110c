/** What the engine reports while it pulls, imports or builds. */
import type Dockerode from "dockerode"
import { Effect, Schema } from "effect"
import { say } from "../process/Progress.ts"

/** The engine could not do it; `reason` is its own sentence. */
export class EngineFailure extends Schema.TaggedError<EngineFailure>()("EngineFailure", {
  reason: Schema.String,
}) {
  override get message() {
    return this.reason
  }
}

/** One call of the engine. */
export const call = <A>(run: () => Promise<A>): Effect.Effect<A, EngineFailure> =>
  Effect.tryPromise({ try: run, catch: (cause) => new EngineFailure({ reason: reasonOf(cause) }) })

/**
 * A call that streams its progress, until the engine has finished. Of a build, each step becomes a line,
 * with its last output when it fails.
 */
export const follow = (
  docker: Dockerode,
  run: () => Promise<NodeJS.ReadableStream>,
): Effect.Effect<void, EngineFailure> =>
  Effect.flatMap(call(run), (stream) =>
    Effect.async<void, EngineFailure>((resume) => {
      const recent: Array<string> = []
      const onEvent = (event: Event) => {
        if (event.stream === undefined) return
        const text = event.stream.trim()
        if (text !== "") recent.push(text)
        if (recent.length > 5) recent.shift()
        if (/^Step \d+\/\d+ : (RUN|COPY)/.test(text)) say(`  ${(text.split("\n")[0] ?? "").slice(0, 100)}`)
      }
      docker.modem.followProgress(
        stream,
        (error, events: ReadonlyArray<Event>) => {
          const reason =
            error === null ? events.find((event) => event.error !== undefined)?.error : reasonOf(error)
          resume(
            reason === undefined
              ? Effect.void
              : new EngineFailure({ reason: [reason, ...recent].join("\n  ") }),
          )
        },
        onEvent,
      )
    }),
  )

interface Event {
  readonly stream?: string
  readonly error?: string
}

const reasonOf = (cause: unknown): string => {
  const json = (cause as { readonly json?: { readonly message?: unknown } }).json?.message
  if (typeof json === "string") return json
  const text = cause instanceof Error ? cause.message : String(cause)
  return text.replace(/^\(HTTP code \d+\) [^-]*- /, "").trim()
}
