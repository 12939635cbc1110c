/** Reports of runs of checks, whole and uncut, as artifacts: the last ones of a session. */
import { Effect, Stream } from "effect"
import type { OwnerCall } from "../Tool.ts"
import type { Checks } from "./ChecksReport.ts"

/** Its artifact's id; undefined where it could not be kept, of which its session learns by the answer. */
export const saved = Effect.fnUntraced(
  function* (checks: Checks, { objects, principal, session }: OwnerCall) {
    const { id } = yield* objects.save(
      {
        principal,
        session: session.id,
        epoch: session.epoch,
        kind: "artifact",
        name,
        mime,
      },
      Stream.make(Buffer.from(JSON.stringify(checks))),
    )
    const reports = (yield* objects.list(principal, looks)).filter(
      (other) => other.mime === mime && other.session === session.id,
    )
    yield* Effect.forEach(reports.slice(most), (old) => objects.remove(principal, old.id), { discard: true })
    return id
  },
  Effect.catchAll((error) =>
    Effect.as(Effect.logWarning("a report of checks was not kept", error.message), undefined),
  ),
)

const name = "checks.json"

/** By which they are told from what a caller saves. */
const mime = "application/vnd.codegen-mcp.checks+json"

/** Reports of one session, so that they leave room for what its caller saves. */
const most = 10

/** Artifacts that are looked through for older ones. */
const looks = 1000
