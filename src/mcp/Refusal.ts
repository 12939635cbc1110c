/** A request that is answered without a look at what it asks. */
import { HttpServerResponse } from "@effect/platform"
import { Effect, Schema } from "effect"

export class Refusal extends Schema.TaggedError<Refusal>()("Refusal", {
  status: Schema.Int,
  /** Of JSON-RPC. */
  code: Schema.Int,
  message: Schema.String,
  headers: Schema.Record({ key: Schema.String, value: Schema.String }),
}) {
  get response() {
    return HttpServerResponse.unsafeJson(
      { jsonrpc: "2.0", id: null, error: { code: this.code, message: this.message } },
      { status: this.status, headers: this.headers },
    )
  }
}

/** A refusal is a response too. */
export const answered = <E, R>(handler: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>) =>
  Effect.catchIf(
    handler,
    (error): error is Extract<E, Refusal> => error instanceof Refusal,
    ({ response }) => Effect.succeed(response),
  )

export const refuse = (
  status: number,
  code: number,
  message: string,
  headers: Readonly<Record<string, string>> = {},
) => Effect.fail(new Refusal({ status, code, message, headers }))

/** What cannot be done now, but may be later. */
export const unavailable = ({ message, next }: { readonly message: string; readonly next: string }) =>
  refuse(503, -32000, `${message} ${next}`)
