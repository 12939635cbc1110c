/** Waiting for what another process does, by looking again until it is so. */
import { type Duration, Effect } from "effect"

/** Looks every 25 ms until the answer holds, and gives it; dies after a time without. Needs the live clock. */
export const until = <A, E, R>(
  look: Effect.Effect<A, E, R>,
  holds: (answer: A) => boolean,
  within: Duration.DurationInput = "15 seconds",
) => {
  const again: Effect.Effect<A, E, R> = Effect.flatMap(look, (answer) =>
    holds(answer) ? Effect.succeed(answer) : Effect.delay(again, "25 millis"),
  )
  return Effect.timeoutOption(again, within).pipe(
    Effect.flatMap((found) =>
      found._tag === "Some" ? Effect.succeed(found.value) : Effect.dieMessage("it never came to hold"),
    ),
  )
}
