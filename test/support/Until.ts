/** Waiting for what another process does, by looking again until it is so. */
import { Effect } from "effect"

/** Looks every 25 ms until the answer holds, and gives it; dies after 15 s without. Needs the live clock. */
export const until = <A, E, R>(look: Effect.Effect<A, E, R>, holds: (answer: A) => boolean) => {
  const again: Effect.Effect<A, E, R> = Effect.flatMap(look, (answer) =>
    holds(answer) ? Effect.succeed(answer) : Effect.delay(again, "25 millis"),
  )
  return Effect.timeoutOption(again, "15 seconds").pipe(
    Effect.flatMap((found) =>
      found._tag === "Some" ? Effect.succeed(found.value) : Effect.dieMessage("it never came to hold"),
    ),
  )
}
