/** Sessions of a cluster that is not there: notes which session was to be released. */
import { Context, Effect, Layer } from "effect"
import type { SessionId } from "../../src/domain/Identity.ts"
import { Sessions } from "../../src/session/Sessions.ts"

export class RecordedReleases extends Context.Tag("codegen-mcp/test/RecordedReleases")<
  RecordedReleases,
  Array<SessionId>
>() {
  static readonly layer = Layer.effect(
    Sessions,
    Effect.map(RecordedReleases, (released) => ({
      call: () => Effect.dieMessage("no call is part of this test"),
      resume: () => Effect.dieMessage("no call is part of this test"),
      answer: () => Effect.dieMessage("no call is part of this test"),
      listen: () => Effect.dieMessage("no call is part of this test"),
      changes: () => Effect.dieMessage("no call is part of this test"),
      subscribe: () => Effect.dieMessage("no call is part of this test"),
      post: () => Effect.dieMessage("no call is part of this test"),
      cancel: () => Effect.dieMessage("no call is part of this test"),
      note: () => Effect.dieMessage("no call is part of this test"),
      isHere: () => false,
      release: (id) => Effect.sync(() => void released.push(id)),
    })),
  ).pipe(Layer.provideMerge(Layer.sync(RecordedReleases, (): Array<SessionId> => [])))
}
