/** How a setting is read from its environment variable, and told of. */
import { Config, ConfigError, Duration, Either, Option, Schema } from "effect"
import { NetworkPolicy, shownPolicy } from "./Network.ts"

export interface Setting<A> {
  readonly name: string
  readonly config: Config.Config<A>
  /** The default as a person would write it; absent where the setting is required. */
  readonly fallback: string | undefined
  readonly meaning: string
}

export const setting = <A>(
  name: string,
  of: (name: string) => Config.Config<A>,
  fallback: { readonly value: A; readonly text: string } | undefined,
  meaning: string,
): Setting<A> => ({
  name,
  config: fallback === undefined ? of(name) : Config.withDefault(of(name), fallback.value),
  fallback: fallback?.text,
  meaning,
})

export const text = (name: string, value: string, meaning: string) =>
  setting(name, Config.nonEmptyString, { value, text: value }, meaning)

export const optional = (name: string, meaning: string) =>
  setting(
    name,
    (name) => Config.option(Config.nonEmptyString(name)),
    { value: Option.none<string>(), text: "unset" },
    meaning,
  )

/** What stands between commas. */
export const separated: Config.Config<ReadonlyArray<string>> = Config.map(Config.string(), (value) =>
  value
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== ""),
)

export const list = (
  name: string,
  meaning: string,
  value: ReadonlyArray<string> = [],
): Setting<ReadonlyArray<string>> =>
  setting(
    name,
    (name) => Config.nested(separated, name),
    { value, text: value.length === 0 ? "none" : value.join(",") },
    meaning,
  )

/** What may be reached outside: `none`, or a policy's items between commas. */
export const network = (name: string, value: NetworkPolicy, meaning: string) =>
  setting(
    name,
    (name) =>
      Config.nested(separated, name).pipe(
        Config.mapOrFail((items) =>
          Either.mapLeft(
            Schema.decodeEither(NetworkPolicy)(items.filter((item) => item !== "none")),
            (error) => ConfigError.InvalidData([], error.message),
          ),
        ),
      ),
    { value, text: shownPolicy(value) },
    meaning,
  )

export const count = (name: string, value: number, meaning: string, least = 1) =>
  setting(
    name,
    (name) =>
      Config.integer(name).pipe(
        Config.validate({ message: `must be at least ${least}`, validation: (n) => n >= least }),
      ),
    { value, text: String(value) },
    meaning,
  )

/** A number that need not be whole. */
export const amount = (name: string, value: number, meaning: string) =>
  setting(
    name,
    (name) =>
      Config.number(name).pipe(
        Config.validate({ message: "must be more than 0", validation: (n) => n > 0 && Number.isFinite(n) }),
      ),
    { value, text: String(value) },
    meaning,
  )

export const bytes = (name: string, value: number, meaning: string) =>
  count(name, value, `${meaning} (bytes)`)

export const port = (name: string, value: number, meaning: string) =>
  setting(name, Config.port, { value, text: String(value) }, meaning)

export const duration = (name: string, value: Duration.DurationInput, meaning: string) =>
  setting(
    name,
    (name) =>
      Config.duration(name).pipe(
        Config.validate({
          message: "must be a positive, finite time such as `10 seconds`",
          validation: (time) => Duration.greaterThan(time, Duration.zero) && Duration.isFinite(time),
        }),
      ),
    { value: Duration.decode(value), text: String(value) },
    meaning,
  )

/** One of several words; the first where none is given. */
export const choice = <const A extends string>(
  name: string,
  words: readonly [A, ...ReadonlyArray<A>],
  meaning: string,
) => setting(name, Config.literal(...words), { value: words[0], text: words[0] }, meaning)

/** Settings as a person reads them, one a line. */
export const described = (all: ReadonlyArray<Setting<unknown>>) => {
  const width = Math.max(...all.map(({ name }) => name.length))
  return all
    .map(({ name, fallback, meaning }) => `  ${name.padEnd(width)}  ${meaning} [${fallback ?? "required"}]`)
    .join("\n")
}
