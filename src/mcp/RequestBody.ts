/** The body of a request as a message, bounded in bytes and in levels. */
import type { HttpServerRequest } from "@effect/platform"
import { NodeHttpServerRequest } from "@effect/platform-node"
import { JSONRPCMessageSchema } from "@modelcontextprotocol/sdk/types.js"
import { Effect } from "effect"
import { refuse } from "./Refusal.ts"

/** As JSON. Never holds more than `limit` bytes of it; what comes past that is let go by unread. */
const readBody = (request: HttpServerRequest.HttpServerRequest, limit: number) =>
  Effect.async<string, "too large" | "cut off">((resume) => {
    const incoming = NodeHttpServerRequest.toIncomingMessage(request)
    const chunks: Array<Buffer> = []
    let size = 0
    const onData = (chunk: Buffer) => {
      size += chunk.length
      if (size <= limit) return void chunks.push(chunk)
      incoming.off("data", onData).resume()
      resume(Effect.fail("too large"))
    }
    incoming.on("data", onData)
    incoming.once("end", () => resume(Effect.succeed(Buffer.concat(chunks).toString())))
    incoming.once("error", () => resume(Effect.fail("cut off")))
  }).pipe(
    Effect.catchAll((problem) =>
      problem === "too large"
        ? refuse(413, -32000, `The body is larger than ${limit} bytes (MAX_BODY).`, { connection: "close" })
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

/** One JSON-RPC message. */
export const readMessage = Effect.fnUntraced(function* (
  request: HttpServerRequest.HttpServerRequest,
  limit: number,
) {
  if (!/^application\/json\b/i.test(request.headers["content-type"] ?? "")) {
    return yield* refuse(415, -32000, "The body must be application/json.")
  }
  const body = yield* readBody(request, limit)
  if (Array.isArray(body)) {
    return yield* refuse(400, -32600, "Batches are not part of this protocol: send one message a request.")
  }
  const parsed = JSONRPCMessageSchema.safeParse(body)
  return parsed.success ? parsed.data : yield* refuse(400, -32600, "The body is not a JSON-RPC 2.0 message.")
})

/** Levels of a message. What is deeper would end the stack of what walks it. */
const maxDepth = 64

const isDeep = (node: unknown, levels: number): boolean =>
  typeof node === "object" &&
  node !== null &&
  (levels === 0 || Object.values(node).some((child) => isDeep(child, levels - 1)))
