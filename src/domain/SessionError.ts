/** Why a session did not answer. None of them names whose session it is. */
import { Schema } from "effect"
import { OperationId, SessionId } from "./Identity.ts"

/** No session of this id belongs to the caller. */
export class SessionNotFound extends Schema.TaggedError<SessionNotFound>()("SessionNotFound", {
  session: Schema.String,
}) {
  override get message() {
    return `There is no session ${this.session.slice(0, 80)}.`
  }
  readonly next = "Look with list_sessions, or make one with open_session."
}

/** The call names no session, and no connection has one for it. (MCP 2026-07-28.) */
export class SessionRequired extends Schema.TaggedError<SessionRequired>()("SessionRequired", {}) {
  override get message() {
    return "The call names no session: `session_id` is missing."
  }
  readonly next = "Make a session with open_session, and pass its `session_id` with every call."
}

/** The session was closed, and its files removed. */
export class SessionClosed extends Schema.TaggedError<SessionClosed>()("SessionClosed", {
  session: SessionId,
}) {
  override get message() {
    return `Session ${this.session} is closed; its files are gone.`
  }
  readonly next = "Make a new session with open_session."
}

/** Another node took the session over while this one was answering. `Sessions` joins it there. */
export class SessionMoved extends Schema.TaggedError<SessionMoved>()("SessionMoved", {}) {
  override get message() {
    return "The session moved to another node."
  }
  readonly next = "Call again."
}

/** The operation was running when its node was lost. It is not run again. */
export class Interrupted extends Schema.TaggedError<Interrupted>()("Interrupted", {
  operation: OperationId,
  /** The files that its session went on with, where that is known. */
  checkpoint: Schema.optional(Schema.Int),
}) {
  override get message() {
    const files =
      this.checkpoint === undefined ? "" : ` The files are those of checkpoint ${this.checkpoint}.`
    return `Operation ${this.operation} was running when its node was lost or its session was closed; it was not run again.${files}`
  }
  readonly next = "Look at the workspace (list_files), then decide whether to run it again."
}

const lookAgain = "Look at the workspace (list_files), do again what is missing, then repeat the call."

/** Files were in a sandbox that is gone, and saved nowhere. Said once; the next call works with what was saved. */
export class WorkspaceLost extends Schema.TaggedError<WorkspaceLost>()("WorkspaceLost", {
  /** None: nothing was ever saved. */
  checkpoint: Schema.NullOr(Schema.Int),
}) {
  override get message() {
    const left =
      this.checkpoint === null
        ? "the workspace is empty now"
        : `the workspace is that of checkpoint ${this.checkpoint}: what changed later was not saved`
    return `The session's sandbox was lost; this call was not run, and ${left}.`
  }
  get next() {
    return this.checkpoint === null ? "Write the files again, then repeat the call." : lookAgain
  }
}

/** The newest checkpoint is damaged, and the session goes on with an older one. Said once; the next call works with it. */
export class FilesReverted extends Schema.TaggedError<FilesReverted>()("FilesReverted", {
  damaged: Schema.Int,
  checkpoint: Schema.Int,
}) {
  override get message() {
    return `Checkpoint ${this.damaged}, the session's newest, is damaged in the workspace store. This call was not run, and the workspace is that of checkpoint ${this.checkpoint} again: what changed later is lost.`
  }
  readonly next = lookAgain
}

/** The id names an operation with another tool or other arguments. */
export class OperationIdReused extends Schema.TaggedError<OperationIdReused>()("OperationIdReused", {
  operation: OperationId,
}) {
  override get message() {
    return `Operation id ${this.operation} was used before, with other arguments.`
  }
  readonly next = "Use a new operation id, or none."
}

/** The session works on as many operations as it may. */
export class TooManyOperations extends Schema.TaggedError<TooManyOperations>()("TooManyOperations", {
  limit: Schema.Int,
}) {
  override get message() {
    return `The session works on ${this.limit} calls, which is the limit.`
  }
  readonly next = "Wait for an answer, then call again."
}

/** What an operation asked its client stays open. */
export class QuestionNotAnswered extends Schema.TaggedError<QuestionNotAnswered>()("QuestionNotAnswered", {
  problem: Schema.String,
}) {
  override get message() {
    return `This call needs an answer and did not get one: ${this.problem}.`
  }
  readonly next = "Call again with a client that can answer, or go on without this tool."
}

/** A part that the call needs is out of reach for now. */
export class Unavailable extends Schema.TaggedError<Unavailable>()("Unavailable", {
  what: Schema.Literal("Postgres", "the session's node"),
}) {
  override get message() {
    return `${this.what === "Postgres" ? "Postgres" : "The session's node"} does not answer.`
  }
  readonly next = "Try again in a few seconds."
}

export const SessionError = Schema.Union(
  SessionNotFound,
  SessionClosed,
  SessionMoved,
  OperationIdReused,
  TooManyOperations,
  Unavailable,
)
export type SessionError = typeof SessionError.Type

/** The principal has as many open sessions as it may. */
export class TooManySessions extends Schema.TaggedError<TooManySessions>()("TooManySessions", {
  limit: Schema.Int,
}) {
  override get message() {
    return `You have ${this.limit} open sessions, which is the limit (MAX_SESSIONS).`
  }
  readonly next = "Close one with close_session; list_sessions shows them."
}

/** The principal has as many connections as it may. */
export class TooManyConnections extends Schema.TaggedError<TooManyConnections>()("TooManyConnections", {
  limit: Schema.Int,
}) {
  override get message() {
    return `You have ${this.limit} open connections, which is the limit (MAX_CONNECTIONS).`
  }
  readonly next =
    "Close those that you do not need (DELETE with their Mcp-Session-Id), or wait: each ends CONNECTION_LEASE after its last request."
}

/** A kind of sandbox that this node does not know. */
export class UnknownTemplate extends Schema.TaggedError<UnknownTemplate>()("UnknownTemplate", {
  template: Schema.String,
  known: Schema.Array(Schema.String),
}) {
  override get message() {
    return `There is no template ${this.template}. There is: ${this.known.join(", ")}.`
  }
  readonly next =
    "Open a session with one of these, or with none for the default; the operator adds more in TEMPLATES."
}
