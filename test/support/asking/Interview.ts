/** A tool that asks its client, which none of the product does: its user first, its model then. */
import { Effect, Schema } from "effect"
import { ownerTool } from "../../../src/tools/Tool.ts"

/** Each run adds a line to it. */
const record = "/workspace/interviews"

const Name = Schema.Struct({ action: Schema.String, content: Schema.Struct({ name: Schema.String }) })
const Poem = Schema.Struct({ content: Schema.Struct({ text: Schema.String }) })

export const interview = ownerTool({
  name: "interview",
  title: "Interview",
  description: "Asks who the user is, and has the client's model say something of that.",
  input: Schema.Struct({ topic: Schema.String }),
  output: Schema.Struct({ name: Schema.String, poem: Schema.String }),
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: false },
  changes: true,
  handler: Effect.fnUntraced(function* ({ topic }, { ask, progress, sandbox }) {
    yield* (yield* sandbox).files.append(record, Buffer.from(`${topic}\n`))
    const asked = yield* ask({
      kind: "elicitation",
      params: {
        message: `Who are you, for ${topic}?`,
        requestedSchema: { type: "object", properties: { name: { type: "string" } }, required: ["name"] },
      },
    })
    const { name } = (yield* Effect.orDie(Schema.decodeUnknown(Name)(asked))).content
    progress?.({ progress: 1, message: name })
    const completed = yield* ask({
      kind: "sampling",
      params: { messages: [{ role: "user", content: { type: "text", text: name } }], maxTokens: 10 },
    })
    const { text } = (yield* Effect.orDie(Schema.decodeUnknown(Poem)(completed))).content
    return { name, poem: text }
  }),
})
