/** The resources of a workspace whose changes one client wants to hear of. */
import { Clock, Effect } from "effect"
import type { Changes, Watched } from "../domain/Notice.ts"
import { pathOf, workspaceScheme } from "../domain/WorkspaceUri.ts"
import type { Sandbox } from "../sandbox/Sandbox.ts"

export class Subscriptions {
  private readonly updated: (uri: string) => void
  private uris: ReadonlyArray<readonly [uri: string, path: string]> = []
  /** Up to where the changes are known. */
  place: Watched | undefined

  /** `updated` is told of a resource that has changed, or may have. */
  constructor(updated: (uri: string) => void, place?: Watched) {
    this.updated = updated
    this.place = place
  }

  get isEmpty() {
    return this.uris.length === 0
  }

  /** These and no others; the scheme alone stands for all files. */
  set(uris: ReadonlyArray<string>) {
    this.uris = uris.flatMap((uri) => {
      const path = uri === workspaceScheme ? "" : pathOf(uri)
      return path === undefined ? [] : [[uri, path] as const]
    })
  }

  /** From now on the sandbox is watched. */
  begin({ files, id: container }: Sandbox) {
    return Effect.suspend(() =>
      this.place?.container === container
        ? Effect.void
        : Effect.map(files.watch, ({ cursor }) => void (this.place = { container, cursor })),
    )
  }

  /** Tells what changed in the sandbox since the last look; of one that was not watched, everything. */
  look(sandbox: Sandbox) {
    return Effect.gen(this, function* () {
      const { files, id: container } = sandbox
      if (this.place?.container !== container) {
        yield* this.begin(sandbox)
        return this.tell(() => true)
      }
      for (let more = true; more;) {
        const place: Watched = this.place
        const { cursor, overflow, paths, ...page } = yield* files.changes(place.cursor, pageSize)
        this.place = { container, cursor }
        this.tell((path) => overflow || paths.some((changed) => isAt(path, changed)))
        more = page.more
      }
    }).pipe(
      // A lost sandbox is told to whoever calls next; the one after it is new.
      Effect.catchAll(() => Effect.sync(() => void (this.place = undefined))),
    )
  }

  private tell(isChanged: (path: string) => boolean) {
    for (const [uri, path] of this.uris) if (isChanged(path)) this.updated(uri)
  }
}

/** Whether a path is what changed, or below it. */
const isAt = (path: string, changed: string) =>
  path === "" || changed === "" || path === changed || path.startsWith(`${changed}/`)

const pageSize = 1000

/** A session as it is on this node. */
export interface Here {
  /** Its sandbox, where there is one. */
  readonly sandbox: () => Sandbox | undefined
  /** Whether this node still owns it. */
  readonly isHere: () => boolean
}

/** Waits until some of the resources have changed since the place, or since now where it `begins`. */
export const changes = Effect.fnUntraced(function* (
  { isHere, sandbox }: Here,
  {
    uris,
    begins,
    watched,
    waitMs,
  }: {
    readonly uris: ReadonlyArray<string>
    readonly begins: boolean
    readonly watched: Watched | null
    readonly waitMs: number
  },
) {
  const changed = new Set<string>()
  const subscriptions = new Subscriptions((uri) => changed.add(uri), watched ?? undefined)
  subscriptions.set(uris)
  const end = (yield* Clock.currentTimeMillis) + waitMs
  for (let isFirst = begins; ; isFirst = false) {
    const live = sandbox()
    if (live !== undefined) {
      yield* isFirst ? Effect.ignore(subscriptions.begin(live)) : subscriptions.look(live)
    }
    const left = end - (yield* Clock.currentTimeMillis)
    if (changed.size > 0 || left <= 0 || !isHere()) {
      return { uris: [...changed], watched: subscriptions.place ?? null } satisfies Changes
    }
    yield* Effect.sleep(Math.min(left, glance))
  }
})

/** How often it is looked whether files have changed, in milliseconds. */
export const glance = 250
