/** Prompts that help an agent to work well in a sandbox, for a user to choose. */
import { ErrorCode, type GetPromptResult, McpError, type Prompt } from "@modelcontextprotocol/sdk/types.js"
import { plainNames, type ToolNames } from "../tools/ToolNames.ts"

interface Template {
  readonly prompt: Prompt
  readonly text: (given: Readonly<Record<string, string>>) => string
}

const prompts: ReadonlyArray<Template> = [
  {
    prompt: {
      name: "start_project",
      title: "Start a project",
      description: "Set up a small project with a test that passes, then build it step by step.",
      arguments: [
        { name: "goal", description: "What the project is to do.", required: true },
        { name: "language", description: "Python or JavaScript, for instance; the agent chooses otherwise." },
      ],
    },
    text: ({ goal, language }) => `Build this in the sandbox's /workspace: ${goal}

Language: ${language ?? "choose the one that fits best"}.

1. Look at what is there (session_info, list_files). Python 3 with pytest, Node with npm, git and build tools are installed; the network is what set_network_policy allows, none at first.
2. Write the smallest version with write_file, and one test that fails without it.
3. Run it with run_tests. Read the failure; correct with edit_file and repeat until it passes.
4. Add one behaviour at a time, its test first. Keep files small; commit with git_commit after each step that is green.
5. End with a summary: what it does, how to run it, how to run its tests, what is missing.

A command that takes longer than 20 s answers \`status: running\`: go on with get_result, or read_output, and its operation_id.`,
  },
  {
    prompt: {
      name: "fix_failing_test",
      title: "Correct a failing test",
      description: "Find why a test fails, and correct the cause rather than the test.",
      arguments: [
        {
          name: "command",
          description: "What runs the tests, `python3 -m pytest -x -q` for instance.",
          required: true,
        },
        { name: "hint", description: "What is known already." },
      ],
    },
    text: ({ command, hint }) => `A test fails. Correct its cause.

Command: ${command}${hint === undefined ? "" : `\nKnown: ${hint}`}

1. Run it (run_tests; exec for another command), and quote the first failure: test, file, line, expected and actual.
2. Read the code under test and the test (read_file). Say in one sentence what is wrong, and how you know.
3. Make the smallest change that corrects the cause. Change the test only where it asks for the wrong thing, and say so.
4. Run the one test (run_failed_tests), then all of them. Where another one breaks, the first change was not right: think again.
5. End with the cause, the change, and the command that shows that all tests pass.`,
  },
  {
    prompt: {
      name: "review_change",
      title: "Review a change",
      description: "Read a change in the workspace's git repository and report what matters.",
      arguments: [{ name: "base", description: "What to compare with; HEAD otherwise." }],
    },
    text: ({ base }) => `Review the change in /workspace against ${base ?? "HEAD"}.

1. Look with git_status, and with git_diff from ${base ?? "HEAD"}; read the files around what changed.
2. Run run_checks: the project's tests and linters, if there are any.
3. Look for: what breaks callers, unhandled failures, races, input that is not checked, tests that cannot fail, dead code, names that mislead.
4. Try each suspicion out in the sandbox before you report it: a short script or a test that shows it.
5. Report by weight. For each: file and line, what goes wrong with which input, and the smallest correction. Say what you tried that was fine.`,
  },
]

export const listing: ReadonlyArray<Prompt> = prompts.map(({ prompt }) => prompt)

/** A prompt with its arguments filled in. Throws the protocol's error for an unknown one, or a missing argument. */
export const get = (
  name: string,
  given: Readonly<Record<string, string>> = {},
  { inText }: ToolNames = plainNames,
): GetPromptResult => {
  const found = prompts.find(({ prompt }) => prompt.name === name)
  if (found === undefined) {
    const names = listing.map(({ name }) => name).join(", ")
    throw new McpError(
      ErrorCode.InvalidParams,
      `There is no prompt ${JSON.stringify(name.slice(0, 80))}; there are ${names}.`,
    )
  }
  const { prompt, text } = found
  const missing = prompt.arguments?.find(
    ({ name, required }) => required === true && given[name] === undefined,
  )
  if (missing !== undefined) {
    throw new McpError(ErrorCode.InvalidParams, `The prompt ${name} needs the argument ${missing.name}.`)
  }
  return {
    description: prompt.description,
    messages: [{ role: "user", content: { type: "text", text: filled(text, given, inText) } }],
  }
}

/** The names of tools in what the user gives stay as they are. */
const filled = (
  text: Template["text"],
  given: Readonly<Record<string, string>>,
  inText: ToolNames["inText"],
) => {
  const marks = Object.fromEntries(Object.keys(given).map((key, index) => [key, `\0${index}\0`]))
  const values = Object.values(given)
  return inText(text(marks))
    .split("\0")
    .map((part, index) => (index % 2 === 0 ? part : values[Number(part)]))
    .join("")
}
