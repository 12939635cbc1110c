/**
 * The volume that every sandbox has the agent from: the agent's program with a Node of its own, the same under any
 * image. It is filled once on an engine, out of the agent image; a second volume, which is empty and named after that
 * image, says by its label which one is full. Nodes of two versions thereby each find their own.
 */
import { Duration, Effect } from "effect"
import { randomUUID } from "node:crypto"
import { SandboxError } from "../domain/SandboxError.ts"
import { settings } from "../Settings.ts"
import { Docker, statusOf } from "./Docker.ts"

/** Where sandboxes have the volume. */
export const folder = "/.codegen"

const label = "codegen-mcp.agent"

/** Gives the volume's name once it is full. Nodes that fill one at once take the first that says so. */
export const acquire = Effect.gen(function* () {
  const docker = yield* Docker
  const proof = `codegen-mcp-agent-${docker.agent}`
  for (let attempt = 0; attempt < 10; attempt++) {
    const known = (yield* inspect(proof))?.Labels?.[label]
    if (known !== undefined && (yield* inspect(known)) !== undefined) return known
    if (known !== undefined) yield* Effect.ignore(removeVolume(proof))
    const filled = yield* fill(proof)
    // Of one that is there already, this changes nothing.
    yield* docker.use("create", (docker) => docker.createVolume({ Name: proof, Labels: { [label]: filled } }))
    if ((yield* inspect(proof))?.Labels?.[label] === filled) return filled
    yield* Effect.ignore(removeVolume(filled))
  }
  return yield* new SandboxError({ operation: "create", cause: `the volume ${proof} comes and goes` })
}).pipe(Effect.withSpan("AgentVolume.acquire"))

/** Removes the volumes of other versions, and those half filled, that are older than `age` and that nobody uses. */
export const removeOthers = (age: Duration.Duration) =>
  Effect.gen(function* () {
    const docker = yield* Docker
    const own = yield* acquire
    yield* removeUnfinished(age)
    const { Volumes } = yield* docker.use("list", (docker) =>
      docker.listVolumes({ filters: { label: [label] } }),
    )
    const before = Date.now() - Duration.toMillis(age)
    const isOld = (volume: object) =>
      "CreatedAt" in volume && typeof volume.CreatedAt === "string" && Date.parse(volume.CreatedAt) < before
    const full = Volumes.filter(
      (volume) => volume.Labels?.[label] === "" && volume.Name !== own && isOld(volume),
    )
    // One that is in use is refused by the engine; what says that it is full goes only after it.
    yield* Effect.forEach(
      full,
      ({ Name }) =>
        Effect.zipRight(
          removeVolume(Name),
          Effect.forEach(
            Volumes.filter(({ Labels }) => Labels?.[label] === Name),
            (proof) => removeVolume(proof.Name),
          ),
        ).pipe(Effect.ignore),
      { discard: true },
    )
  })

/** Removes what nodes that died as they filled a volume did it with, which keeps that volume in use. */
export const removeUnfinished = (age: Duration.Duration) =>
  Effect.gen(function* () {
    const docker = yield* Docker
    const found = yield* docker.use("list", (docker) =>
      docker.listContainers({ all: true, filters: { label: [label] } }),
    )
    const before = Date.now() - Duration.toMillis(age)
    yield* Effect.forEach(
      found.filter(({ Created }) => Created * 1000 < before),
      ({ Id }) =>
        Effect.ignore(docker.use("remove", (docker) => docker.getContainer(Id).remove({ force: true }))),
      { discard: true },
    )
  })

/** Fills a new volume: the engine does, while it makes a container of the agent image, which never runs. */
const fill = Effect.fnUntraced(function* (proof: string) {
  const docker = yield* Docker
  const image = yield* Effect.orDie(settings.agentImage.config)
  const name = `${proof}-${randomUUID().slice(0, 8)}`
  yield* docker.use("create", (docker) => docker.createVolume({ Name: name, Labels: { [label]: "" } }))
  yield* docker
    .use("create", (docker) =>
      docker.createContainer({
        name,
        Image: image,
        Cmd: ["none"],
        Labels: { [label]: "" },
        NetworkDisabled: true,
        HostConfig: { Mounts: [{ Type: "volume", Source: name, Target: "/agent" }] },
      }),
    )
    .pipe(
      Effect.zipRight(docker.use("remove", (docker) => docker.getContainer(name).remove({ force: true }))),
      Effect.onError(() => Effect.ignore(removeVolume(name))),
    )
  return name
}, Effect.uninterruptible)

const inspect = (name: string) =>
  Effect.flatMap(Docker, (docker) =>
    docker
      .use("inspect", (docker) => docker.getVolume(name).inspect())
      .pipe(
        Effect.catchIf(
          (error) => statusOf(error) === 404,
          () => Effect.void,
        ),
      ),
  )

const removeVolume = (name: string) =>
  Effect.flatMap(Docker, (docker) => docker.use("remove", (docker) => docker.getVolume(name).remove()))
