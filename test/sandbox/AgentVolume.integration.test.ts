import { assert, layer } from "@effect/vitest"
import { Duration, Effect, Layer } from "effect"
import { randomBytes } from "node:crypto"
import * as AgentVolume from "../../src/sandbox/AgentVolume.ts"
import { Docker } from "../../src/sandbox/Docker.ts"
import * as TestNode from "../support/TestNode.ts"
import { until } from "../support/Until.ts"

layer(Docker.layer.pipe(Layer.provideMerge(TestNode.engineSettings())), {
  excludeTestServices: true,
  timeout: "60 seconds",
})("AgentVolume", (it) => {
  it.scoped("frees a volume that a node was just filling when it died, once it is old enough", () =>
    Effect.gen(function* () {
      const docker = yield* Docker
      // A version that no engine has yet; and the node removes nothing any more.
      const agent = `test-${randomBytes(4).toString("hex")}`
      const dies: Docker["Type"] = {
        ...docker,
        agent,
        use: (operation, call) =>
          operation === "remove" ? Effect.dieMessage("killed") : docker.use(operation, call),
      }
      const died = yield* Effect.exit(Effect.provideService(AgentVolume.acquire, Docker, dies))
      assert.strictEqual(died._tag, "Failure")
      const containers = Effect.map(
        docker.use("list", (docker) => docker.listContainers({ all: true, filters: { name: [agent] } })),
        (found) => found.map(({ Id }) => Id),
      )
      const volumes = docker.use("list", (docker) => docker.listVolumes({ filters: { name: [agent] } }))
      const [container = ""] = yield* containers
      const [volume] = (yield* volumes).Volumes
      const free = docker.use("remove", (docker) => docker.getVolume(volume?.Name ?? "").remove())
      // For a test that failed half-way.
      yield* Effect.addFinalizer(() =>
        docker
          .use("remove", (docker) => docker.getContainer(container).remove({ force: true }))
          .pipe(Effect.ignore, Effect.zipRight(Effect.ignore(free))),
      )
      assert.strictEqual((yield* Effect.either(free))._tag, "Left")

      yield* AgentVolume.removeUnfinished(Duration.minutes(1))
      assert.deepStrictEqual(yield* containers, [container])
      yield* until(
        Effect.zipRight(AgentVolume.removeUnfinished(Duration.zero), containers),
        (left) => left.length === 0,
      )
      yield* free
      assert.deepStrictEqual((yield* volumes).Volumes, [])
    }),
  )
})
