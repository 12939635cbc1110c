/**
 * The containers of sandboxes on this node's engine. A container's name holds its uid, and the engine, where names
 * are unique, thereby keeps two sandboxes of one machine from sharing a uid and the kernel's limits that go by uid.
 */
import { Effect } from "effect"
import { ContainerId } from "../domain/Identity.ts"
import { NodeIdentity } from "../domain/NodeIdentity.ts"
import { SandboxError } from "../domain/SandboxError.ts"
import * as AgentVolume from "./AgentVolume.ts"
import * as Disk from "./Disk.ts"
import { Docker, statusOf } from "./Docker.ts"
import { Limits } from "./Limits.ts"
import { labels, type Parts, specification } from "./Specification.ts"
import type { Template } from "./Templates.ts"

interface MadeContainer {
  readonly id: ContainerId
  /** What its programs find in their environment. */
  readonly env: Readonly<Record<string, string>>
}

/** Uids in the range, as many as the image has passwd entries. */
const uids = 1000

/**
 * Makes a container, which does not run yet. The scope is to end when it runs, or never will: it holds what is only
 * needed until then.
 */
export const make = Effect.fnUntraced(function* (template: Template) {
  const docker = yield* Docker
  const limits = yield* Limits
  const identity = yield* NodeIdentity
  const agentVolume = yield* AgentVolume.acquire
  const { Config } = yield* docker.use("inspect", (docker) => docker.getImage(template.image).inspect())
  const image = { env: Config.Env ?? [], volumes: Object.keys(Config.Volumes ?? {}) }
  const offset = Math.floor(Math.random() * uids)
  for (let attempt = 0; attempt < uids; attempt++) {
    const uid = limits.firstUid + ((offset + attempt) % uids)
    const disks =
      template.medium === "memory"
        ? undefined
        : yield* Effect.all({
            workspace: Disk.make(template.workspace, uid),
            home: Disk.make(template.home, uid),
          })
    const { container, env } = specification({
      uid,
      agentVolume,
      disks,
      image,
      template,
      isGvisor: docker.isGvisor(template.runtime),
      identity,
    } satisfies Parts)
    const made = yield* docker
      .use("create", (docker) => docker.createContainer(container))
      .pipe(
        Effect.catchIf(
          (error) => statusOf(error) === 409,
          () => Effect.void,
        ),
      )
    if (made !== undefined) return { id: ContainerId.make(made.id), env } satisfies MadeContainer
  }
  return yield* new SandboxError({
    operation: "create",
    cause: `all ${uids} user ids for sandboxes are taken`,
  })
})

export const start = (id: ContainerId) =>
  Effect.flatMap(Docker, (docker) => docker.use("start", (docker) => docker.getContainer(id).start()))

/** Removes a container with its anonymous volumes; one that is gone already is no error. */
export const remove = (id: ContainerId) =>
  Effect.flatMap(Docker, ({ use }) => {
    const attempt = use("remove", (docker) => docker.getContainer(id).remove({ force: true, v: true })).pipe(
      Effect.catchIf(
        (error) => [404, 409].includes(statusOf(error) ?? 0),
        () => Effect.void,
      ),
    )
    // gVisor does not always end what is paused.
    const resume = use("unpause", (docker) => docker.getContainer(id).unpause())
    return Effect.catchAll(attempt, () => Effect.zipRight(Effect.ignore(resume), attempt))
  })

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
