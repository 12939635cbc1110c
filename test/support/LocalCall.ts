/** Calls of tools on files of this machine, by an agent's own code, without a container. */
import { Effect } from "effect"
import type { Content } from "../../src/domain/Content.ts"
import { failureOf, type Explained } from "../../src/domain/Failure.ts"
import type { OwnerCall } from "../../src/tools/Tool.ts"
import * as FakeSandbox from "./FakeSandbox.ts"
import { LocalFiles } from "./LocalFiles.ts"

/** What a call knows of a session whose files these are; what it shows beside its answer goes to `shown`. */
export const localCall = (shown: Array<Content> = []): Effect.Effect<OwnerCall, never, LocalFiles> =>
  Effect.map(LocalFiles, ({ files }) => ({
    ...FakeSandbox.call(Effect.succeed(FakeSandbox.make({ files }))),
    limits: { ...FakeSandbox.limits, file: 8 * 1024 * 1024 },
    show: (content) => void shown.push(content),
  }))

/** Runs a tool so; gives its answer. */
export const answer = <I, A>(
  tool: { readonly handler: (input: I, call: OwnerCall) => Effect.Effect<A, Explained> },
  input: I,
) => Effect.flatMap(localCall(), (call) => tool.handler(input, call))

/** Runs a tool that is to refuse; gives what a model is told. */
export const refusal = <I, A>(
  tool: { readonly handler: (input: I, call: OwnerCall) => Effect.Effect<A, Explained> },
  input: I,
) => Effect.map(Effect.flip(answer(tool, input)), failureOf)
