/** One answer of server-sent events, read as it comes, without a client that puts right what breaks. */
import { Deferred, Effect, Queue } from "effect"
import { request } from "node:http"

export interface ServerEvent {
  readonly id: string | undefined
  readonly retry: string | undefined
  readonly data: string
}

export interface EventStream {
  readonly status: number
  readonly type: string
  /** Which node gave it. */
  readonly node: string
  /** The next event; undefined once there is none any more. */
  readonly next: Effect.Effect<ServerEvent | undefined>
  /** Cuts the connection. */
  readonly cut: Effect.Effect<void>
}

/** Sends a request and waits for the head of its answer; status 0 where none came. The connection ends with the scope. */
export const open = (
  url: string,
  {
    body,
    headers,
    method,
  }: {
    readonly method: "GET" | "POST"
    readonly headers: Readonly<Record<string, string>>
    readonly body?: unknown
  },
) =>
  Effect.gen(function* () {
    const events = yield* Queue.unbounded<ServerEvent | undefined>()
    const head = yield* Deferred.make<Pick<EventStream, "status" | "type" | "node">>()
    const outgoing = request(url, { method, agent: false, headers })
    const end = () => Queue.unsafeOffer(events, undefined)
    outgoing.on("error", () => {
      Deferred.unsafeDone(head, Effect.succeed({ status: 0, type: "", node: "none" }))
      end()
    })
    outgoing.once("response", (incoming) => {
      Deferred.unsafeDone(
        head,
        Effect.succeed({
          status: incoming.statusCode ?? 0,
          type: incoming.headers["content-type"] ?? "",
          node: String(incoming.headers["x-codegen-node"]),
        }),
      )
      let rest = ""
      incoming.setEncoding("utf8")
      incoming.on("data", (text: string) => {
        const blocks = (rest + text).split("\n\n")
        rest = blocks.pop() ?? ""
        for (const block of blocks) if (!block.startsWith(":")) Queue.unsafeOffer(events, eventOf(block))
      })
      incoming.on("error", end)
      incoming.on("close", () => {
        // An answer that is no stream.
        if (rest !== "") Queue.unsafeOffer(events, { id: undefined, retry: undefined, data: rest })
        end()
      })
    })
    outgoing.end(body === undefined ? undefined : JSON.stringify(body))
    const cut = Effect.sync(() => void outgoing.destroy())
    yield* Effect.addFinalizer(() => cut)
    return { ...(yield* Deferred.await(head)), next: Queue.take(events), cut } satisfies EventStream
  })

/** All events to the end. */
export const rest = ({ next }: EventStream) =>
  Effect.gen(function* () {
    const events: Array<ServerEvent> = []
    for (let event = yield* next; event !== undefined; event = yield* next) events.push(event)
    return events
  })

const eventOf = (block: string): ServerEvent => {
  const field = (name: string) =>
    block
      .split("\n")
      .find((line) => line.startsWith(`${name}: `))
      ?.slice(name.length + 2)
  return { id: field("id"), retry: field("retry"), data: field("data") ?? "" }
}
