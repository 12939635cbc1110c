/**
 * Files by signed URLs, the same on every node: what they hold comes from the workspace store, and what is sent goes
 * there first, so that neither end needs the session's owner while a client is slow. No token is asked for.
 */
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { NodeHttpServerRequest, NodeStream } from "@effect/platform-node"
import { Effect, Schema, Stream } from "effect"
import { explained, type Explained, failureOf } from "../domain/Failure.ts"
import { OperationId } from "../domain/Identity.ts"
import { NodeIdentity } from "../domain/NodeIdentity.ts"
import { TransferTooLarge } from "../domain/ObjectError.ts"
import type { Claims } from "../domain/SignedUrl.ts"
import { Sessions } from "../session/Sessions.ts"
import { unpackUpload } from "../tools/files/UploadArchive.ts"
import { Objects, type StoredObject } from "../workspace/Objects.ts"
import { filesPath, SignedUrls } from "../workspace/SignedUrls.ts"
import type { Admission } from "./Admission.ts"
import { Catalogue } from "./Catalogue.ts"
import { rangeOf } from "./Range.ts"

/** Makes the handler of all below `/files/`. */
export const make = Effect.fnUntraced(function* (admission: Admission) {
  const urls = yield* SignedUrls
  const objects = yield* Objects
  const sessions = yield* Sessions
  const { names } = yield* Catalogue
  const { node } = yield* NodeIdentity

  const download = Effect.fnUntraced(function* (
    request: HttpServerRequest.HttpServerRequest,
    claims: Claims,
  ) {
    const object = yield* objects.allowed(claims)
    yield* admission.stream(object.principal)
    const etag = `"${object.sha256}"`
    const headers = {
      ...safe,
      etag,
      "accept-ranges": "bytes",
      "content-disposition": disposition(object.name),
    }
    if (request.headers["if-none-match"] === etag) {
      return HttpServerResponse.empty({ status: 304, headers: { etag } })
    }
    const ifRange = request.headers["if-range"]
    const range = rangeOf(
      ifRange === undefined || ifRange === etag ? request.headers["range"] : undefined,
      object.size,
    )
    if (range === "none") {
      return HttpServerResponse.empty({ status: 416, headers: { "content-range": `bytes */${object.size}` } })
    }
    const { begin, length } = range ?? { begin: 0, length: object.size }
    const bytes = objects.contents(object, begin, length).pipe(
      // Otherwise its client would wait for the rest.
      Stream.tapErrorCause((cause) =>
        Effect.zipRight(
          Effect.logWarning("a file was not sent to its end", cause),
          Effect.sync(() => NodeHttpServerRequest.toIncomingMessage(request).socket.destroy()),
        ),
      ),
    )
    return HttpServerResponse.stream(bytes, {
      status: range === undefined ? 200 : 206,
      contentType: object.mime,
      contentLength: length,
      headers:
        range === undefined
          ? { ...headers, "repr-digest": digest(object) }
          : { ...headers, "content-range": `bytes ${begin}-${begin + length - 1}/${object.size}` },
    })
  })

  const upload = Effect.fnUntraced(function* (request: HttpServerRequest.HttpServerRequest, claims: Claims) {
    const { object, session } = claims
    const principal = yield* objects.receiver(claims)
    yield* admission.request(principal)
    yield* admission.upload(principal)
    if (Number(request.headers["content-length"] ?? 0) > objects.limit) {
      return yield* new TransferTooLarge({ limit: objects.limit })
    }
    const incoming = NodeHttpServerRequest.toIncomingMessage(request)
    // It is not closed where it is read no further: its client is to have the answer.
    const body = NodeStream.fromReadable<CutOff, Uint8Array>(
      () => incoming,
      () => new CutOff(),
      {
        closeOnDone: false,
      },
    )
    yield* objects
      .save(
        {
          id: object,
          principal,
          session,
          epoch: undefined,
          kind: "upload",
          name: "archive",
          mime: "application/octet-stream",
        },
        body,
      )
      .pipe(Effect.tapError(() => Effect.sync(() => incoming.resume())))
    // From here on it goes on by itself, whatever becomes of its client, of this node, or of the session's place.
    const reply = yield* sessions.call(session, {
      id: OperationId.make(object),
      tool: unpackUpload.name,
      input: { object, path: claims.folder ?? "." },
      edgeNode: node,
    })
    if (reply._tag === "Failed") return yield* Effect.fail(explained(reply.failure))
    return HttpServerResponse.unsafeJson(reply._tag === "Cancelled" ? {} : reply.output, { headers: safe })
  })

  return Effect.gen(function* () {
    const request = yield* HttpServerRequest.HttpServerRequest
    if (!["GET", "HEAD", "PUT"].includes(request.method)) {
      return HttpServerResponse.empty({ status: 405, headers: { allow: "GET, HEAD, PUT" } })
    }
    const [signed = ""] = request.url.slice(filesPath.length).split(/[/?]/, 1)
    const claims = yield* urls.read(signed, request.method)
    return yield* claims.method === "PUT" ? upload(request, claims) : download(request, claims)
  }).pipe(
    Effect.catchAll(
      (
        error:
          Explained | { readonly _tag: "Refusal"; readonly response: HttpServerResponse.HttpServerResponse },
      ) => Effect.succeed("response" in error ? error.response : refusal(names.inError(error))),
    ),
  )
})

/** The client ended, or was too slow. */
class CutOff extends Schema.TaggedError<CutOff>()("CutOff", {}) {
  override get message() {
    return "The archive ended too early; nothing was unpacked."
  }
  readonly next = "Send it again, whole, within REQUEST_TIMEOUT."
}

const refusal = (error: Explained) => {
  const failure = failureOf(error)
  return HttpServerResponse.unsafeJson(failure, { status: statuses[failure.code] ?? 422, headers: safe })
}

const statuses: Readonly<Record<string, number>> = {
  url_refused: 403,
  artifact_not_found: 404,
  url_used: 409,
  transfer_too_large: 413,
  too_many_artifacts: 413,
  cut_off: 400,
  session_closed: 403,
  interrupted: 409,
  internal_error: 500,
  store_unavailable: 503,
  unavailable: 503,
  capacity: 503,
}

/** Nothing of it runs in a browser or stays in one, and nobody on the way keeps it. */
const safe = {
  "cache-control": "private, no-store",
  "content-security-policy": "sandbox; default-src 'none'",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
}

/** To be saved, under its name. (RFC 6266.) */
const disposition = (name: string) => {
  const plain = name.replace(/[^A-Za-z0-9._ -]/g, "_")
  const encoded = encodeURIComponent(name).replace(/['()*]/g, (c) => `%${c.charCodeAt(0).toString(16)}`)
  return `attachment; filename="${plain}"; filename*=UTF-8''${encoded}`
}

/** RFC 9530. */
const digest = ({ sha256 }: StoredObject) => `sha-256=:${Buffer.from(sha256, "hex").toString("base64")}:`
