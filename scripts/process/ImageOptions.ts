/** The options of a script that makes an image, or runs what is shown with it. */
import { Effect } from "effect"
import { parseArgs } from "node:util"
import { StartError } from "./StartError.ts"

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
        problem: `${String((cause as Error).message).split(". ")[0]}.`,
        remedy: `\`${command}\` lists the options.`,
      }),
  })
