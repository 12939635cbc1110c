/** Volumes of disks that no container uses. Others may use the same engine meanwhile; what is theirs comes and goes. */
import { Effect } from "effect"
import type { Docker } from "../../src/sandbox/Docker.ts"
import { labels } from "../../src/sandbox/Specification.ts"

/** Gives the look for those that were not there before. */
export const sinceNow = ({ use }: Docker["Type"]) =>
  Effect.gen(function* () {
    const all = Effect.map(
      use("list", (docker) => docker.listVolumes({ filters: { dangling: ["true"], label: [labels.disk] } })),
      ({ Volumes }) => Volumes.map(({ Name }) => Name),
    )
    const before = new Set(yield* all)
    return Effect.map(all, (names) => names.filter((name) => !before.has(name)))
  })
