/**
 * `codegen-mcp stdio`: MCP over standard input and output, for one client, by way of a cluster that runs, or of a node
 * of its own. It ends with its client: when standard input ends, standard output breaks, or a signal comes. Its
 * connection ends with it, and so does a node of its own.
 */
import * as NodeStream from "@effect/platform-node/NodeStream"
import { Deferred, Effect, Option, Schema, Stream } from "effect"
import { parseArgs } from "node:util"
import { SessionName } from "../../domain/Session.ts"
import * as Bridge from "./Bridge.ts"
import * as ClusterAddress from "./ClusterAddress.ts"
import { BridgeUsage } from "./ClusterAddress.ts"
import { Lines } from "./Lines.ts"
import { maxLine } from "./Message.ts"
import * as OwnNode from "./OwnNode.ts"
import { answerMs, startMs } from "./Patience.ts"
import * as Upstream from "./Upstream.ts"

export const help = `codegen-mcp stdio serves MCP over standard input and output, for one client, by way of a cluster that runs,
or of a node that it starts on this machine and ends with its client.

Usage: codegen-mcp stdio [--url URL [--token TOKEN]] [--session NAME]

  --url URL        where a cluster serves MCP, such as http://127.0.0.1:8080/mcp. Without, a node is started here: it
                   needs a Docker engine, and takes DATABASE_URL (or else brings a Postgres) and other settings from the environment.
  --session NAME   join your session of that name, or make it: its files are there again the next time.
                   Without, a session is made, and goes with its files when the client ends.
  --token TOKEN    a bearer token of the cluster; anyone on this machine can read it in the list of processes

Environment:
  CODEGEN_MCP_URL     the URL
  CODEGEN_MCP_TOKEN   the token, out of sight: better than --token

Standard output carries the protocol alone; what else there is to say goes to standard error.`

interface Options {
  /** None where a node is to be started. */
  readonly cluster: Upstream.UpstreamOptions | undefined
  readonly session: string | undefined
  readonly isNamed: boolean
}

/** Reads the words after `stdio`. */
export const parse = (args: ReadonlyArray<string>): Effect.Effect<Options, BridgeUsage> =>
  Effect.gen(function* () {
    const { values } = yield* Effect.try({
      try: () => parseArgs({ args: [...args], options: { url: text, session: text, token: text } }),
      catch: () =>
        new BridgeUsage({ message: "The options are --url URL, --session NAME and --token TOKEN." }),
    })
    const { session } = values
    if (session !== undefined && Option.isNone(decodeName(session))) {
      return yield* new BridgeUsage({ message: "--session takes 1 to 64 letters, digits, “.”, “_” and “-”." })
    }
    const cluster = yield* ClusterAddress.read(values)
    if (session !== undefined) cluster?.url.searchParams.set("session", session)
    return {
      cluster,
      session,
      isNamed: session !== undefined || cluster?.url.searchParams.has("session") === true,
    }
  }).pipe(
    Effect.mapError(
      ({ message }) => new BridgeUsage({ message: `${message} See codegen-mcp stdio --help.` }),
    ),
  )

/** Serves until the client ends. `launcher` is the program that starts a node. */
export const run = (args: ReadonlyArray<string>, launcher: string): Effect.Effect<void, BridgeUsage> =>
  Effect.gen(function* () {
    const { cluster, isNamed, session } = yield* parse(args)
    const gone = yield* Deferred.make<void>()
    const end = () => Deferred.unsafeDone(gone, Effect.void)
    process.stdout.on("error", end)
    process.stderr.on("error", () => undefined)
    const bridge = yield* Bridge.make({
      upstream:
        cluster === undefined
          ? yield* OwnNode.start({ launcher, session, startMs: setUpMs })
          : Upstream.make(cluster),
      write: (line) =>
        Effect.async((resume) => void process.stdout.write(`${line}\n`, () => resume(Effect.void))),
      log: (sentence) => Effect.sync(() => void process.stderr.write(`codegen-mcp: ${sentence}\n`)),
      isNamed,
      startMs: cluster === undefined ? setUpMs + startMs : startMs,
      answerMs,
    })
    const lines = new Lines(maxLine)
    const reading = NodeStream.fromReadable<Error, Buffer>(
      () => process.stdin,
      (cause) => cause as Error,
    ).pipe(
      Stream.runForEach((bytes) =>
        Effect.forEach(lines.push(bytes), (line) => bridge.receive(line), { discard: true }),
      ),
      // A pipe that broke has ended.
      Effect.ignore,
    )
    yield* Effect.raceFirst(reading, Deferred.await(gone))
  }).pipe(
    Effect.scoped,
    // What the runtime keeps open for a next request must not keep the process.
    Effect.tap(() => Effect.sync(() => void process.exit(0))),
  )

/** For how long a node of its own may be set up: less than most clients wait (30 s). */
const setUpMs = 25_000

const text = { type: "string" } as const
const decodeName = Schema.decodeOption(SessionName)
