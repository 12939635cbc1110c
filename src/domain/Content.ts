/** What a client shows of an answer. (MCP 2025-11-25, "Tools", "Tool Result".) */
import { Schema } from "effect"

const base64 = Schema.String
const named = { uri: Schema.String, mimeType: Schema.String }

export const Content = Schema.Union(
  Schema.Struct({ type: Schema.Literal("text"), text: Schema.String }),
  Schema.Struct({ type: Schema.Literal("image", "audio"), data: base64, mimeType: Schema.String }),
  Schema.Struct({
    type: Schema.Literal("resource_link"),
    uri: Schema.String,
    name: Schema.String,
    mimeType: Schema.String,
    size: Schema.Number,
  }),
  Schema.Struct({
    type: Schema.Literal("resource"),
    resource: Schema.Union(
      Schema.Struct({ ...named, text: Schema.String }),
      Schema.Struct({ ...named, blob: base64 }),
    ),
  }),
)
export type Content = typeof Content.Type
