/** The entry point of every script: one clear sentence and code 1 on failure, and signals that end it cleanly. */
import { NodeRuntime } from "@effect/platform-node"
import { Cause, Effect, Exit, Option } from "effect"
import { StartError } from "./StartError.ts"

/**
 * Runs a script. Ctrl-C and SIGTERM interrupt it; its resources are then released in reverse order, and it ends
 * with the code `interrupted`, or with 0 where ending so is what it is for.
 */
export const run = (
  script: Effect.Effect<void, StartError>,
  options?: { readonly interrupted: number },
): void => {
  // A reader of our output that goes away (`| head`) is no reason to leave anything running.
  for (const output of [process.stdout, process.stderr]) output.on("error", () => undefined)
  // After the first signal all is being released; a second one must not end the script before that is done.
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => undefined)
  script.pipe(
    Effect.tapErrorCause((cause) => Effect.sync(() => report(cause))),
    NodeRuntime.runMain({
      disableErrorReporting: true,
      teardown: (exit, onExit) => {
        if (Exit.isSuccess(exit)) return onExit(0)
        onExit(Cause.isInterruptedOnly(exit.cause) ? (options?.interrupted ?? 0) : 1)
      },
    }),
  )
}

const report = (cause: Cause.Cause<StartError>) => {
  if (Cause.isInterruptedOnly(cause)) return
  const failure = Cause.failureOption(cause)
  const text = Option.isSome(failure)
    ? failure.value.message
    : `A defect in this script: ${Cause.pretty(cause)}`
  process.stderr.write(`${text}\n`)
}
