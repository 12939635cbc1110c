/** What a client says on its standard input, one JSON-RPC message a line. (MCP 2025-11-25, "Transports", stdio.) */
import { Data, Effect, Option, Schema } from "effect"
import { operationIdKey } from "../../domain/Identity.ts"
import type { Repeats } from "./Repeats.ts"

const Id = Schema.Union(Schema.String, Schema.Number)
type Id = typeof Id.Type

const Fields = Schema.Record({ key: Schema.String, value: Schema.Unknown })

/** What all messages have; the rest of one is its receiver's affair. */
const Envelope = Schema.Struct({
  jsonrpc: Schema.Literal("2.0"),
  id: Schema.optional(Id),
  method: Schema.optional(Schema.String),
  params: Schema.optional(Fields),
  result: Schema.optional(Schema.Unknown),
  error: Schema.optional(Schema.Unknown),
})

/** `text` is what goes to the cluster: the line as it came, but for a tool call, which gets an operation id. */
export type Message = Data.TaggedEnum<{
  Request: {
    readonly id: Id
    readonly method: string
    readonly text: string
    /** Under this id a repeat joins the first; tool calls only. */
    readonly operation: string | undefined
    /** A call in the session that the connection is bound to, with its files. */
    readonly isAtHome: boolean
  }
  Notification: { readonly method: string; readonly text: string; readonly cancels: Id | undefined }
  /** An answer to a question of the server. */
  Reply: { readonly text: string }
  /** No message; what to say to that. */
  Garbage: { readonly answer: string }
}>
export const Message = Data.taggedEnum<Message>()
export type Request = Data.TaggedEnum.Value<Message, "Request">
export type Notification = Data.TaggedEnum.Value<Message, "Notification">

/** Reads a line. `undefined` stands for one that was too long. */
export const read = (line: string | undefined, repeats: Repeats): Effect.Effect<Message> =>
  Effect.gen(function* () {
    if (line === undefined) return garbage(-32600, `A message may take ${maxLine} bytes.`)
    const json = Option.liftThrowable(JSON.parse)(line) as Option.Option<unknown>
    if (Option.isNone(json)) return garbage(-32700, "The line is not JSON.")
    const envelope = decode(json.value)
    if (Option.isNone(envelope)) return garbage(-32600, "The line is not a JSON-RPC 2.0 message.")
    const { id, method, params = {} } = envelope.value
    if (method === undefined) {
      return id === undefined
        ? garbage(-32600, "The line is neither a request nor an answer.")
        : Message.Reply({ text: line })
    }
    if (id === undefined) {
      const cancels = method === "notifications/cancelled" ? decodeId(params["requestId"]) : Option.none()
      return Message.Notification({ method, text: line, cancels: Option.getOrUndefined(cancels) })
    }
    if (method === "initialize") repeats.meet(params)
    if (method !== "tools/call") {
      return Message.Request({ id, method, text: line, operation: undefined, isAtHome: false })
    }
    const call = stringify(params)
    if (Option.isNone(call)) return garbage(-32600, "The message has too many levels.")
    const meta = fieldsOf(params["_meta"])
    const operation = String(meta[operationIdKey] ?? (yield* repeats.operationOf(id, call.value)))
    const text =
      operationIdKey in meta
        ? Option.some(line)
        : stringify({
            ...(json.value as object),
            params: { ...params, _meta: { ...meta, [operationIdKey]: operation } },
          })
    if (Option.isNone(text)) return garbage(-32600, "The message has too many levels.")
    const given = fieldsOf(params["arguments"])
    return Message.Request({
      id,
      method,
      text: text.value,
      operation,
      isAtHome: given["session_id"] === undefined,
    })
  })

/** Bytes of one line on the standard input. */
export const maxLine = 16 * 1024 * 1024

/** An answer of the bridge's own, as a line. */
export const failure = (id: Id | null, code: number, message: string, data?: unknown) =>
  JSON.stringify({ jsonrpc: "2.0", id, error: { code, message, ...(data === undefined ? {} : { data }) } })

/** The same for a call, as a result: for a client that would answer an error with a repeat. */
export const failedCall = (id: Id, text: string) =>
  JSON.stringify({ jsonrpc: "2.0", id, result: { content: [{ type: "text", text }], isError: true } })

const garbage = (code: number, problem: string) =>
  Message.Garbage({
    answer: failure(null, code, `${problem} Send one JSON-RPC 2.0 message a line; the next line is read.`),
  })

const decode = Schema.decodeUnknownOption(Envelope)
const decodeId = Schema.decodeUnknownOption(Id)
const decodeFields = Schema.decodeUnknownOption(Fields)
const fieldsOf = (value: unknown): typeof Fields.Type => Option.getOrElse(decodeFields(value), () => ({}))
const stringify = Option.liftThrowable((value: unknown) => JSON.stringify(value))
