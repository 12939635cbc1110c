/**
 * How a sandbox's container is made: nothing in it depends on a session, all on the settings.
 * Labels say whose it is; the name holds its uid, and the engine, where names are unique, thereby
 * keeps two sandboxes of one machine from sharing a uid and the kernel's limits that go by uid.
 */
import { Context, Effect } from "effect"
import type Dockerode from "dockerode"
import seccomp from "../../docker/seccomp.json" with { type: "json" }
import { ContainerId } from "../domain/Identity.ts"
import { NodeIdentity } from "../domain/NodeIdentity.ts"
import { SandboxError } from "../domain/SandboxError.ts"
import { Docker, statusOf } from "./Docker.ts"
import { Limits } from "./Limits.ts"

export const labels = {
  cluster: "codegen-mcp.cluster",
  node: "codegen-mcp.node",
  incarnation: "codegen-mcp.incarnation",
} as const

export const workspace = "/workspace"
const home = "/home/agent"

/** Size of /dev/shm, in bytes. */
const shm = 16 * 1024 * 1024

/** Uids in the range, as many as the image has passwd entries. */
const uids = 1000

/** Makes and starts a container. One that was made but did not start is removed again. */
export const start = Effect.gen(function* () {
  const docker = yield* Docker
  const limits = yield* Limits
  const identity = yield* NodeIdentity
  const offset = Math.floor(Math.random() * uids)
  for (let attempt = 0; attempt < uids; attempt++) {
    const uid = limits.firstUid + ((offset + attempt) % uids)
    const made = yield* docker
      .use("create", (docker) => docker.createContainer(specification(uid, limits, identity)))
      .pipe(
        Effect.catchIf(
          (error) => statusOf(error) === 409,
          () => Effect.void,
        ),
      )
    if (made === undefined) continue
    yield* docker
      .use("start", () => made.start())
      .pipe(Effect.onError(() => Effect.ignore(remove(ContainerId.make(made.id)))))
    return ContainerId.make(made.id)
  }
  return yield* new SandboxError({
    operation: "create",
    cause: `all ${uids} user ids for sandboxes are taken`,
  })
})

/** Removes a container with its anonymous volumes; one that is gone already is no error. */
export const remove = (id: ContainerId) =>
  Effect.flatMap(Docker, (docker) =>
    docker
      .use("remove", (docker) => docker.getContainer(id).remove({ force: true, v: true }))
      .pipe(
        Effect.catchIf(
          (error) => [404, 409].includes(statusOf(error) ?? 0),
          () => Effect.void,
        ),
      ),
  )

/** The containers of this cluster on this engine, in any state. */
export const list = Effect.gen(function* () {
  const docker = yield* Docker
  const { cluster } = yield* NodeIdentity
  const found = yield* docker.use("list", (docker) =>
    docker.listContainers({ all: true, filters: { label: [`${labels.cluster}=${cluster}`] } }),
  )
  return found.map((container) => ({
    id: ContainerId.make(container.Id),
    incarnation: container.Labels[labels.incarnation] ?? "",
    /** By the engine's clock, in milliseconds since 1970. */
    createdAt: container.Created * 1000,
  }))
})

const specification = (
  uid: number,
  limits: Context.Tag.Service<typeof Limits>,
  identity: Context.Tag.Service<typeof NodeIdentity>,
): Dockerode.ContainerCreateOptions => {
  const memory = limits.memory + limits.workspace + limits.home + limits.tmp + shm
  const folder = (size: number) => `rw,exec,nosuid,nodev,size=${size},uid=${uid},gid=${uid},mode=0755`
  return {
    name: `codegen-mcp-${uid}`,
    Image: limits.image,
    Entrypoint: ["sleep", "infinity"],
    Cmd: [],
    User: `${uid}:${uid}`,
    WorkingDir: workspace,
    Env: [`HOME=${home}`, `USER=agent${uid}`],
    Hostname: "sandbox",
    Labels: {
      [labels.cluster]: identity.cluster,
      [labels.node]: identity.node,
      [labels.incarnation]: identity.incarnation,
    },
    Healthcheck: { Test: ["NONE"] },
    HostConfig: {
      Init: true,
      NetworkMode: "none",
      ReadonlyRootfs: true,
      CapDrop: ["ALL"],
      SecurityOpt: ["no-new-privileges", `seccomp=${JSON.stringify(seccomp)}`],
      LogConfig: { Type: "none", Config: {} },
      Memory: memory,
      MemorySwap: memory,
      NanoCpus: Math.round(limits.cpus * 1e9),
      PidsLimit: limits.pids,
      Ulimits: [
        { Name: "nofile", Soft: limits.openFiles, Hard: limits.openFiles },
        { Name: "core", Soft: 0, Hard: 0 },
      ],
      ShmSize: shm,
      IpcMode: "private",
      Tmpfs: {
        [workspace]: folder(limits.workspace),
        [home]: folder(limits.home),
        "/tmp": folder(limits.tmp).replace("mode=0755", "mode=1777"),
      },
      ...(limits.runtime === undefined ? {} : { Runtime: limits.runtime }),
    },
  }
}
