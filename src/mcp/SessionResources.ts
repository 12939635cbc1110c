/**
 * The workspaces of a principal's sessions as the protocol's resources where there are no connections, and a URI must
 * say which session it means: `workspace://`, the session's id, and a path.
 */
import type {
  CompleteResult,
  ListResourcesResult,
  ReadResourceResult,
} from "@modelcontextprotocol/sdk/types.js"
import { Effect, Stream } from "effect"
import type { Explained } from "../domain/Failure.ts"
import type { Principal } from "../domain/Identity.ts"
import type { SessionDirectory } from "../domain/SessionDirectory.ts"
import type { SessionError } from "../domain/SessionError.ts"
import { decodePath, encodePath, uriOf as workspaceUriOf } from "../domain/WorkspaceUri.ts"
import type { Sessions } from "../session/Sessions.ts"
import { filePaths } from "../tools/files/WorkspaceResources.ts"
import type { ToolNames } from "../tools/ToolNames.ts"
import { pages } from "./Pages.ts"
import { contents, leftOut, maxValues, pathsFrom, UnknownResource } from "./Resources.ts"
import type { ToolCalls } from "./ToolCalls.ts"

const scheme = "workspace://"

export const template = {
  uriTemplate: `${scheme}{session_id}/{+path}`,
  name: "workspace",
  title: "Files of a session's workspace",
  description:
    "A file of the workspace of a session, by the session's id and the file's path relative to /workspace. " +
    "Without a path: the URIs of all files.",
}

export interface SessionResources {
  /** The principal's sessions, each as the list of its files. Starts no sandbox. */
  readonly list: Effect.Effect<ListResourcesResult, Explained>
  /** One file, or the URIs of all of a session. */
  readonly read: (uri: string) => Effect.Effect<ReadResourceResult, Explained>
  /** Session ids, or paths of the session that the other argument names. */
  readonly complete: (
    argument: { readonly name: string; readonly value: string },
    others: Readonly<Record<string, string>>,
  ) => Effect.Effect<CompleteResult, Explained>
  /** Those of the resources that change from now on, or may have, as often as they do. */
  readonly updates: (
    uris: ReadonlyArray<string>,
  ) => Effect.Effect<Stream.Stream<string>, UnknownResource | SessionError>
}

export const make = (
  principal: Principal,
  directory: SessionDirectory["Type"],
  { askOwner }: Pick<ToolCalls["Type"], "askOwner">,
  { changes }: Pick<Sessions["Type"], "changes">,
  { inText }: ToolNames,
): SessionResources => {
  const ownerOf = (session: string) =>
    Effect.map(directory.find(principal, session), ({ id }) => askOwner({ session: id }))

  return {
    list: Effect.map(directory.list(principal), (sessions) => ({
      resources: sessions.map(({ id, name }) => ({
        uri: uriOf(id, ""),
        name: name ?? id,
        description: "The URIs of this session's files.",
        mimeType: listType,
      })),
    })),

    read: (uri) =>
      Effect.gen(function* () {
        const place = placeOf(uri)
        if (place === undefined) return yield* new UnknownResource({ uri, scheme })
        const { path, session } = place
        const ask = yield* ownerOf(session)
        if (path !== "") return yield* contents(ask, uri, path)
        const { paths, truncated } = yield* ask(filePaths, { pattern: "**" })
        // A line that begins so is a comment. (RFC 2483, 5.)
        const end = truncated ? `# ${inText(leftOut)}\r\n` : ""
        const text = paths.map((path) => `${uriOf(session, path)}\r\n`).join("") + end
        return { contents: [{ uri, mimeType: listType, text }] }
      }),

    complete: ({ name, value }, { session_id: session }) =>
      Effect.gen(function* () {
        if (name === "path" && session !== undefined) return yield* pathsFrom(yield* ownerOf(session), value)
        const sessions = name === "session_id" ? yield* directory.list(principal) : []
        const values = sessions.map(({ id }) => id).filter((id) => id.startsWith(value))
        return { completion: { values: values.slice(0, maxValues), total: values.length } }
      }),

    updates: (uris) =>
      Effect.gen(function* () {
        const wanted = yield* Effect.forEach(uris, (uri) => {
          const place = placeOf(uri)
          return place === undefined
            ? new UnknownResource({ uri, scheme })
            : Effect.succeed({ uri, session: place.session, file: workspaceUriOf(place.path) })
        })
        const streams = yield* Effect.forEach(
          new Set(wanted.map(({ session }) => session)),
          Effect.fnUntraced(function* (session) {
            const { id } = yield* directory.find(principal, session)
            const its = wanted.filter((one) => one.session === session)
            const uris = its.map(({ file }) => file)
            const { watched } = yield* changes(id, { uris, begins: true, watched: null }, 0)
            return pages(watched, (watched) =>
              Effect.map(
                changes(id, { uris, begins: false, watched }),
                (page) => [page.uris, page.watched] as const,
              ),
            ).pipe(
              Stream.flatMap((changed) =>
                Stream.fromIterable(its.filter(({ file }) => changed.includes(file))),
              ),
            )
          }),
          { concurrency: 8 },
        )
        return Stream.map(Stream.mergeAll(streams, { concurrency: "unbounded" }), ({ uri }) => uri)
      }),
  }
}

/** RFC 2483, section 5. */
const listType = "text/uri-list"

const uriOf = (session: string, path: string) => `${scheme}${session}/${encodePath(path)}`

const placeOf = (uri: string) => {
  const [, session, encoded] = /^workspace:\/\/([^/]+)\/(.*)$/s.exec(uri) ?? []
  const path = encoded === undefined ? undefined : decodePath(encoded)
  return session === undefined || path === undefined ? undefined : { session, path }
}
