import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Incarnation, NodeId } from "../../src/domain/Identity.ts"
import { specification } from "../../src/sandbox/Specification.ts"
import { Templates } from "../../src/sandbox/Templates.ts"
import * as TestNode from "../support/TestNode.ts"

describe("Specification", () => {
  it.effect(
    "mounts nothing over the session's files, however an image writes their paths as its volumes",
    () =>
      Effect.gen(function* () {
        const { container } = specification({
          uid: 20000,
          agentVolume: "agent",
          disks: { workspace: { device: "/dev/loop1" }, home: { device: "/dev/loop2" } },
          image: {
            env: [],
            volumes: ["/workspace/", "//home/agent", "/tmp/", "/dev/shm/", "/data/../data/"],
          },
          template: (yield* Templates).standard,
          isGvisor: false,
          identity: {
            node: NodeId.make("n"),
            incarnation: Incarnation.make(`i_${"0".repeat(32)}`),
            cluster: "c",
          },
        })
        assert.hasAllKeys(container.HostConfig?.Tmpfs, ["/tmp", "/dev/shm", "/data"])
      }).pipe(Effect.provide(Layer.provide(Templates.layer, TestNode.settings({})))),
  )
})
