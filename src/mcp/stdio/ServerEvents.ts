/** Server-sent events, read as they come. (WHATWG HTML, "Server-sent events", 9.2.6.) */
import { Option, Stream } from "effect"

export interface ServerEvent {
  /** The place in the stream that a client goes on from. */
  readonly id: string | undefined
  /** Empty where the event only names a place. */
  readonly data: string
}

/** The events of a response's body. What is cut off before its empty line is no event. */
export const read = <E>(bytes: Stream.Stream<Uint8Array, E>): Stream.Stream<ServerEvent, E> =>
  bytes.pipe(
    Stream.decodeText(),
    Stream.splitLines,
    Stream.mapAccum<Fields, string, Option.Option<ServerEvent>>(nothing, (fields, line) => {
      if (line !== "") return [withLine(fields, line), Option.none()]
      const { data, id } = fields
      return [nothing, fields === nothing ? Option.none() : Option.some({ id, data: data.join("\n") })]
    }),
    Stream.filterMap((event) => event),
  )

interface Fields {
  readonly id: string | undefined
  readonly data: ReadonlyArray<string>
}

const nothing: Fields = { id: undefined, data: [] }

const withLine = (fields: Fields, line: string): Fields => {
  const [, name, value = ""] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? []
  if (name === "id") return { ...fields, id: value }
  if (name === "data") return { ...fields, data: [...fields.data, value] }
  return fields
}
