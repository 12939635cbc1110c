/** What of a call's arguments does not fit its tool, in words for whoever has to correct it. */
import { JSONSchema, ParseResult, type Schema } from "effect"

/** Each place once, with what may stand there as the tool's JSON schema says it, and what stands there. */
export const misfits = (schema: Schema.Schema.AnyNoContext, error: ParseResult.ParseError): string => {
  const whole = JSONSchema.make(schema) as unknown as Described
  const said = new Map<string, string>()
  for (const { path, message } of ParseResult.ArrayFormatter.formatErrorSync(error)) {
    const place = path.join(".")
    if (said.has(place)) continue
    const allowed = allowedBy(at(whole, path))
    // The library says a description in place of what it describes.
    const actual = /^Expected .*, actual (.*)$/s.exec(message)?.[1]
    said.set(
      place,
      allowed === undefined || actual === undefined
        ? `${place}: ${message}`
        : `${place}: must be ${allowed}, not ${actual.slice(0, maxActual)}`,
    )
  }
  return [...said.values()].join("; ")
}

/** Characters that are shown of what was given. */
const maxActual = 200

/** What is read of a JSON schema. */
interface Described {
  readonly type?: string
  readonly enum?: ReadonlyArray<unknown>
  readonly pattern?: string
  readonly minimum?: number
  readonly exclusiveMinimum?: number
  readonly maximum?: number
  readonly minLength?: number
  readonly maxLength?: number
  readonly minItems?: number
  readonly maxItems?: number
  readonly items?: Described
  readonly properties?: Readonly<Record<string, Described>>
}

const at = (schema: Described, path: ReadonlyArray<PropertyKey>) =>
  path.reduce<Described | undefined>(
    (found, key) => (typeof key === "number" ? found?.items : found?.properties?.[String(key)]),
    schema,
  )

const allowedBy = (schema: Described | undefined): string | undefined => {
  if (schema?.enum !== undefined)
    return `one of ${schema.enum.map((value) => JSON.stringify(value)).join(", ")}`
  switch (schema?.type) {
    case "integer":
    case "number":
      return `${schema.type === "integer" ? "an integer" : "a number"}${between(schema)}`
    case "string":
      return `a string${ofSize(schema.minLength, schema.maxLength, "characters")}${schema.pattern === undefined ? "" : ` that matches ${schema.pattern}`}`
    case "array":
      return `a list${ofSize(schema.minItems, schema.maxItems, "items")}`
    default:
      return undefined
  }
}

const between = ({ exclusiveMinimum: below, maximum: most, minimum: least }: Described) => {
  if (below !== undefined) return ` above ${below}`
  if (least !== undefined && most !== undefined) return ` from ${least} to ${most}`
  if (least !== undefined) return ` of ${least} or more`
  return most === undefined ? "" : ` of ${most} or less`
}

const ofSize = (least: number | undefined, most: number | undefined, what: string) => {
  if (least !== undefined && most !== undefined) return ` of ${least} to ${most} ${what}`
  if (least !== undefined) return ` of ${least} or more ${what}`
  return most === undefined ? "" : ` of ${most} ${what} at most`
}
