/** Which limits of the sandbox its programs have met, by the counters that the kernel shows inside. */
import { openSync, readSync, statfsSync } from "node:fs"
import type { LimitMet } from "../../domain/Command.ts"

export interface Usage {
  readonly memory: number
  readonly pids: number
}

/** Counters of the control group, in their places under its versions 1 and 2. */
const counters = {
  memory: ["/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"],
  pids: ["/sys/fs/cgroup/pids.events", "/sys/fs/cgroup/pids/pids.events"],
}

const folders = { workspace: "/workspace", home: "/home/agent", tmp: "/tmp" } as const

/** Below this a folder counts as full, in bytes. */
const full = 64 * 1024

const open = (paths: ReadonlyArray<string>) => {
  for (const path of paths) {
    try {
      return openSync(path, "r")
    } catch {
      // The other version's.
    }
  }
  return undefined
}

const descriptors = { memory: open(counters.memory), pids: open(counters.pids) }

const buffer = Buffer.alloc(1024)

const read = (descriptor: number | undefined, name: RegExp) => {
  if (descriptor === undefined) return 0
  const text = buffer.toString("latin1", 0, readSync(descriptor, buffer, 0, buffer.length, 0))
  return Number(name.exec(text)?.[1] ?? 0)
}

export const usage = (): Usage => ({
  memory: read(descriptors.memory, /^oom_kill (\d+)$/m),
  pids: read(descriptors.pids, /^max (\d+)$/m),
})

/** The limits met since `before`; of folders, those that are full now. */
export const limitsMet = (before: Usage): ReadonlyArray<LimitMet> => {
  const now = usage()
  const met: Array<LimitMet> = []
  if (now.memory > before.memory) met.push("memory")
  if (now.pids > before.pids) met.push("pids")
  for (const [name, path] of Object.entries(folders) as Array<[keyof typeof folders, string]>) {
    const { bavail, bsize, ffree, files } = statfsSync(path)
    if (bavail * bsize < full || (files > 0 && ffree === 0)) met.push(name)
  }
  return met
}
