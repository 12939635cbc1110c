import { Effect } from "effect"
import type { AgentLink } from "../../src/sandbox/AgentLink.ts"

/** Waits until the sandbox is lost. */
export const lost = ({ whenLost }: AgentLink) =>
  Effect.async<void>((resume) => whenLost(() => resume(Effect.void)))
