/** Objects of JSON in a text that a sandbox made: what is something else costs little, and not without end. */
import { Option, Schema } from "effect"

/** Gives what decodes a text by a schema. After many texts that begin and end as an object does and are none that fits, none does. */
export const objectsBy = <A, I>(schema: Schema.Schema<A, I>) => {
  const decode = Schema.decodeUnknownOption(schema)
  let misfits = 0
  return (text: string): Option.Option<A> => {
    // To decode costs a hundred times as much where it fails.
    if (misfits >= maxMisfits || !text.startsWith("{") || !text.endsWith("}")) return Option.none()
    const object = Option.flatMap(parse(text), decode)
    if (Option.isNone(object)) misfits++
    return object
  }
}

const parse = Option.liftThrowable((text: string): unknown => JSON.parse(text))

const maxMisfits = 2000
