/** The resources of a workspace whose changes one connection wants to hear of. */
import { Effect } from "effect"
import type { ContainerId } from "../domain/Identity.ts"
import { pathOf } from "../domain/WorkspaceUri.ts"
import type { Sandbox } from "../sandbox/Sandbox.ts"

/** Up to where the changes in a container are known. */
interface Place {
  readonly container: ContainerId
  readonly cursor: string
}

export class Subscriptions {
  private readonly updated: (uri: string) => void
  private uris: ReadonlyArray<readonly [uri: string, path: string]> = []
  private place: Place | undefined

  /** `updated` is told of a resource that has changed, or may have. */
  constructor(updated: (uri: string) => void) {
    this.updated = updated
  }

  get isEmpty() {
    return this.uris.length === 0
  }

  /** These and no others. */
  set(uris: ReadonlyArray<string>) {
    this.uris = uris.flatMap((uri) => {
      const path = pathOf(uri)
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
        const place: Place = this.place
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
  changed === "" || path === changed || path.startsWith(`${changed}/`)

const pageSize = 1000
