/** Tools and their outcomes as the protocol shows them. Text and structured content carry the same facts. */
import type { CallToolResult, Tool as McpTool } from "@modelcontextprotocol/sdk/types.js"
import { JSONSchema, Option, Predicate, Schema } from "effect"
import type { Content } from "../domain/Content.ts"
import { type Explained, type Failure, failureOf } from "../domain/Failure.ts"
import type { Reply } from "../domain/Operation.ts"
import type { AnyTool } from "../tools/Tool.ts"
import { plainNames, type ToolNames } from "../tools/ToolNames.ts"
import { misfits } from "./Misfits.ts"

/** The argument that every tool takes beside its own. */
const sessionArgument = (description: string) => ({ session_id: { type: "string", description } }) as const

/** All tools, as `tools/list` answers: on one page, in a fixed order. */
export const listingOf = (
  tools: ReadonlyArray<AnyTool>,
  names: ToolNames = plainNames,
): ReadonlyArray<McpTool> =>
  tools.map((tool) =>
    listed(tool, sessionArgument("The session to use; the connection's own otherwise."), [], names),
  )

/** The same where there are no connections: what needs a session must be told which. */
export const sessionlessListingOf = (
  tools: ReadonlyArray<AnyTool>,
  names: ToolNames = plainNames,
): ReadonlyArray<McpTool> =>
  tools.map((tool) =>
    tool.place === "edge" && tool.needsNoSession === true
      ? listed(tool, {}, [], names)
      : listed(
          tool,
          sessionArgument("The session to use, as open_session answered it."),
          ["session_id"],
          names,
        ),
  )

/** A call's arguments, decoded: the tool's own in encoded form, and the session that they name. */
export const argumentsOf = (tool: AnyTool, given: Readonly<Record<string, unknown>>) => {
  const { session_id: session, ...input } = given
  if (session !== undefined && typeof session !== "string") {
    return { failure: invalid("session_id: must be a string") }
  }
  const known = [...Object.keys(tool.input.fields), "session_id"]
  const unknown = Object.keys(input).filter((name) => !known.includes(name))
  if (unknown.length > 0)
    return { failure: invalid(`there is no ${unknown.join(", ")}; there are ${known.join(", ")}`) }
  const decoded = Schema.decodeUnknownEither(tool.input, { onExcessProperty: "error", errors: "all" })(input)
  if (decoded._tag === "Right") return { session, input, decoded: decoded.right as unknown }
  return { failure: invalid(misfits(tool.input, decoded.left)) }
}

/** As a client of this protocol version takes it. `isStrict`: an answer that says that checks did not pass is an error too. */
export const resultOf = (
  reply: Exclude<Reply, { readonly _tag: "Cancelled" }>,
  protocolVersion: string,
  isStrict = false,
): CallToolResult =>
  reply._tag === "Failed"
    ? failed(reply.failure)
    : {
        ...answered(reply.output, reply._tag === "Answered" ? reply.content : undefined, protocolVersion),
        ...(isStrict && reply._tag === "Answered" && hasFailed(reply.output) ? { isError: true } : {}),
      }

/** Also where it is another call's answer, of get_result. */
const hasFailed = (output: unknown) =>
  Predicate.hasProperty(output, "passed")
    ? output.passed === false
    : Predicate.hasProperty(output, "result") &&
      Predicate.hasProperty(output.result, "passed") &&
      output.result.passed === false

/** `content` is what a client shows, where that is not the output as JSON. Older clients refuse links in it. */
export const answered = (
  output: unknown,
  content: ReadonlyArray<Content> | undefined,
  protocolVersion: string,
): CallToolResult => ({
  content: (content ?? [{ type: "text", text: JSON.stringify(output) }]).filter(
    ({ type }) => type !== "resource_link" || protocolVersion >= linksSince,
  ),
  structuredContent: output as Record<string, unknown>,
})

const linksSince = "2025-06-18"

/** A failure is a result, so that the model reads it and can act. */
export const failed = (failure: Failure): CallToolResult => ({
  isError: true,
  content: [{ type: "text", text: JSON.stringify(failure) }],
})

/** A result whose own words name tools as clients do. */
export const renamed = (result: CallToolResult, names: ToolNames): CallToolResult => {
  if (names === plainNames) return result
  const { structuredContent, content } = result
  const said = structuredContent ?? (content[0]?.type === "text" ? parsed(content[0].text) : {})
  const changed = names.inAnswer(said)
  const before = JSON.stringify(said)
  return {
    ...result,
    ...(structuredContent === undefined ? {} : { structuredContent: changed }),
    content: content.map((part) =>
      part.type === "text" && part.text === before ? { ...part, text: JSON.stringify(changed) } : part,
    ),
  }
}

const parsed = (text: string): Readonly<Record<string, unknown>> =>
  Option.getOrElse(decodeRecord(text), () => ({}))
const decodeRecord = Schema.decodeUnknownOption(
  Schema.parseJson(Schema.Record({ key: Schema.String, value: Schema.Unknown })),
)

export const refused = (error: Explained) => failed(failureOf(error))

function listed(
  tool: AnyTool,
  more: Readonly<Record<string, object>>,
  needed: ReadonlyArray<string>,
  names: ToolNames,
): McpTool {
  const { properties, required = [], ...input } = jsonSchema(tool.input)
  return {
    name: names.shown(tool.name),
    title: tool.title,
    description: names.inText(tool.description),
    inputSchema: described(
      {
        ...input,
        properties: { ...properties, ...more },
        required: [...required, ...needed],
      },
      names,
    ),
    outputSchema: described(jsonSchema(tool.output), names),
    annotations: { title: tool.title, ...tool.annotations },
  }
}

/** A schema whose descriptions name tools as clients do. */
const described = <A>(schema: A, { inText }: ToolNames): A =>
  JSON.parse(JSON.stringify(schema), (key, value: unknown) =>
    key === "description" && typeof value === "string" ? inText(value) : value,
  ) as A

const invalid = (problem: string): Failure => ({
  code: "invalid_arguments",
  message: `The arguments do not fit: ${problem.slice(0, 2000)}.`,
  next: "Correct them by the tool's input schema and call again.",
})

/**
 * A flat JSON Schema of an object. References are put in place, as several clients follow none. Effect's titles
 * repeat the bounds beside them, and what it writes for no fields at all also fits an array.
 */
function jsonSchema(schema: Schema.Schema.Any): McpTool["inputSchema"] & { readonly type: "object" } {
  const { $defs = {}, ...root } = JSONSchema.make(schema) as unknown as Record<string, unknown>
  const inline = (node: unknown): unknown => {
    if (Array.isArray(node)) return node.map(inline)
    if (typeof node !== "object" || node === null) return node
    const { $ref, ...rest } = node as Record<string, unknown>
    const target =
      typeof $ref === "string" ? ($defs as Record<string, object>)[$ref.split("/").at(-1) ?? ""] : {}
    return Object.fromEntries(
      Object.entries({ ...target, ...rest })
        .filter(([key, value]) => key !== "title" || typeof value !== "string")
        .map(([key, value]) => [key, inline(value)]),
    )
  }
  const { required = [], properties = {} } = inline(root) as Partial<McpTool["inputSchema"]>
  return { type: "object", required, properties, additionalProperties: false }
}
