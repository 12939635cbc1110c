/** What two nodes say to each other, and who else can hear it or say something. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { connect } from "node:net"
import { linkKeys } from "../../src/cluster/LinkKeys.ts"
import { dial, listen } from "../../src/cluster/RunnerSocket.ts"
import * as Port from "../../scripts/process/Port.ts"
import * as TestNode from "../support/TestNode.ts"
import * as TcpProxy from "../support/TcpProxy.ts"
import { until } from "../support/Until.ts"

const keysOf = (...secrets: ReadonlyArray<string>) =>
  linkKeys.pipe(Effect.provide(TestNode.settings({ CLUSTER_SECRET: secrets.join(",") })), Effect.orDie)

const secret = (digit: number) => String(digit).repeat(32)

/** A node that answers what it hears with the same, and keeps it. */
const served = (...secrets: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const address = { host: "127.0.0.1", port: yield* Port.free }
    const server = yield* listen(address, yield* keysOf(...secrets))
    const heard: Array<string> = []
    yield* Effect.forkScoped(
      server.run((socket) =>
        Effect.gen(function* () {
          const write = yield* socket.writer
          yield* socket.run((bytes) => {
            heard.push(Buffer.from(bytes).toString())
            return write(bytes)
          })
        }).pipe(Effect.scoped),
      ),
    )
    return { address, heard }
  })

/** Says it to a node as one that dials with this secret, and gives what comes back. */
const say = (
  address: { readonly host: string; readonly port: number },
  words: string,
  ...secrets: ReadonlyArray<string>
) =>
  Effect.gen(function* () {
    const socket = yield* dial(address, (yield* keysOf(...secrets))[0])
    const answer = yield* Deferred.make<string>()
    const reading = yield* Effect.fork(
      socket.run((bytes) => Deferred.succeed(answer, Buffer.from(bytes).toString())),
    )
    const write = yield* socket.writer
    yield* Effect.fork(write(words))
    return yield* Effect.raceFirst(Deferred.await(answer), Fiber.join(reading).pipe(Effect.as("closed")))
  }).pipe(
    Effect.scoped,
    Effect.catchAll(() => Effect.succeed("refused")),
    Effect.timeoutTo({ duration: "3 seconds", onTimeout: () => "no answer", onSuccess: (text) => text }),
  )

describe("the link between nodes", () => {
  it.scopedLive("carries what nodes of one secret say, or of none", () =>
    Effect.gen(function* () {
      const closed = yield* served(secret(1))
      assert.strictEqual(yield* say(closed.address, "hello", secret(1)), "hello")
      const open = yield* served()
      assert.strictEqual(yield* say(open.address, "hello"), "hello")
    }),
  )

  it.scopedLive("refuses a node without the secret, and hears nothing of it", () =>
    Effect.gen(function* () {
      const { address, heard } = yield* served(secret(1))
      assert.strictEqual(yield* say(address, "hello", secret(2)), "refused")
      assert.include(["closed", "no answer", "refused"], yield* say(address, "hello"))
      assert.deepStrictEqual(heard, [])
      const open = yield* served()
      assert.strictEqual(yield* say(open.address, "hello", secret(1)), "refused")
    }),
  )

  it.scopedLive("accepts each of several secrets, and dials with the first", () =>
    Effect.gen(function* () {
      const { address } = yield* served(secret(1), secret(2))
      assert.strictEqual(yield* say(address, "old", secret(1)), "old")
      assert.strictEqual(yield* say(address, "new", secret(2), secret(1)), "new")
      assert.strictEqual(yield* say(address, "none", secret(3), secret(1)), "refused")
    }),
  )

  it.scopedLive("shows nothing of what is said, nor of the secret, to who carries it", () =>
    Effect.gen(function* () {
      const { address } = yield* served(secret(1))
      const seen: Array<Buffer> = []
      const { port } = yield* TcpProxy.make(address, (data) => seen.push(data))
      const words = "the words of a session ".repeat(100)
      assert.strictEqual(yield* say({ host: "127.0.0.1", port }, words, secret(1)), words)
      const wire = Buffer.concat(seen)
      assert.isAbove(wire.length, words.length)
      for (const text of ["words of a session", secret(1)]) assert.isFalse(wire.includes(text))
      // A secret is long enough that its key cannot be tried; two of them have nothing in common.
      const [[one], [two]] = [yield* keysOf(secret(1)), yield* keysOf(secret(2))]
      assert.notStrictEqual(one?.identity, two?.identity)
      assert.isFalse(wire.includes(one!.psk))
    }),
  )

  it.scopedLive("lets go of a stranger that stays silent, and serves nodes meanwhile", () =>
    Effect.gen(function* () {
      const { address } = yield* served(secret(1))
      const strangers = Array.from({ length: 50 }, () => connect(address.port, address.host))
      for (const stranger of strangers) stranger.on("error", () => undefined).resume()
      assert.strictEqual(yield* say(address, "hello", secret(1)), "hello")
      yield* until(
        Effect.sync(() => strangers.filter(({ closed }) => !closed).length),
        (open) => open === 0,
      )
    }),
  )
})
