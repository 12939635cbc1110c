/**
 * The cluster of a bridge that was given none: one node on this machine, which a launcher starts and ends. The bridge
 * holds the launcher's standard input; when that ends, with the scope or with a bridge that was killed, the launcher
 * takes down all that it started. It is a process group of its own: what ends the bridge's leaves it the time.
 */
import { Deferred, Effect, Option, Redacted, Schema, type Scope } from "effect"
import { spawn } from "node:child_process"
import { createInterface } from "node:readline"
import * as Upstream from "./Upstream.ts"

export interface OwnNodeOptions {
  /** The launcher's file. It says in one line where the node serves, and all else on standard error. */
  readonly launcher: string
  readonly session: string | undefined
  /** How long a request waits while the node is set up, in milliseconds. */
  readonly startMs: number
}

/** Starts a node, for requests that wait until it serves. Nothing is left of it when the scope has closed. */
export const start = ({
  launcher,
  session,
  startMs,
}: OwnNodeOptions): Effect.Effect<Upstream.Upstream, never, Scope.Scope> =>
  Effect.gen(function* () {
    const serving = yield* Deferred.make<Upstream.Upstream>()
    const ended = yield* Deferred.make<never, Upstream.Refused>()
    const child = yield* Effect.acquireRelease(
      Effect.sync(() =>
        spawn(process.execPath, [launcher, ...(session === undefined ? [] : ["--session", session])], {
          stdio: "pipe",
          detached: true,
        }),
      ),
      (child) =>
        Effect.sync(() => child.stdin.end()).pipe(
          Effect.zipRight(Effect.interruptible(Effect.ignore(Deferred.await(ended)))),
          Effect.timeoutOption(endWithin),
          Effect.zipRight(Effect.sync(() => child.kill("SIGKILL"))),
        ),
    )
    let said = "Its launcher cannot be run."
    const end = () =>
      Deferred.unsafeDone(ended, refused(`There is no node: ${said} Then start this server again.`))
    child.once("error", end).once("close", end)
    child.stdin.on("error", () => undefined)
    createInterface({ input: child.stdout }).once("line", (line) =>
      Deferred.unsafeDone(serving, Effect.map(Effect.orDie(decode(line)), upstreamOf(session))),
    )
    createInterface({ input: child.stderr }).on("line", (line) => {
      said = line.replace(/^· /, "")
      process.stderr.write(`${line}\n`)
    })

    const node = Effect.raceFirst(Deferred.await(ended), Deferred.await(serving)).pipe(
      Effect.timeoutFail({
        duration: startMs,
        onTimeout: () => refused(`The node is still being set up (${said}): try again in a minute.`),
      }),
    )
    return {
      post: (text, connection) => Effect.flatMap(node, ({ post }) => post(text, connection)),
      listen: (connection, place) => Effect.flatMap(node, ({ listen }) => listen(connection, place)),
      close: (connection) => Effect.flatMap(node, ({ close }) => close(connection)),
    }
  })

const upstreamOf = (session: string | undefined) => (at: typeof Serving.Type) => {
  const url = new URL(at.url)
  if (session !== undefined) url.searchParams.set("session", session)
  return Upstream.make({ url, token: Option.some(Redacted.make(at.token)) })
}

const Serving = Schema.Struct({ url: Schema.String, token: Schema.String })
const decode = Schema.decode(Schema.parseJson(Serving))

const refused = (problem: string) => new Upstream.Refused({ code: -32000, problem })

/** What the launcher takes at most, and some more. */
const endWithin = "70 seconds"
