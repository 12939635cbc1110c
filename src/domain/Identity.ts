/** Ids. Each that opens something carries 128 random bits; none says where a thing lives. */
import { Effect, Schema } from "effect"
import { randomFillSync } from "node:crypto"

const id = <Brand extends string>(brand: Brand, pattern: RegExp) =>
  Schema.String.pipe(Schema.pattern(pattern), Schema.brand(brand))

/** A session: `s_` and 32 hexadecimal digits. */
export const SessionId = id("SessionId", /^s_[0-9a-f]{32}$/)
export type SessionId = typeof SessionId.Type

/** One client's `Mcp-Session-Id`: `c_` and 32 hexadecimal digits. */
export const ConnectionId = id("ConnectionId", /^c_[0-9a-f]{32}$/)
export type ConnectionId = typeof ConnectionId.Type

/** An operation, unique in its session; a caller may choose it: 1 to 64 letters, digits, `_` and `-`. */
export const OperationId = id("OperationId", /^[A-Za-z0-9_-]{1,64}$/)
export type OperationId = typeof OperationId.Type

/** The `_meta` key by which a client names its operation, so that a repeat joins it. */
export const operationIdKey = "io.codegen-mcp/operation-id"

/** Who is calling, and so the tenant that owns sessions: `local`, or `token:` and a token's id. */
export const Principal = Schema.NonEmptyString.pipe(Schema.brand("Principal"))
export type Principal = typeof Principal.Type

/** A file that is kept beside the workspace, such as an artifact: `a_` and 32 hexadecimal digits. */
export const ObjectId = id("ObjectId", /^a_[0-9a-f]{32}$/)
export type ObjectId = typeof ObjectId.Type

/** A node, kept over its restarts. It stands in labels and headers, and so is short and plain. */
export const NodeId = id("NodeId", /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/)
export type NodeId = typeof NodeId.Type

/** One start of a node: what a dead process held belongs to its incarnation alone. */
export const Incarnation = id("Incarnation", /^i_[0-9a-f]{32}$/)
export type Incarnation = typeof Incarnation.Type

/** A container on the engine of one node, as the engine names it. */
export const ContainerId = Schema.NonEmptyString.pipe(Schema.brand("ContainerId"))
export type ContainerId = typeof ContainerId.Type

/** A new id: the prefix, and 128 random bits in hexadecimal. */
export const randomId = (prefix: "s_" | "c_" | "o_" | "i_" | "p_" | "a_") =>
  Effect.sync(() => prefix + randomDigits())

/** Drawn ahead: every call needs an id, and to draw 16 bytes for each took a seventh of a node's time for it. */
const drawn = Buffer.alloc(4096)
let used = drawn.length

const randomDigits = () => {
  if (used === drawn.length) {
    randomFillSync(drawn)
    used = 0
  }
  used += 16
  return drawn.toString("hex", used - 16, used)
}
