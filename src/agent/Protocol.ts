/**
 * The messages between a node and an agent: one set of types for both ends. The node decodes all that an agent
 * says with these schemas; the agent, which trusts its node, takes the types alone.
 */
import { Schema } from "effect"
import { FileRefusal } from "../domain/SandboxError.ts"
import { type FileOperation, SnapshotCursor } from "./files/FileProtocol.ts"
import { LimitMet } from "../domain/Command.ts"

const Count = Schema.NonNegativeInt

/** Says that a node is there. Everything that an agent has to know comes in it; nothing is read elsewhere. */
interface Hello {
  readonly type: "hello"
  readonly version: number
  /** The environment of every command. */
  readonly env: Readonly<Record<string, string>>
  /** Bytes of all files together that keep commands' outputs past their bounds. */
  readonly spill: number
}

/** Runs a program. Its output comes on two channels, and its input, where it has one, goes on the first of them. */
export interface Start {
  readonly type: "start"
  readonly command: number
  readonly stdout: number
  readonly stderr: number
  readonly argv: ReadonlyArray<string>
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
  readonly stdin: boolean
  readonly terminal: { readonly columns: number; readonly rows: number } | null
  /** Bytes of each stream past which the output is written to a file too. */
  readonly keep: number
}

interface Signal {
  readonly type: "signal"
  readonly command: number
  readonly signal: string
}

/** Kills every process of the command's tree; answered by `Answer` once none is left. */
interface Kill {
  readonly type: "kill"
  readonly id: number
  readonly command: number
}

export interface Resize {
  readonly type: "resize"
  readonly command: number
  readonly columns: number
  readonly rows: number
}

/** Asks whether the agent is there; answered by `Answer`. */
interface Ping {
  readonly type: "ping"
  readonly id: number
}

/** A file operation; answered by `Answer`. What is long goes on the channel, in either direction. */
export interface FileRequest {
  readonly type: "file"
  readonly id: number
  readonly channel: number
  readonly request: FileOperation
}

/** Lets programs have a way out, through `Accept`, or takes it from them; answered by `Answer` once that is so. */
export interface Network {
  readonly type: "network"
  readonly id: number
  readonly open: boolean
  /** Certificates that are to be trusted, in PEM, for programs that find none named in their environment. */
  readonly certificates: string | undefined
}

/**
 * Takes one connection of a program on the channel, whose first line, `HOST:PORT`, says where it is to go. The node
 * answers with a line of its own, `200`, or a status and a reason; what follows is the connection's, in either
 * direction. `Answer` says that the program has gone.
 */
export interface Accept {
  readonly type: "accept"
  readonly id: number
  readonly channel: number
}

export type ToAgent = Hello | Start | Signal | Kill | Resize | Ping | FileRequest | Network | Accept

/** The agent is ready for commands. */
const Ready = Schema.Struct({ type: Schema.Literal("ready"), version: Count })

/** A command's program could not be started, with the reason in words. */
const NotStarted = Schema.Struct({
  type: Schema.Literal("notStarted"),
  command: Count,
  reason: Schema.String.pipe(Schema.maxLength(4096)),
})

/** A command's main process has ended, and its output has been written to its channels. */
const Ended = Schema.Struct({
  type: Schema.Literal("ended"),
  command: Count,
  /** The exit code, or null where `signal` ended it. */
  code: Schema.NullOr(Schema.Int),
  signal: Schema.NullOr(Schema.String.pipe(Schema.maxLength(16))),
  /** Of the process and those children that it waited for, in milliseconds. */
  cpuMs: Count,
  /** Resident memory at its peak, in bytes; null where that is below what can be measured. */
  peakMemory: Schema.NullOr(Count),
  limits: Schema.Array(LimitMet).pipe(Schema.maxItems(8)),
  /** The files that hold the output past its bound. */
  spilled: Schema.Struct({
    stdout: Schema.NullOr(Schema.String.pipe(Schema.maxLength(256))),
    stderr: Schema.NullOr(Schema.String.pipe(Schema.maxLength(256))),
  }),
  /** The cursor of the last snapshot, where no file has changed since. */
  still: Schema.NullOr(SnapshotCursor),
})

/** The answer to a message with an id: a value, whose schema is the asker's, or why not. */
const Answer = Schema.Struct({
  type: Schema.Literal("answer"),
  id: Count,
  value: Schema.optional(Schema.Unknown),
  failure: Schema.optional(FileRefusal),
})

export const ToNode = Schema.Union(Ready, NotStarted, Ended, Answer)
export type ToNode = typeof ToNode.Type
