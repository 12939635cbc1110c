/** The sessions of a principal, for tools that open, list and close them. */
import { Context, type Effect } from "effect"
import type { NetworkNotAllowed, NetworkPolicy } from "./Network.ts"
import type { Principal } from "./Identity.ts"
import type { Lifetime, SessionName, SessionSummary } from "./Session.ts"
import type {
  SessionClosed,
  SessionNotFound,
  TooManySessions,
  Unavailable,
  UnknownTemplate,
} from "./SessionError.ts"

export class SessionDirectory extends Context.Tag("codegen-mcp/domain/SessionDirectory")<
  SessionDirectory,
  {
    /**
     * The principal's session of that name, made by the template if it is absent; a new one without a name. A session
     * that is there keeps the template that it was made by, and what it may reach outside.
     */
    readonly open: (
      principal: Principal,
      name: SessionName | undefined,
      lifetime: Exclude<Lifetime, "named">,
      template: string | undefined,
      network?: NetworkPolicy,
    ) => Effect.Effect<
      SessionSummary & { readonly created: boolean },
      TooManySessions | UnknownTemplate | NetworkNotAllowed | Unavailable
    >
    /** The principal's open session of that id. */
    readonly find: (
      principal: Principal,
      id: string,
    ) => Effect.Effect<SessionSummary, SessionNotFound | SessionClosed | Unavailable>
    /** Open sessions, oldest first. */
    readonly list: (principal: Principal) => Effect.Effect<ReadonlyArray<SessionSummary>, Unavailable>
    /** Ends the session: its operations, its sandbox and its files. */
    readonly close: (
      principal: Principal,
      id: string,
    ) => Effect.Effect<void, SessionNotFound | SessionClosed | Unavailable>
  }
>() {}
