/** What of the promises of a sandbox its container runtime rules out. */
import type { Vitest } from "@effect/vitest"
import type Dockerode from "dockerode"

/** Whether the tests were given gVisor to run sandboxes with. */
export const isGvisor = process.env["SANDBOX_RUNTIME"] === "runsc"

/** Registers a test that gVisor rules out: skipped there, under a title that says why. */
export const unlessGvisor =
  <R>(test: Vitest.Tester<R>, reason: string): Vitest.Test<R> =>
  (title, self, timeout) =>
    isGvisor ? test.skip(`${title} [not under gVisor: ${reason}]`, self, timeout) : test(title, self, timeout)

/** How many processes a container may have. */
export const processLimit = ({ PidsLimit, Ulimits }: Dockerode.HostConfig): number | undefined =>
  isGvisor
    ? (Ulimits as ReadonlyArray<Dockerode.Ulimit> | undefined)?.find(({ Name }) => Name === "nproc")?.Hard
    : (PidsLimit ?? undefined)

/** Settings with which a sandbox may reach its limit on processes: under gVisor each takes 3.5 MB of its memory. */
export const roomForProcesses = {
  SANDBOX_PIDS: "100",
  ...(isGvisor ? { SANDBOX_MEMORY: String(1024 * 1024 * 1024) } : {}),
}
