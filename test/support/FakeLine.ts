/** What a channel and a command need of a link, in tests that have no agent. */
import type { Line } from "../../src/agent/Channel.ts"
import type { CommandNews } from "../../src/sandbox/AgentLink.ts"

/** Takes all that is written, and tells nobody. */
export const line: Line = { send: () => {}, close: () => {}, maySend: () => true, closed: () => {} }

/** The end of the first command. */
export const ended = {
  type: "ended",
  command: 1,
  code: 0,
  signal: null,
  cpuMs: 1,
  peakMemory: null,
  limits: [],
  spilled: { stdout: null, stderr: null },
  still: null,
} as const satisfies CommandNews
