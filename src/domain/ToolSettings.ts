/** The settings of what tools clients see, and how they answer; a part of `Settings.ts`. */
import { Config } from "effect"
import { list, optional, setting } from "./Setting.ts"

export const toolSettings = {
  toolsets: list(
    "TOOLSETS",
    "sets of tools to offer: commands, files, git, code, tests, checks, network, artifacts, sessions; all otherwise. `sessions`, and what goes on with a call that still runs, are always offered",
  ),
  toolPrefix: optional("TOOL_PREFIX", "what every tool's name begins with, such as `cg_`"),
  testsFailedIsError: setting(
    "TESTS_FAILED_IS_ERROR",
    (name) => Config.boolean(name),
    { value: false, text: "false" },
    "whether an answer with `passed: false` is an error of its tool (`isError`), for clients that judge by that",
  ),
}
