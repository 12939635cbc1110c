/** The nodes that a state file names, as they are now. */
import { Either, Schema } from "effect"
import { readFileSync, statSync } from "node:fs"
import { ClusterState } from "./ClusterState.ts"

/** Gives the urls of the nodes. */
export type Follower = () => ReadonlyArray<string>

/**
 * Follows a state file. It looks at the file when it is asked, at most every 50 ms as long as it knows a node.
 * A file that is missing or broken changes nothing.
 */
export const follow = (file: string): Follower => {
  let urls: ReadonlyArray<string> = []
  let seen = ""
  let lookedAt = 0
  return () => {
    const now = Date.now()
    if (urls.length > 0 && now - lookedAt < 50) return urls
    lookedAt = now
    const stat = statSync(file, { throwIfNoEntry: false, bigint: true })
    const version = stat === undefined ? seen : `${stat.ino} ${stat.mtimeNs} ${stat.size}`
    if (version === seen) return urls
    seen = version
    const state = Either.flatMap(
      Either.try(() => readFileSync(file, "utf8")),
      decode,
    )
    if (Either.isRight(state)) urls = state.right.nodes.map((node) => node.url)
    return urls
  }
}

const decode = Schema.decodeEither(Schema.parseJson(ClusterState))
