import { HttpServerRequest } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Stream, TestClock } from "effect"
import { ConnectionId, Principal, SessionId } from "../../src/domain/Identity.ts"
import { SessionDirectory } from "../../src/domain/SessionDirectory.ts"
import { SessionClosed, type SessionError, Unavailable } from "../../src/domain/SessionError.ts"
import * as Admission from "../../src/mcp/Admission.ts"
import { Catalogue } from "../../src/mcp/Catalogue.ts"
import { Connections } from "../../src/mcp/Connections.ts"
import * as Edge from "../../src/mcp/Edge.ts"
import { Guard } from "../../src/mcp/Guard.ts"
import { Principals } from "../../src/mcp/Principals.ts"
import { ToolCalls } from "../../src/mcp/ToolCalls.ts"
import { Sessions } from "../../src/session/Sessions.ts"
import { Registry } from "../../src/tools/Registry.ts"
import * as TestNode from "../support/TestNode.ts"

const session = SessionId.make(`s_${"0".repeat(32)}`)
const connection = {
  id: ConnectionId.make(`c_${"0".repeat(32)}`),
  session,
  protocolVersion: "2025-11-25",
  logLevel: null,
  questions: [],
}

const absent = () => Effect.dieMessage("no part of this test")

/** A client that takes a request up again; `known` is what the session's owner says of it. */
const resuming = (known: Effect.Effect<undefined, SessionError>) =>
  Effect.gen(function* () {
    const leaving = yield* Deferred.make<void>()
    const edge = yield* Effect.flatMap(Admission.make, (admission) => Edge.make(leaving, admission)).pipe(
      Effect.provide([
        Layer.succeed(Guard, { objection: () => undefined }),
        Layer.succeed(Principals, { guarded: false, of: () => Principal.make("local") }),
        Layer.succeed(Connections, {
          open: absent,
          find: () => Effect.succeed(connection),
          keep: () => Effect.void,
          setLevel: absent,
          subscribe: absent,
          introduce: absent,
          close: absent,
        }),
        Layer.succeed(ToolCalls, {
          call: absent,
          askOwner: () => absent,
          resume: (_, { operation }, follower) => Effect.zipRight(follower.begun(operation), known),
          answer: absent,
          cancel: absent,
        }),
        Layer.succeed(Sessions, {
          call: absent,
          resume: absent,
          answer: absent,
          cancel: absent,
          note: absent,
          listen: absent,
          changes: absent,
          subscribe: absent,
          post: absent,
          isHere: () => false,
          release: absent,
        }),
        Catalogue.layer.pipe(Layer.provideMerge(Registry.layer)),
        Layer.succeed(SessionDirectory, { open: absent, find: absent, list: absent, close: absent }),
        TestNode.settings({}),
      ]),
    )
    const request = HttpServerRequest.fromWeb(
      new Request("http://localhost/mcp", {
        headers: { accept: "text/event-stream", "mcp-session-id": connection.id, "last-event-id": "o_1.3" },
      }),
    )
    const answer = yield* Effect.fork(
      Effect.provideService(edge, HttpServerRequest.HttpServerRequest, request),
    )
    yield* TestClock.adjust("1 seconds")
    return { leaving, answer: yield* Fiber.join(answer) }
  })

describe("Edge", () => {
  it.scoped("says of a request that is nowhere known, or whose session is closed, that nothing is left", () =>
    Effect.gen(function* () {
      for (const known of [Effect.succeed(undefined), Effect.fail(new SessionClosed({ session }))]) {
        assert.strictEqual((yield* resuming(known)).answer.status, 204)
      }
    }),
  )

  it.scoped("has a client ask again for what cannot be looked up now", () =>
    Effect.gen(function* () {
      const { answer } = yield* resuming(Effect.fail(new Unavailable({ what: "Postgres" })))
      assert.strictEqual(answer.status, 503)
    }),
  )

  it.scoped("ends a stream that was taken up again once its node leaves, for another to go on with", () =>
    Effect.gen(function* () {
      const { answer, leaving } = yield* resuming(Effect.never)
      const stream = answer.body._tag === "Stream" ? answer.body.stream : Stream.die("no stream")
      const reading = yield* Effect.fork(Stream.runDrain(stream))
      yield* Deferred.succeed(leaving, undefined)
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual((yield* Fiber.poll(reading))._tag, "Some")
    }),
  )
})
