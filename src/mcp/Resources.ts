/** The workspace of a connection's own session as the protocol's resources: `workspace:///` and a path. */
import {
  type CompleteRequest,
  type CompleteResult,
  ErrorCode,
  type ListResourcesResult,
  McpError,
  type ReadResourceResult,
} from "@modelcontextprotocol/sdk/types.js"
import { Effect, Schema } from "effect"
import mime from "mime/lite"
import { failureOf, type Explained } from "../domain/Failure.ts"
import { pathOf, uriOf, workspaceScheme } from "../domain/WorkspaceUri.ts"
import { plainNames, type ToolNames } from "../tools/ToolNames.ts"
import { textOf } from "../tools/Text.ts"
import { filePaths, fileContent, maxPaths } from "../tools/files/WorkspaceResources.ts"

const template = {
  uriTemplate: `${workspaceScheme}{+path}`,
  name: "workspace",
  title: "Files of the workspace",
  description: "A file of the session's workspace, by its path relative to /workspace.",
}

/** Runs one of the hidden tools on the session's owner. */
export interface AskOwner {
  (
    tool: typeof filePaths,
    input: { readonly pattern: string },
  ): Effect.Effect<typeof filePaths.output.Type, Explained>
  (
    tool: typeof fileContent,
    input: { readonly path: string },
  ): Effect.Effect<typeof fileContent.output.Type, Explained>
}

/** The files of the workspace, a page of them from a cursor on. */
export const list = (ask: AskOwner, cursor: string | undefined, { inText }: ToolNames = plainNames) =>
  Effect.map(ask(filePaths, { pattern: "**" }), ({ paths, truncated }): ListResourcesResult => {
    const after = cursor === undefined ? "" : Buffer.from(cursor, "base64url").toString()
    const begin = after === "" ? 0 : paths.findIndex((path) => path > after)
    const page = begin < 0 ? [] : paths.slice(begin, begin + pageSize)
    const last = page.at(-1)
    return {
      resources: page.map((path) => {
        const mimeType = typeOf(path)
        return { uri: uriOf(path), name: path, ...(mimeType === undefined ? {} : { mimeType }) }
      }),
      ...(last === undefined || last === paths.at(-1)
        ? truncated
          ? { _meta: { [truncatedKey]: inText(leftOut) } }
          : {}
        : { nextCursor: Buffer.from(last).toString("base64url") }),
    }
  })

/** One file: as text where it is such, in base64 otherwise. */
export const read = (ask: AskOwner, uri: string) =>
  Effect.gen(function* () {
    const path = pathOf(uri)
    if (path === undefined) return yield* new UnknownResource({ uri, scheme: workspaceScheme })
    return yield* contents(ask, uri, path)
  })

/** What a file of the workspace holds, under the URI that it was asked for by. */
export const contents = (ask: AskOwner, uri: string, path: string) =>
  Effect.gen(function* () {
    const { base64 } = yield* ask(fileContent, { path })
    const text = textOf(Buffer.from(base64, "base64"))
    const mimeType = typeOf(path) ?? (text === undefined ? "application/octet-stream" : "text/plain")
    return {
      contents: [{ uri, mimeType, ...(text === undefined ? { blob: base64 } : { text }) }],
    } satisfies ReadResourceResult
  })

export const templates = [template]

export const complete = (
  ask: AskOwner,
  ref: CompleteRequest["params"]["ref"],
  begin: string,
): Effect.Effect<CompleteResult, Explained> =>
  ref.type === "ref/resource" && ref.uri === template.uriTemplate
    ? pathsFrom(ask, begin)
    : Effect.succeed({ completion: { values: [] } })

/** Paths of the workspace that begin so. */
export const pathsFrom = (ask: AskOwner, begin: string) =>
  Effect.map(
    ask(filePaths, { pattern: `${begin.replace(/[*?[\]{}\\]/g, "\\$&")}**` }),
    ({ paths, truncated }): CompleteResult => ({
      completion: {
        values: paths.slice(0, maxValues),
        total: paths.length,
        hasMore: truncated || paths.length > maxValues,
      },
    }),
  )

/** A failure as the protocol's error: a resource that is not there has a code of its own. */
export const errorOf = (error: Explained) => {
  const { code, message, next } = failureOf(error)
  return new McpError(
    code === "not_found" ? resourceNotFound : ErrorCode.InvalidParams,
    `${message} ${next}`,
    { code },
  )
}

/** It names nothing that this server could have. */
export class UnknownResource extends Schema.TaggedError<UnknownResource>()("UnknownResource", {
  uri: Schema.String,
  scheme: Schema.String,
}) {
  override get message() {
    return `${this.uri.slice(0, 200)} is no ${this.scheme} URI.`
  }
  readonly next = "List the resources, then take one of them."
}

/** MCP 2025-11-25, "Resources", "Error Handling". */
const resourceNotFound = -32002

export const isResource = (uri: string) => pathOf(uri) !== undefined

/** By the name's ending; of source code not as media files with the same ending would be. */
const typeOf = (path: string) => sources[/\.(\w+)$/.exec(path)?.[1] ?? ""] ?? mime.getType(path) ?? undefined

const sources: Readonly<Record<string, string>> = {
  c: "text/x-c",
  cpp: "text/x-c++",
  go: "text/x-go",
  h: "text/x-c",
  java: "text/x-java",
  jsx: "text/javascript",
  py: "text/x-python",
  rb: "text/x-ruby",
  rs: "text/x-rust",
  sh: "text/x-shellscript",
  toml: "text/x-toml",
  ts: "text/x-typescript",
  tsx: "text/x-typescript",
}

const pageSize = 200

/** Said where a list ends before the workspace does. */
export const leftOut = `Only ${maxPaths.toLocaleString("en")} files are listed; there are more, which list_files shows folder by folder.`
const truncatedKey = "io.codegen-mcp/truncated"

/** Of one completion. (MCP 2025-11-25, "Completion".) */
export const maxValues = 100
