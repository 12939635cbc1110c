/** What a person sees of a long step: lines on stderr, so that stdout holds results alone. */
import { Effect } from "effect"

/** Says that a step begins, or that something happened that the person should know. */
export const step = (text: string): Effect.Effect<void> => Effect.sync(() => say(text))

/** The same, for callbacks. */
export const say = (text: string): void => {
  process.stderr.write(`· ${text}\n`)
}
