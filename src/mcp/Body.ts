/** What a request carries: one JSON-RPC message, bounded in bytes and levels. */
import type { HttpServerRequest } from "@effect/platform"
import { NodeHttpServerRequest } from "@effect/platform-node"
import {
  isJSONRPCRequest,
  JSONRPCMessageSchema,
  type JSONRPCRequest,
} from "@modelcontextprotocol/sdk/types.js"
import { Effect } from "effect"
import { refuse } from "./Refusal.ts"

/** As JSON. Never more than `limit` bytes of it in memory; what comes past that is let go by unread. */
const read = (request: HttpServerRequest.HttpServerRequest, limit: number) =>
  Effect.async<string, "too large" | "cut off">((resume) => {
    const incoming = NodeHttpServerRequest.toIncomingMessage(request)
    let body = Buffer.allocUnsafe(4096)
    let size = 0
    // Pieces are not kept: a body may come in millions of them.
    const onData = (piece: Buffer) => {
      const end = size + piece.length
      if (end > limit) {
        incoming.off("data", onData).resume()
        return resume(Effect.fail("too large"))
      }
      if (end > body.length) {
        const larger = Buffer.allocUnsafe(Math.max(end, Math.min(2 * body.length, limit)))
        body.copy(larger, 0, 0, size)
        body = larger
      }
      size += piece.copy(body, size)
    }
    incoming.on("data", onData)
    incoming.once("end", () => resume(Effect.succeed(body.toString("utf8", 0, size))))
    incoming.once("error", () => resume(Effect.fail("cut off")))
  }).pipe(
    Effect.catchAll((problem) =>
      problem === "too large"
        ? refuse(413, -32000, `The body is larger than ${limit} bytes (MAX_BODY).`)
        : refuse(400, -32700, "The body ended too early."),
    ),
    Effect.flatMap((text) =>
      Effect.try({ try: () => JSON.parse(text) as unknown, catch: () => undefined }).pipe(
        Effect.catchAll(() => refuse(400, -32700, "The body is not JSON.")),
      ),
    ),
    Effect.filterOrElse(
      (body) => !isDeep(body, maxDepth),
      () => refuse(400, -32600, `The body has more than ${maxDepth} levels.`),
    ),
  )

/** The body as JSON, which is to be one message and not several. */
export const readOne = Effect.fnUntraced(function* (
  request: HttpServerRequest.HttpServerRequest,
  limit: number,
) {
  if (!/^application\/json\s*(;|$)/i.test(request.headers["content-type"] ?? "")) {
    return yield* refuse(415, -32000, "The body must be application/json.")
  }
  const body = yield* read(request, limit)
  if (Array.isArray(body)) {
    return yield* refuse(400, -32600, "Batches are not part of this protocol: send one message a request.")
  }
  return body
})

/** A body as a JSON-RPC message. */
export const messageOf = (body: unknown) =>
  Effect.suspend(() => {
    const parsed = JSONRPCMessageSchema.safeParse(body)
    if (!parsed.success) return refuse(400, -32600, "The body is not a JSON-RPC 2.0 message.")
    return isJSONRPCRequest(parsed.data) && isLong(parsed.data)
      ? refuse(400, -32600, `A request's id and its progress token may take ${maxName} characters.`)
      : Effect.succeed(parsed.data)
  })

/** Both come back with each event. */
const isLong = ({ id, params }: JSONRPCRequest) =>
  [id, params?._meta?.progressToken].some((name) => String(name).length > maxName)
const maxName = 256

/** Levels of a message. What is deeper would end the stack of what walks it. */
const maxDepth = 64

const isDeep = (node: unknown, levels: number): boolean =>
  typeof node === "object" &&
  node !== null &&
  (levels === 0 || Object.values(node).some((child) => isDeep(child, levels - 1)))
