/** One HTTP request as a test words it, without a client that puts right what it gets wrong. */
import { Cause, Effect } from "effect"
import { type IncomingHttpHeaders, request } from "node:http"

export interface HttpRequest {
  readonly method?: string
  /** Beside those that node:http adds itself; `host` replaces its own. */
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | undefined
  /** Sends the body in pieces, without its length. */
  readonly chunked?: boolean
}

export interface HttpAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

/** Sends it on a connection of its own and reads the whole answer; dies where there is none within 20 s. */
export const send = (url: string, { method = "GET", headers = {}, body, chunked }: HttpRequest = {}) =>
  Effect.async<HttpAnswer>((resume) => {
    const outgoing = request(url, {
      method,
      agent: false,
      headers: {
        ...(body === undefined || chunked === true
          ? {}
          : { "content-length": String(Buffer.byteLength(body)) }),
        ...headers,
      },
    })
    // A server that refuses a body early may close the way that the rest of it takes.
    let answered = false
    outgoing.on("error", (error) => answered || resume(Effect.die(error)))
    outgoing.once("response", (incoming) => {
      answered = true
      const parts: Array<Buffer> = []
      const end = () =>
        resume(
          Effect.succeed({
            status: incoming.statusCode ?? 0,
            headers: incoming.headers,
            text: Buffer.concat(parts).toString(),
          }),
        )
      incoming.on("data", (part: Buffer) => parts.push(part))
      incoming.once("end", end)
      incoming.once("error", end)
    })
    if (chunked === true && body !== undefined) {
      for (let at = 0; at < body.length; at += 8192) outgoing.write(body.slice(at, at + 8192))
      outgoing.end()
    } else {
      outgoing.end(body)
    }
    return Effect.sync(() => void outgoing.destroy())
  }).pipe(
    Effect.timeoutFailCause({ duration: "20 seconds", onTimeout: () => Cause.die(`${url} does not answer`) }),
  )
