/** A session whose files are saved nowhere. */
import { Duration, Effect } from "effect"
import { SessionId } from "../../src/domain/Identity.ts"
import * as SessionFiles from "../../src/session/SessionFiles.ts"
import * as MemoryRows from "./MemoryRows.ts"

const absent = () => Effect.dieMessage("nothing is saved in this test")

export const make = () =>
  SessionFiles.make({
    session: SessionId.make(`s_${"1".repeat(32)}`),
    claim: { current: MemoryRows.claim },
    rows: MemoryRows.make().rows,
    checkpoints: {
      save: absent,
      restore: absent,
      compact: absent,
      salvage: absent,
      newest: () => Effect.succeed({ number: 0, base: 0 }),
    },
    template: Effect.dieMessage("no template is asked for in this test"),
    mode: "off",
    patience: Duration.zero,
  })
