/** What a tool is told of its session, where a bench calls its handler with a sandbox and nothing else. */
import { Effect, Stream } from "effect"
import { NodeId, OperationId, Principal, randomId, SessionId } from "../../../src/domain/Identity.ts"
import { Limits } from "../../../src/sandbox/Limits.ts"
import type { Sandbox } from "../../../src/sandbox/Sandbox.ts"
import { Templates } from "../../../src/sandbox/Templates.ts"
import { SessionCommands } from "../../../src/tools/commands/SessionCommands.ts"
import type { OwnerCall } from "../../../src/tools/Tool.ts"
import type { Objects } from "../../../src/workspace/Objects.ts"

/** Gives a call each time, under an operation of its own. */
export const callsOf = (sandbox: Sandbox) =>
  Effect.gen(function* () {
    const limits = yield* Limits
    const { standard: template } = yield* Templates
    const node = NodeId.make("bench")
    const principal = Principal.make("bench")
    const session = { id: SessionId.make(yield* randomId("s_")), name: null, epoch: 1 }
    const commands = new SessionCommands()
    return Effect.map(randomId("o_"), (id): OwnerCall => ({
      operation: OperationId.make(id),
      session,
      principal,
      base: "",
      objects: none,
      network: noNetwork,
      ownerNode: node,
      edgeNode: node,
      limits,
      template,
      durability: "none",
      checkpoint: () => ({ state: "off" }),
      commands,
      progress: undefined,
      log: () => undefined,
      show: () => undefined,
      ask: () => Effect.dieMessage("nobody is there to be asked"),
      goesOn: () => false,
      outcomeOf: () => Effect.succeed(undefined),
      endOf: () => Effect.succeed(undefined),
      sandbox: Effect.succeed(sandbox),
    }))
  })

const absent = () => Effect.dieMessage("a bench keeps no files")

const none: Objects["Type"] = {
  save: absent,
  artifact: absent,
  list: absent,
  remove: absent,
  upload: absent,
  contents: () => Stream.die("a bench keeps no files"),
  allowed: absent,
  receiver: absent,
  url: absent,
  uploadUrl: absent,
  limit: 0,
}

const noNetwork: OwnerCall["network"] = {
  policy: () => [],
  most: [],
  status: () => undefined,
  refusals: () => [],
  set: () => Effect.dieMessage("a bench reaches nothing outside"),
}
