/** Clones a git repository from a host that the session may reach. */
import { Effect, Either, Schema } from "effect"
import { posix } from "node:path"
import { hostName, matcher } from "../../domain/Network.ts"
import { commandAnswer, standing, summary } from "../commands/CommandAnswer.ts"
import { cancelCommand, commandsOf, soFar, TimeoutMs, timeoutOf } from "../commands/ToolCommand.ts"
import { InvalidArguments } from "../InvalidArguments.ts"
import { absolute, defaultWaitMs, optional, ownerTool, WaitMs, WorkspacePath } from "../Tool.ts"
import { NetworkNeeded } from "./NetworkNeeded.ts"

export const gitClone = ownerTool({
  name: "git_clone",
  title: "Clone a git repository",
  description:
    "Clone a public git repository by https into a folder of the workspace. Its host has to be in the session's network " +
    "policy (set_network_policy).",
  input: Schema.Struct({
    url: Schema.String.pipe(Schema.maxLength(1000)).annotations({
      description: "https, without user or password.",
    }),
    path: optional(
      WorkspacePath.annotations({ description: "A new folder; named after the repository otherwise." }),
    ),
    branch: optional(
      Schema.String.pipe(Schema.pattern(/^[A-Za-z0-9][A-Za-z0-9._/+-]{0,199}$/)).annotations({
        description: "Branch or tag; the repository's own otherwise.",
      }),
    ),
    depth: optional(
      Schema.Number.pipe(Schema.int(), Schema.between(0, 1_000_000)).annotations({
        description: "Commits of history; 1 otherwise, 0 for all.",
      }),
    ),
    wait_ms: optional(
      WaitMs.annotations({ description: `Time to wait for the end; ${defaultWaitMs} otherwise.` }),
    ),
    timeout_ms: TimeoutMs,
  }),
  output: Schema.Struct({ ...commandAnswer, truncated: Schema.Boolean, path: Schema.String }),
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: true },
  changes: true,
  stateOf: ({ status }) => (status === "timed_out" || status === "cancelled" ? status : "succeeded"),
  handler: Effect.fnUntraced(function* (input, call) {
    const { url, host, port, path } = yield* sourceOf(input.url, input.path)
    const { most, policy } = call.network
    if (!matcher(policy())(host, port)) {
      const needed = port === 443 ? host : `${host}:${port}`
      return yield* new NetworkNeeded({ needed, policy: policy(), most })
    }
    const timeoutMs = yield* timeoutOf(input.timeout_ms ?? call.limits.maxCommandTimeoutMs, call.limits)
    const { branch, depth = 1 } = input
    const { command, end, page } = yield* commandsOf(call).run(
      {
        argv: [
          "git",
          "-c",
          "protocol.allow=never",
          "-c",
          "protocol.https.allow=always",
          "clone",
          "--progress",
          ...(depth === 0 ? [] : ["--depth", String(depth)]),
          ...(branch === undefined ? [] : ["--branch", branch]),
          "--",
          url,
          path,
        ],
        cwd: "/workspace",
        env: { GIT_TERMINAL_PROMPT: "0" },
        stdin: "none",
        tty: false,
        timeoutMs,
      },
      `git clone ${url} ${path}`.slice(0, 200),
    )
    return { ...standing(command, end, call), ...summary(page), path }
  }),
  cancel: cancelCommand,
  partial: {
    waitMs: ({ wait_ms = defaultWaitMs }) => wait_ms,
    answer: (input, call) =>
      Effect.zipWith(soFar(call), sourceOf(input.url, input.path), (answer, { path }) => ({
        ...answer,
        path,
      })),
  },
})

/** What to clone, and where to. */
export const sourceOf = (text: string, into: string | undefined) => {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const host = hostName(url?.hostname ?? "")
  if (
    url?.protocol !== "https:" ||
    host === undefined ||
    url.username + url.password + url.search + url.hash !== ""
  ) {
    return Either.left(
      new InvalidArguments({
        problem:
          "`url` has to be https://HOST/PATH, with a host's name, and without user, password, query or fragment.",
      }),
    )
  }
  const name = posix.basename(url.pathname).replace(/\.git$/, "")
  const path = posix.normalize(absolute(into ?? name))
  if (
    !path.startsWith("/workspace/") ||
    (into === undefined && !/^[A-Za-z0-9_][A-Za-z0-9._-]*$/.test(name))
  ) {
    return Either.left(new InvalidArguments({ problem: "`path` has to be a folder inside /workspace." }))
  }
  return Either.right({ url: url.href, host, port: Number(url.port || 443), path })
}
