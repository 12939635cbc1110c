/**
 * The workspaces of a principal's sessions as the protocol's resources where there are no connections, and a URI must
 * say which session it means: `workspace://`, the session's id, and a path.
 */
import type {
  CompleteResult,
  ListResourcesResult,
  ReadResourceResult,
} from "@modelcontextprotocol/sdk/types.js"
import { Effect, Option, Schedule, Stream } from "effect"
import type { Explained } from "../domain/Failure.ts"
import type { Principal } from "../domain/Identity.ts"
import type { SessionDirectory } from "../domain/SessionDirectory.ts"
import type { SessionError } from "../domain/SessionError.ts"
import { decodePath, encodePath, uriOf as workspaceUriOf } from "../domain/WorkspaceUri.ts"
import type { Sessions } from "../session/Sessions.ts"
import { filePaths } from "../tools/WorkspaceResources.ts"
import { contents, pathsFrom, UnknownResource, maxValues } from "./Resources.ts"
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
        const { paths } = yield* ask(filePaths, { pattern: "**" })
        const text = paths.map((path) => `${uriOf(session, path)}\r\n`).join("")
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
        const sessions = new Map<string, Array<{ readonly uri: string; readonly file: string }>>()
        for (const uri of uris) {
          const place = placeOf(uri)
          if (place === undefined) return yield* new UnknownResource({ uri, scheme })
          const { path, session } = place
          sessions.set(session, [...(sessions.get(session) ?? []), { uri, file: workspaceUriOf(path) }])
        }
        const streams = yield* Effect.forEach(
          sessions,
          Effect.fnUntraced(function* ([session, wanted]) {
            const { id } = yield* directory.find(principal, session)
            const uris = wanted.map(({ file }) => file)
            const { watched } = yield* changes(id, { uris, begins: true, watched: null }, 0)
            return Stream.unfoldEffect(watched, (watched) =>
              changes(id, { uris, begins: false, watched }).pipe(
                Effect.map((page) =>
                  Option.some([wanted.filter(({ file }) => page.uris.includes(file)), page.watched] as const),
                ),
                // Whoever cannot be asked now is asked again.
                Effect.retry({
                  while: ({ _tag }) => _tag === "Unavailable" || _tag === "SessionMoved",
                  schedule: Schedule.spaced("1 second"),
                }),
                Effect.orElseSucceed(() => Option.none()),
              ),
            ).pipe(Stream.flatMap((changed) => Stream.fromIterable(changed.map(({ uri }) => uri))))
          }),
          { concurrency: 8 },
        )
        return Stream.mergeAll(streams, { concurrency: "unbounded" })
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
