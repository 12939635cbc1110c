/** The tools that @modelcontextprotocol/conformance 0.1.16 calls, by the names and texts that it asks for. */
import { Effect, Layer, Schema } from "effect"
import { Content } from "../../../src/domain/Content.ts"
import type { Explained } from "../../../src/domain/Failure.ts"
import * as Registry from "../../../src/tools/Registry.ts"
import { type OwnerCall, ownerTool } from "../../../src/tools/Tool.ts"

/** A PNG of one pixel. */
export const png =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="

/** A WAV without a sample. */
const wav = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA="

const tool = <I extends Schema.Struct.Fields>(
  name: string,
  input: I,
  handler: (
    input: Schema.Struct<I>["Type"],
    call: OwnerCall,
  ) => Effect.Effect<ReadonlyArray<Content>, Explained>,
) =>
  ownerTool({
    name,
    title: name,
    description: "A fixture of the conformance suite.",
    input: Schema.Struct(input),
    output: Schema.Struct({ content: Schema.Array(Content) }),
    annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
    changes: false,
    content: ({ content }) => content,
    handler: (given, call) => Effect.map(handler(given, call), (content) => ({ content })),
  })

const text = (text: string): Content => ({ type: "text", text })
const says = (...content: ReadonlyArray<Content>) => Effect.succeed(content)
const resource = (uri: string, mimeType: string, text: string): Content => ({
  type: "resource",
  resource: { uri, mimeType, text },
})
const image: Content = { type: "image", data: png, mimeType: "image/png" }

/** Asks the user by a form, and says what came of it. */
const elicit = (call: OwnerCall, message: string, properties: Record<string, unknown>, required?: unknown) =>
  Effect.map(
    call.ask({
      kind: "elicitation",
      params: { message, requestedSchema: { type: "object", properties, required } },
    }),
    (answer) => {
      const { action, content } = answer as { readonly action: string; readonly content?: unknown }
      return [text(`Elicitation completed: action=${action}, content=${JSON.stringify(content)}`)]
    },
  )

const options = ["option1", "option2", "option3"]
const titled = [
  { const: "value1", title: "First Option" },
  { const: "value2", title: "Second Option" },
]

export const layer = Layer.succeed(
  Registry.Registry,
  Registry.of(
    [
      tool("test_simple_text", {}, () => says(text("This is a simple text response for testing."))),
      tool("test_image_content", {}, () => says(image)),
      tool("test_audio_content", {}, () => says({ type: "audio", data: wav, mimeType: "audio/wav" })),
      tool("test_embedded_resource", {}, () =>
        says(resource("test://embedded-resource", "text/plain", "This is an embedded resource content.")),
      ),
      tool("test_multiple_content_types", {}, () =>
        says(
          text("Multiple content types test:"),
          image,
          resource("test://mixed-content-resource", "application/json", '{"test":"data","value":123}'),
        ),
      ),
      tool("test_tool_with_logging", {}, (_, { log }) =>
        Effect.gen(function* () {
          log("info", "Tool execution started")
          yield* Effect.sleep("50 millis")
          log("info", "Tool processing data")
          yield* Effect.sleep("50 millis")
          log("info", "Tool execution completed")
          return [text("Tool with logging executed successfully")]
        }),
      ),
      tool("test_tool_with_progress", {}, (_, { progress }) =>
        Effect.gen(function* () {
          for (const done of [0, 50, 100]) {
            progress?.({ progress: done, total: 100 })
            yield* Effect.sleep("50 millis")
          }
          return [text("Tool with progress executed successfully")]
        }),
      ),
      tool("test_error_handling", {}, () =>
        Effect.fail({
          _tag: "TestError",
          message: "This tool intentionally returns an error for testing",
          next: "Nothing.",
        }),
      ),
      tool("test_reconnection", {}, () => Effect.delay(says(text("Reconnected")), "1 second")),
      tool("test_sampling", { prompt: Schema.String }, ({ prompt }, { ask }) =>
        Effect.map(
          ask({
            kind: "sampling",
            params: { messages: [{ role: "user", content: text(prompt) }], maxTokens: 100 },
          }),
          (answer) => {
            const { content } = answer as { readonly content: { readonly text: string } }
            return [text(`LLM response: ${content.text}`)]
          },
        ),
      ),
      tool("test_elicitation", { message: Schema.String }, ({ message }, call) =>
        elicit(
          call,
          message,
          {
            username: { type: "string", description: "User's response" },
            email: { type: "string", description: "User's email address" },
          },
          ["username", "email"],
        ),
      ),
      tool("test_elicitation_sep1034_defaults", {}, (_, call) =>
        elicit(call, "Test elicitation with default values", {
          name: { type: "string", default: "John Doe" },
          age: { type: "integer", default: 30 },
          score: { type: "number", default: 95.5 },
          status: { type: "string", enum: ["active", "inactive", "pending"], default: "active" },
          verified: { type: "boolean", default: true },
        }),
      ),
      tool("test_elicitation_sep1330_enums", {}, (_, call) =>
        elicit(call, "Test elicitation with enum schemas", {
          untitledSingle: { type: "string", enum: options },
          titledSingle: { type: "string", oneOf: titled },
          legacyEnum: {
            type: "string",
            enum: ["opt1", "opt2", "opt3"],
            enumNames: ["Option One", "Option Two", "Option Three"],
          },
          untitledMulti: { type: "array", items: { type: "string", enum: options } },
          titledMulti: { type: "array", items: { anyOf: titled } },
        }),
      ),
      tool("json_schema_2020_12_tool", {}, () => says(text("fine"))),
    ],
    [],
  ),
)
