/** The options of a script that makes an image, or runs what is shown with it. */
import { Effect } from "effect"
import { parseArgs } from "node:util"
import { misuse, StartError } from "./StartError.ts"

/** `command` is how a user asks it for help. */
export const imageOptions = (command: string) =>
  Effect.try({
    try: () =>
      parseArgs({
        options: {
          image: { type: "boolean" },
          "no-install": { type: "boolean" },
          help: { type: "boolean", short: "h" },
        },
        strict: true,
      }).values,
    catch: (cause) =>
      new StartError({
        problem: `${misuse(cause)}.`,
        remedy: `\`${command}\` lists the options.`,
      }),
  })
