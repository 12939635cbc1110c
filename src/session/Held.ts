/** What a node holds for one session. */
import { Principal } from "../domain/Identity.ts"
import { defaultTemplate } from "../sandbox/Templates.ts"
import type { Operations } from "./Operations.ts"
import type { SessionFiles } from "./SessionFiles.ts"
import type { Claim } from "./SessionRows.ts"
import type { SessionSandbox } from "./SessionSandbox.ts"

/** Of a session that the node has not claimed yet. */
export const unclaimed: Claim = {
  epoch: 0,
  principal: Principal.make("nobody"),
  name: null,
  template: defaultTemplate,
  head: null,
  lost: false,
  continued: false,
  network: null,
}

export interface Held {
  readonly claim: { current: Claim }
  readonly sandbox: SessionSandbox
  readonly files: SessionFiles
  readonly operations: Operations
  /** The term of the node's locks in which it was claimed last. */
  term: number | undefined
  /** By the monotonic clock, in milliseconds. */
  usedAt: number
  /** An entity is active for it on this node. */
  active: boolean
}
