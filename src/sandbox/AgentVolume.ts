/**
 * The volume that every sandbox has the agent from: the agent's program with a Node of its own, the same under any
 * image. It is filled once on an engine, out of the agent image, and named after that image, so that nodes of two
 * versions each find their own. A second, empty volume says that the first is full.
 */
import { Duration, Effect } from "effect"
import { SandboxError } from "../domain/SandboxError.ts"
import { settings } from "../Settings.ts"
import { Docker, statusOf } from "./Docker.ts"

/** Where sandboxes have the volume. */
export const folder = "/.codegen"

const label = "codegen-mcp.agent"

/** Gives the volume's name once it is full. */
export const acquire = Effect.gen(function* () {
  const name = yield* current
  for (let attempt = 0; attempt < 300; attempt++) {
    const found = yield* Effect.all([exists(name), exists(proofOf(name))], { concurrency: 2 })
    if (found.every(Boolean)) return name
    if (yield* fill(name)) return name
    // Another node is filling it.
    yield* Effect.sleep("100 millis")
  }
  return yield* new SandboxError({
    operation: "create",
    cause: `the volume ${name} was not filled within 30 s`,
  })
}).pipe(Effect.withSpan("AgentVolume.acquire"))

/** Removes the volumes of other versions that are older than `age` and that no sandbox uses. */
export const removeOthers = (age: Duration.Duration) =>
  Effect.gen(function* () {
    const docker = yield* Docker
    const name = yield* current
    const { Volumes } = yield* docker.use("list", (docker) =>
      docker.listVolumes({ filters: { label: [label] } }),
    )
    const before = Date.now() - Duration.toMillis(age)
    const others = Volumes.filter(
      (volume) =>
        !volume.Name.startsWith(name) &&
        "CreatedAt" in volume &&
        typeof volume.CreatedAt === "string" &&
        Date.parse(volume.CreatedAt) < before,
    )
    // One that is in use is refused by the engine.
    yield* Effect.forEach(others, ({ Name }) => Effect.ignore(removeVolume(Name)), { discard: true })
  })

const current = Effect.gen(function* () {
  const docker = yield* Docker
  const image = yield* Effect.orDie(settings.agentImage.config)
  const { Id } = yield* docker.use("inspect", (docker) => docker.getImage(image).inspect())
  return `codegen-mcp-agent-${Id.replace("sha256:", "").slice(0, 12)}`
})

const proofOf = (name: string) => `${name}-full`

/**
 * Fills the volume, unless another node does. The engine fills it while it makes a container of the agent image,
 * which never runs; names of containers being unique, that container is the lock.
 */
const fill = Effect.fnUntraced(function* (name: string) {
  const docker = yield* Docker
  const image = yield* Effect.orDie(settings.agentImage.config)
  // One without a proof was not filled to the end, if nobody uses it.
  yield* Effect.ignore(removeVolume(name))
  yield* docker.use("create", (docker) => docker.createVolume({ Name: name, Labels: { [label]: name } }))
  const made = yield* docker
    .use("create", (docker) =>
      docker.createContainer({
        name,
        Image: image,
        Cmd: ["none"],
        NetworkDisabled: true,
        HostConfig: { Mounts: [{ Type: "volume", Source: name, Target: "/agent" }] },
      }),
    )
    .pipe(
      Effect.as(true),
      Effect.catchIf(
        (error) => statusOf(error) === 409,
        () => Effect.succeed(false),
      ),
    )
  // The engine shows the container only once the volume is full; whoever made it may have died since.
  const container = docker.use("inspect", (docker) => docker.getContainer(name).inspect())
  if (!made && !(yield* Effect.isSuccess(container))) return false
  yield* docker.use("create", (docker) =>
    docker.createVolume({ Name: proofOf(name), Labels: { [label]: name } }),
  )
  yield* Effect.ignore(docker.use("remove", (docker) => docker.getContainer(name).remove()))
  return true
}, Effect.uninterruptible)

const exists = (name: string) =>
  Effect.flatMap(Docker, (docker) =>
    docker
      .use("inspect", (docker) => docker.getVolume(name).inspect())
      .pipe(
        Effect.as(true),
        Effect.catchIf(
          (error) => statusOf(error) === 404,
          () => Effect.succeed(false),
        ),
      ),
  )

const removeVolume = (name: string) =>
  Effect.flatMap(Docker, (docker) => docker.use("remove", (docker) => docker.getVolume(name).remove()))
