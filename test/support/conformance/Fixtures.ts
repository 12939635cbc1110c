/** The prompts and resources that @modelcontextprotocol/conformance 0.1.16 asks for. */
import type { Prompt, PromptMessage, Tool } from "@modelcontextprotocol/sdk/types.js"
import { Effect, Layer } from "effect"
import { Catalogue } from "../../../src/mcp/Catalogue.ts"
import { listingOf } from "../../../src/mcp/Presentation.ts"
import { UnknownResource } from "../../../src/mcp/Resources.ts"
import { Registry } from "../../../src/tools/Registry.ts"
import { png } from "./FixtureTools.ts"

const says = (content: PromptMessage["content"]): PromptMessage => ({ role: "user", content })
const text = (text: string) => says({ type: "text", text })
const argument = (name: string) => ({ name, description: "An argument.", required: true })

const prompts: Readonly<
  Record<
    string,
    Pick<Prompt, "arguments"> & {
      readonly messages: (given: Readonly<Record<string, string>>) => Array<PromptMessage>
    }
  >
> = {
  test_simple_prompt: { messages: () => [text("This is a simple prompt for testing.")] },
  test_prompt_with_arguments: {
    arguments: [argument("arg1"), argument("arg2")],
    messages: ({ arg1, arg2 }) => [text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`)],
  },
  test_prompt_with_embedded_resource: {
    arguments: [argument("resourceUri")],
    messages: ({ resourceUri = "" }) => [
      says({
        type: "resource",
        resource: {
          uri: resourceUri,
          mimeType: "text/plain",
          text: "Embedded resource content for testing.",
        },
      }),
      text("Please process the embedded resource above."),
    ],
  },
  test_prompt_with_image: {
    messages: () => [
      says({ type: "image", data: png, mimeType: "image/png" }),
      text("Please analyze the image above."),
    ],
  },
}

const contentOf = (uri: string) => {
  const [, id] = /^test:\/\/template\/(\w+)\/data$/.exec(uri) ?? []
  if (id !== undefined) {
    const data = { id, templateTest: true, data: `Data for ID: ${id}` }
    return { uri, mimeType: "application/json", text: JSON.stringify(data) }
  }
  switch (uri) {
    case "test://static-text":
      return { uri, mimeType: "text/plain", text: "This is the content of the static text resource." }
    case "test://static-binary":
      return { uri, mimeType: "image/png", blob: png }
    case "test://watched-resource":
      return { uri, mimeType: "text/plain", text: "watched" }
    default:
      return undefined
  }
}

const listed = ["test://static-text", "test://static-binary", "test://watched-resource"]

/** With keywords of JSON Schema 2020-12 that no tool of the product uses. */
const newSchema: Tool["inputSchema"] = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  type: "object",
  $defs: {
    address: { type: "object", properties: { street: { type: "string" }, city: { type: "string" } } },
  },
  properties: { name: { type: "string" }, address: { $ref: "#/$defs/address" } },
  additionalProperties: false,
}

export const layer = Layer.effect(
  Catalogue,
  Effect.map(Registry, (registry) => ({
    instructions: { ofConnections: "Fixtures.", sessionless: "Fixtures." },
    names: registry.names,
    tools: listingOf(registry.listed).map((tool) =>
      tool.name === "json_schema_2020_12_tool" ? { ...tool, inputSchema: newSchema } : tool,
    ),
    prompts: {
      listing: Object.entries(prompts).map(([name, { arguments: given }]) => ({
        name,
        description: "A fixture of the conformance suite.",
        ...(given === undefined ? {} : { arguments: given }),
      })),
      get: (name, given = {}) => ({ messages: prompts[name]?.messages(given) ?? [] }),
    },
    resources: {
      templates: [{ uriTemplate: "test://template/{id}/data", name: "template" }],
      list: () =>
        Effect.succeed({
          resources: listed.map((uri) => ({
            uri,
            name: uri,
            description: "A fixture.",
            mimeType: "text/plain",
          })),
        }),
      read: (_, uri) => {
        const content = contentOf(uri)
        return content === undefined
          ? Effect.fail(new UnknownResource({ uri, scheme: "test://" }))
          : Effect.succeed({ contents: [content] })
      },
      complete: () => Effect.succeed({ completion: { values: [] } }),
      isResource: (uri) => contentOf(uri) !== undefined,
    },
  })),
)
