import { HttpServerError, SocketServer } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect } from "effect"
import { createServer } from "node:net"
import { DatabaseUnreachable } from "../../src/database/Database.ts"
import { Refused } from "../../src/node/Preflight.ts"
import { explain, UsageError } from "../../src/node/StartFailure.ts"
import { EngineUnusable } from "../../src/sandbox/Docker.ts"

/** The error by which a second server of one port fails. */
const portTaken = Effect.async<Error>((resume) => {
  const first = createServer()
  first.listen(0, "127.0.0.1", () => {
    const { port } = first.address() as { port: number }
    const second = createServer()
    second.once("error", (error) => {
      first.close()
      resume(Effect.succeed(error))
    })
    second.listen(port, "127.0.0.1")
  })
})

describe("StartFailure", () => {
  it.effect("names the taken port and the setting that moves it", () =>
    Effect.gen(function* () {
      const cause = yield* portTaken
      assert.match(
        explain(Cause.fail(new HttpServerError.ServeError({ cause }))),
        /^Port 127\.0\.0\.1:\d+ is taken by another process\. Set HTTP_PORT to a free one\.$/,
      )
      assert.match(
        explain(Cause.fail(new SocketServer.SocketServerError({ reason: "Open", cause }))),
        /is taken by another process\. Set RUNNER_PORT to a free one\.$/,
      )
    }),
  )

  it("says which setting to look at for an address that cannot be served", () => {
    const failure = (code: string) =>
      Object.assign(new TypeError(code), { code, address: "10.9.9.9", port: 80 })
    assert.strictEqual(
      explain(Cause.fail(new HttpServerError.ServeError({ cause: failure("EACCES") }))),
      "Port 10.9.9.9:80 may not be used by this user. Set HTTP_PORT to one above 1023.",
    )
    assert.strictEqual(
      explain(Cause.fail(new HttpServerError.ServeError({ cause: failure("EADDRNOTAVAIL") }))),
      "The address 10.9.9.9:80 cannot be served (EADDRNOTAVAIL). Check HTTP_HOST and HTTP_PORT.",
    )
  })

  it("gives one line, without a stack, for whatever stops a start", () => {
    const refused = Object.assign(new TypeError("connect failed"), { code: "ECONNREFUSED" })
    for (const cause of [
      Cause.fail(new UsageError({ problem: "Unknown: --speed." })),
      Cause.fail(new EngineUnusable({ problem: "No Docker engine answers.", remedy: "Start one." })),
      Cause.fail(new Refused({ message: "HTTP_HOST is 0.0.0.0. Set API_TOKENS." })),
      Cause.fail(new DatabaseUnreachable({ host: "db:5432", cause: new TypeError("x", { cause: refused }) })),
      Cause.die(new TypeError("a defect\nof two lines")),
      Cause.die("a bare word"),
      Cause.sequential(Cause.interrupt(undefined as never), Cause.fail(new UsageError({ problem: "Both." }))),
    ]) {
      const message = explain(cause)
      assert.isAbove(message.length, 5)
      assert.notMatch(message, /\n|\bat .*\.[jt]s/)
    }
  })

  it("says where Postgres was looked for and why it did not do, and no password", () => {
    const refused = Object.assign(new TypeError(""), { code: "ECONNREFUSED" })
    const error = new DatabaseUnreachable({ host: "db:5432", cause: new TypeError("x", { cause: refused }) })
    assert.strictEqual(
      explain(Cause.fail(error)),
      "Postgres at db:5432 cannot be used: ECONNREFUSED. Check DATABASE_URL, and that the server runs.",
    )
  })
})
