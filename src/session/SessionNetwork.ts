/** What one session may reach outside, on the node that owns it. Its row keeps what was chosen. */
import { type SqlClient } from "@effect/sql"
import { Effect } from "effect"
import { answering } from "../database/Database.ts"
import type { SessionId } from "../domain/Identity.ts"
import { exceeding, NetworkNotAllowed, type NetworkPolicy } from "../domain/Network.ts"
import { SessionMoved } from "../domain/SessionError.ts"
import type { Sandbox } from "../sandbox/Sandbox.ts"
import type { Template } from "../sandbox/Templates.ts"
import type { OwnerCall } from "../tools/Tool.ts"
import type { Claim } from "./SessionRows.ts"

/** The most that a session of a template may be given: what its template gives it, and what callers may ask for. */
const mostOf = ({ network }: Template, max: NetworkPolicy): NetworkPolicy => [
  ...new Set([...network, ...max]),
]

/** Fails where a policy allows more than a session of that template may be given. */
export const within = (policy: NetworkPolicy, template: Template, max: NetworkPolicy) => {
  const most = mostOf(template, max)
  const asked = exceeding(policy, most)
  return asked.length === 0 ? Effect.void : Effect.fail(new NetworkNotAllowed({ asked, most }))
}

/** What was chosen, as far as that may still be; what the template says where nothing was. */
const policyOf = (chosen: NetworkPolicy | null, template: Template, max: NetworkPolicy) => {
  if (chosen === null) return template.network
  const beyond = exceeding(chosen, mostOf(template, max))
  return chosen.filter((item) => !beyond.includes(item))
}

export interface SessionNetwork {
  /** As a call sees it. */
  readonly of: (template: Template) => OwnerCall["network"]
  /** Lets a sandbox reach what the session may by now. */
  readonly apply: (sandbox: Sandbox, template: Template) => ReturnType<Sandbox["network"]["allow"]>
}

export const make = (
  id: SessionId,
  claim: { current: Claim },
  current: () => Sandbox | undefined,
  max: NetworkPolicy,
  sql: SqlClient.SqlClient,
): SessionNetwork => {
  const policy = (template: Template) => policyOf(claim.current.network, template, max)
  const apply: SessionNetwork["apply"] = (sandbox, template) => sandbox.network.allow(policy(template))
  const write = (chosen: NetworkPolicy) =>
    answering(sql`
      UPDATE session SET network = ${[...chosen]}::text[]
      WHERE id = ${id} AND epoch = ${claim.current.epoch} AND closed_at IS NULL RETURNING 1`).pipe(
      Effect.filterOrFail(
        (rows) => rows.length > 0,
        () => new SessionMoved(),
      ),
    )
  return {
    apply,
    of: (template) => ({
      policy: () => policy(template),
      most: mostOf(template, max),
      status: () => current()?.network.status(),
      refusals: () => current()?.network.refusals(0, Infinity) ?? [],
      set: Effect.fn("SessionNetwork.set")(function* (chosen) {
        yield* within(chosen, template, max)
        yield* write(chosen)
        claim.current = { ...claim.current, network: chosen }
        const sandbox = current()
        // One that is gone is found to be so by the next call.
        if (sandbox !== undefined) yield* Effect.ignore(apply(sandbox, template))
      }),
    }),
  }
}
