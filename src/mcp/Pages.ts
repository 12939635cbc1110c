/** What an owner tells page by page, for as long as somebody listens. */
import { Effect, Option, Schedule, Stream } from "effect"
import type { SessionError } from "../domain/SessionError.ts"

/**
 * A stream of pages, each with the place that the next one begins at, `undefined` at the end. An owner that cannot be
 * asked now is asked again; the stream ends where there is none any more.
 */
export const pages = <Page, Place>(
  from: Place,
  next: (place: Place) => Effect.Effect<readonly [Page, Place] | undefined, SessionError>,
): Stream.Stream<Page> =>
  Stream.unfoldEffect(from, (place) =>
    next(place).pipe(
      Effect.map(Option.fromNullable),
      Effect.retry({
        while: ({ _tag }) => _tag === "Unavailable" || _tag === "SessionMoved",
        schedule: Schedule.spaced("1 second"),
      }),
      Effect.orElseSucceed(() => Option.none()),
    ),
  )
