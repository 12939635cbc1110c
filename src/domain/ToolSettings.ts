/** The settings of what tools clients see; a part of `Settings.ts`. */
import { Config } from "effect"
import { separated, setting } from "./Setting.ts"

export const toolSettings = {
  toolsets: setting(
    "TOOLSETS",
    (name) => Config.nested(separated, name),
    { value: [], text: "all" },
    "sets of tools to offer, separated by commas: commands, files, code, tests, checks, sessions; `sessions`, and what goes on with a call that still runs, always are",
  ),
  toolPrefix: setting(
    "TOOL_PREFIX",
    (name) =>
      Config.string(name).pipe(
        Config.validate({
          message: "must be up to 16 of a-z, 0-9 and _, and begin with a letter",
          validation: (prefix) => prefix === "" || /^[a-z][a-z0-9_]{0,15}$/.test(prefix),
        }),
      ),
    { value: "", text: "none" },
    "what the name of every tool begins with, for clients with other tools of these names; it should end in `_`",
  ),
}
