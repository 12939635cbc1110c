/** The memory that the kernel holds against a container, without the file cache, which it would give back at once. */
import type Dockerode from "dockerode"
import { Effect, Option } from "effect"
import { readFileSync } from "node:fs"
import { StartError } from "../../process/StartError.ts"
import { call, type EngineFailure } from "../../setup/EngineStream.ts"

/** How it is measured. */
export const method =
  "the control group's memory.usage_in_bytes or memory.current, less active_file and inactive_file of its memory.stat"

/** In bytes; read from the control group where the engine is on this machine, and asked of the engine otherwise. */
export const of = (docker: Dockerode, id: string): Effect.Effect<number, EngineFailure | StartError> =>
  Effect.gen(function* () {
    const container = docker.getContainer(id)
    const { State } = yield* call(() => container.inspect())
    const local = yield* Effect.option(Effect.try(() => ofGroup(State.Pid, id)))
    if (Option.isSome(local)) return local.value
    const { memory_stats } = yield* call(() => container.stats({ stream: false }))
    // The engine has none of a container that has ended.
    if (memory_stats.stats === undefined) {
      return yield* new StartError({
        problem: `The container ${id} has ended.`,
        remedy: "See the engine's log.",
      })
    }
    return memory_stats.usage - memory_stats.stats.active_file - memory_stats.stats.inactive_file
  })

/** Throws where the process is not this container's, as with an engine elsewhere. */
const ofGroup = (pid: number, id: string) => {
  const groups = readFileSync(`/proc/${pid}/cgroup`, "utf8")
  const first = /^\d+:memory:(.*)$/m.exec(groups)?.[1]
  const path = first ?? /^0::(.*)$/m.exec(groups)?.[1]
  if (path === undefined || !path.includes(id)) throw new RangeError(`no control group of ${id}`)
  const folder = first === undefined ? `/sys/fs/cgroup${path}` : `/sys/fs/cgroup/memory${path}`
  const stat = readFileSync(`${folder}/memory.stat`, "utf8")
  const cache = (name: string) => Number(new RegExp(`^${name} (\\d+)$`, "m").exec(stat)?.[1])
  const usage = Number(
    readFileSync(`${folder}/${first === undefined ? "memory.current" : "memory.usage_in_bytes"}`, "utf8"),
  )
  return usage - cache("active_file") - cache("inactive_file")
}
