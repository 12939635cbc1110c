import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Docker, statusOf } from "../../src/sandbox/Docker.ts"
import * as TestNode from "../support/TestNode.ts"

const problem = (values: Readonly<Record<string, string>>) =>
  Layer.build(Docker.layer.pipe(Layer.provide(TestNode.engineSettings(values)))).pipe(
    Effect.scoped,
    Effect.flip,
    Effect.map((error) => {
      const message = "message" in error ? error.message : String(error)
      assert.notInclude(message, "\n")
      return message
    }),
  )

describe("Docker", () => {
  it.live("knows its engine by the engine's own id", () =>
    Effect.gen(function* () {
      const { engine, use } = yield* Docker
      const info = yield* use("ping", (docker) => docker.info() as Promise<{ readonly ID: string }>)
      assert.strictEqual(engine, info.ID)
      assert.isAbove(engine.length, 8)
    }).pipe(Effect.provide(Docker.layer.pipe(Layer.provide(TestNode.engineSettings())))),
  )

  it.scopedLive("says that no engine answers, and where to name one", () =>
    Effect.gen(function* () {
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          const before = process.env["DOCKER_HOST"]
          process.env["DOCKER_HOST"] = "unix:///no/such/docker.sock"
          return before
        }),
        (before) =>
          Effect.sync(() => {
            if (before === undefined) delete process.env["DOCKER_HOST"]
            else process.env["DOCKER_HOST"] = before
          }),
      )
      const message = yield* problem({})
      assert.match(message, /^No Docker engine answers \(ENOENT\)\./)
      assert.include(message, "DOCKER_HOST")
    }),
  )

  it.live("names a missing image, and what to do", () =>
    Effect.gen(function* () {
      const message = yield* problem({ SANDBOX_IMAGE: "codegen-mcp-no-such-image:1" })
      assert.include(message, "codegen-mcp-no-such-image:1")
      assert.include(message, "SANDBOX_IMAGE")
    }),
  )

  it.live("names the template whose image or runtime there is not", () =>
    Effect.gen(function* () {
      const image = yield* problem({ TEMPLATES: '{"big": {"image": "codegen-mcp-no-such-image:1"}}' })
      assert.include(image, "`image` of big in TEMPLATES")
      const runtime = yield* problem({ TEMPLATES: '{"odd": {"runtime": "no-such-runtime"}}' })
      assert.include(runtime, "no-such-runtime (`runtime` of odd in TEMPLATES)")
    }),
  )

  it.live("names an unknown runtime, and those that there are", () =>
    Effect.gen(function* () {
      const message = yield* problem({ SANDBOX_RUNTIME: "no-such-runtime" })
      assert.include(message, "no-such-runtime (SANDBOX_RUNTIME)")
      assert.include(message, "runc")
    }),
  )

  it.live("gives a refused call the operation and the engine's status", () =>
    Effect.gen(function* () {
      const { use } = yield* Docker
      const error = yield* Effect.flip(use("inspect", (docker) => docker.getContainer("no-such").inspect()))
      assert.strictEqual(error._tag, "SandboxError")
      assert.strictEqual(error.operation, "inspect")
      assert.strictEqual(statusOf(error), 404)
    }).pipe(Effect.provide(Docker.layer.pipe(Layer.provide(TestNode.engineSettings())))),
  )
})
