/** Time by a clock that is never set, for what is measured and not shown. */
import { Clock, Effect } from "effect"

/** In milliseconds. */
export const milliseconds = Effect.map(Clock.currentTimeNanos, (nanos) => Number(nanos / 1_000_000n))
