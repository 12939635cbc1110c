/**
 * What a tool is. One Effect Schema each for input and output gives the JSON Schema that clients see,
 * the decoder and the type. A tool of the owner runs on the node that owns the session, beside its
 * sandbox; a tool of the edge runs where the request came in.
 */
import { Effect, Option, Schema } from "effect"
import type { Content } from "../domain/Content.ts"
import type { LogLevel, Progress, Question } from "../domain/Event.ts"
import type { Explained } from "../domain/Failure.ts"
import type { NodeId, OperationId, Principal, SessionId } from "../domain/Identity.ts"
import type { NetworkPolicy } from "../domain/Network.ts"
import type { Outcome } from "../domain/Operation.ts"
import type { SessionDirectory } from "../domain/SessionDirectory.ts"
import type { SessionSummary } from "../domain/Session.ts"
import type { Capacity, SandboxError, SandboxLost } from "../domain/SandboxError.ts"
import {
  type QuestionNotAnswered,
  type SessionClosed,
  type SessionMoved,
  SessionRequired,
  type Unavailable,
  type UnknownTemplate,
  type WorkspaceLost,
  type FilesReverted,
} from "../domain/SessionError.ts"
import type { Limits } from "../sandbox/Limits.ts"
import type { Sandbox } from "../sandbox/Sandbox.ts"
import type { Refused } from "../sandbox/tunnel/Refusals.ts"
import type { NetworkStatus } from "../sandbox/tunnel/Tunnel.ts"
import type { Template } from "../sandbox/Templates.ts"
import type { NotRestored } from "../workspace/Checkpoints.ts"
import type { Durability } from "../workspace/Durability.ts"
import type { Objects } from "../workspace/Objects.ts"
import type { SessionCommands } from "./commands/SessionCommands.ts"

/** What a call on the owner's side knows of its session. */
export interface OwnerCall {
  readonly operation: OperationId
  readonly session: Pick<SessionSummary, "id" | "name"> & { readonly epoch: number }
  readonly principal: Principal
  /** What URLs begin with that the caller can use. */
  readonly base: string
  readonly objects: Objects["Type"]
  readonly ownerNode: NodeId
  readonly edgeNode: NodeId
  readonly limits: Limits["Type"]
  readonly template: Template
  /** What the session's files survive. */
  readonly durability: Durability
  /** How it stands with the session's files; before the end of an operation, also with what that changes. */
  readonly checkpoint: () => CheckpointState
  /** What the session may reach outside. */
  readonly network: {
    readonly policy: () => NetworkPolicy
    /** The most that it may be given. */
    readonly most: NetworkPolicy
    /** Of its sandbox, where it has one now. */
    readonly status: () => NetworkStatus | undefined
    /** What its sandbox was refused lately. */
    readonly refusals: () => ReadonlyArray<Refused>
    /** Takes effect at once, and for as long as the session lasts. */
    readonly set: (policy: NetworkPolicy) => Effect.Effect<void, Explained>
  }
  readonly commands: SessionCommands
  /** Tells the caller what came so far, where it wants to know. */
  readonly progress: ((progress: Progress) => void) | undefined
  /** Tells the caller what its log is to show, where it wants to know things of that weight. */
  readonly log: (level: LogLevel, data: unknown) => void
  /** Shows the caller something beside the answer, such as an image, which its output does not hold. */
  readonly show: (content: Content) => void
  /** Asks the caller; gives what it answers. Fails where it cannot be asked, refuses, or says nothing for long. */
  readonly ask: (question: Question) => Effect.Effect<unknown, QuestionNotAnswered>
  /** Whether an operation of the session runs on this node that is answered before its end: that starts a command. */
  readonly goesOn: (id: OperationId) => boolean
  /** How an operation of the session ended, on whatever node; undefined while it runs, and where there is none. */
  readonly outcomeOf: (id: OperationId) => Effect.Effect<Outcome | undefined, Explained>
  /** As `outcomeOf`, but waits for the end of one that runs on this node, for as long as that takes. */
  readonly endOf: (id: OperationId) => Effect.Effect<Outcome | undefined, Explained>
  /** The session's sandbox, started where there is none yet. */
  readonly sandbox: Effect.Effect<
    Sandbox,
    | SandboxError
    | SandboxLost
    | Capacity
    | UnknownTemplate
    | FilesReverted
    | NotRestored
    | WorkspaceLost
    | SessionClosed
    | SessionMoved
    | Unavailable
  >
}

/** What a call on the edge's side knows. */
interface EdgeCall {
  readonly principal: Principal
  /** The session that the call names, or its connection's own, if any. It may be closed by now. */
  readonly session: SessionId | undefined
  readonly directory: SessionDirectory["Type"]
  /** What URLs begin with that the caller can use. */
  readonly base: string
  readonly objects: Objects["Type"]
}

interface Shape<I extends Schema.Struct.Fields, O extends Schema.Struct.Fields> {
  /** `^[a-z][a-z0-9_]{1,40}$`: what every client accepts. */
  readonly name: string
  readonly title: string
  readonly description: string
  readonly input: Schema.Struct<I>
  readonly output: Schema.Struct<O>
  readonly annotations: {
    readonly readOnlyHint: boolean
    readonly destructiveHint: boolean
    readonly idempotentHint: boolean
    readonly openWorldHint: boolean
  }
}

export interface OwnerTool<I extends Schema.Struct.Fields, O extends Schema.Struct.Fields> extends Shape<
  I,
  O
> {
  readonly place: "owner"
  /**
   * May change files or run something: recorded before it starts, and never run twice. Once its files are saved, that
   * takes the place of what its answer says in `checkpoint`.
   */
  readonly changes: boolean
  /** The state that an answer ends the operation in, where it is not `succeeded`. */
  readonly stateOf?: (output: Schema.Struct<O>["Type"]) => Extract<Outcome, { _tag: "Answered" }>["state"]
  /** What a client shows, where that is not the output as JSON. */
  readonly content?: (output: Schema.Struct<O>["Type"]) => ReadonlyArray<Content>
  readonly handler: (
    input: Schema.Struct<I>["Type"],
    call: OwnerCall,
  ) => Effect.Effect<Schema.Struct<O>["Type"], Explained>
  /** Ends what the operation has begun, so that its handler comes to its end; false where there is nothing yet. */
  readonly cancel?: (operation: OperationId, commands: SessionCommands) => Effect.Effect<boolean>
  /** Where a caller does not wait for the end: for how long it does, and what it is told then. */
  readonly partial?: {
    /** In milliseconds. */
    readonly waitMs: (input: Schema.Struct<I>["Type"]) => number
    readonly answer: (
      input: Schema.Struct<I>["Type"],
      call: OwnerCall,
    ) => Effect.Effect<Schema.Struct<O>["Type"], Explained>
  }
}

export interface EdgeTool<I extends Schema.Struct.Fields, O extends Schema.Struct.Fields> extends Shape<
  I,
  O
> {
  readonly place: "edge"
  /** It is about all sessions of the principal, not about one. */
  readonly needsNoSession?: true
  /** What a client shows, where that is not the output as JSON. */
  readonly content?: (output: Schema.Struct<O>["Type"]) => ReadonlyArray<Content>
  readonly handler: (
    input: Schema.Struct<I>["Type"],
    call: EdgeCall,
  ) => Effect.Effect<Schema.Struct<O>["Type"], Explained>
}

/**
 * Any tool, as the registry holds it. Its handler takes its own input and nothing else,
 * so whoever calls one decodes first.
 */
export type AnyTool = AnyOwnerTool | Erased<EdgeTool<Schema.Struct.Fields, Schema.Struct.Fields>>
export type AnyOwnerTool = Erased<OwnerTool<Schema.Struct.Fields, Schema.Struct.Fields>>

type Erased<Tool> = Omit<Tool, "input" | "output" | "handler" | "stateOf" | "content" | "partial"> & {
  readonly input: Schema.Schema<any, any> & { readonly fields: Schema.Struct.Fields }
  readonly output: Schema.Schema<any, any>
} & (Tool extends { readonly handler: (input: never, call: infer Call) => infer Result }
    ? {
        readonly handler: (
          input: any,
          call: Call,
        ) => Result extends Effect.Effect<any, infer E> ? Effect.Effect<any, E> : never
        readonly stateOf?: (output: any) => Extract<Outcome, { _tag: "Answered" }>["state"]
        readonly content?: (output: any) => ReadonlyArray<Content>
        readonly partial?: {
          readonly waitMs: (input: any) => number
          readonly answer: (input: any, call: Call) => Effect.Effect<any, Explained>
        }
      }
    : never)

export const ownerTool = <I extends Schema.Struct.Fields, O extends Schema.Struct.Fields>(
  tool: Omit<OwnerTool<I, O>, "place">,
): OwnerTool<I, O> => ({ ...tool, place: "owner" })

export const edgeTool = <I extends Schema.Struct.Fields, O extends Schema.Struct.Fields>(
  tool: Omit<EdgeTool<I, O>, "place">,
): EdgeTool<I, O> => ({ ...tool, place: "edge" })

/** The session of a call that needs one. */
export const required = (session: SessionId | undefined) =>
  session === undefined ? Effect.fail(new SessionRequired()) : Effect.succeed(session)

/** An argument that may be left out. */
export const optional = <A, I>(schema: Schema.Schema<A, I>) => Schema.optionalWith(schema, { exact: true })

/** What an answer says of the durability of its changes. */
export const CheckpointState = Schema.Struct({
  state: Schema.Literal("saved", "unchanged", "pending", "failed", "off"),
  id: Schema.optionalWith(Schema.String, { exact: true }),
  reason: Schema.optionalWith(Schema.String, { exact: true }),
}).annotations({
  description:
    "Whether the files are saved beyond this node: `saved`, or `unchanged` since they were; `pending`, not yet; " +
    "`failed` and `off`: they die with the node.",
})
export type CheckpointState = typeof CheckpointState.Type

/** What an operation's answer says of its files; undefined where it says nothing. */
export const checkpointIn = (outcome: Outcome | undefined): CheckpointState | undefined =>
  outcome?._tag === "Answered" ? Option.getOrUndefined(decodeAnswer(outcome.output))?.checkpoint : undefined

const decodeAnswer = Schema.decodeUnknownOption(Schema.Struct({ checkpoint: CheckpointState }))

/** How long a call may wait, in milliseconds; several clients give a call up after 30 s. */
export const WaitMs = Schema.Number.pipe(Schema.int(), Schema.between(0, 600_000))
export const defaultWaitMs = 20_000

/** A path as callers give it: absolute, or relative to /workspace. */
export const WorkspacePath = Schema.String.pipe(
  Schema.filter((path) => !path.includes("\0") || "must not contain a NUL character"),
  Schema.minLength(1),
  Schema.maxLength(4096),
).annotations({ description: "Path in the workspace, relative to /workspace or absolute." })

export const absolute = (path: string) => (path.startsWith("/") ? path : `/workspace/${path}`)

/** Bytes at the end that begin a UTF-8 character without ending it: 0 to 3. */
export const partialCharacter = (bytes: Uint8Array) => {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back]!
    if (byte < 0x80) return 0
    if (byte >= 0xc0) return back < (byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2) ? back : 0
  }
  return 0
}
