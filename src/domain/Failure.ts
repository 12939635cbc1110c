/**
 * How a failure reaches a model: a stable code, what happened, and what to do next.
 * Every error that a caller can act on has a message and `next`; its code is its tag in snake case.
 */
import { Schema } from "effect"

export const Failure = Schema.Struct({ code: Schema.String, message: Schema.String, next: Schema.String })
export type Failure = typeof Failure.Type

/** An error that knows its remedy. */
export interface Explained {
  readonly _tag: string
  readonly message: string
  readonly next: string
  /** Where one error has several codes. */
  readonly code?: string
}

/** What went wrong in words, whatever was thrown. */
export const messageOf = (cause: unknown) => (cause instanceof Error ? cause.message : String(cause))

/** A failure that was carried as data, as an error again. */
export const explained = (failure: Failure): Explained => ({ _tag: failure.code, ...failure })

export const failureOf = (error: Explained): Failure => ({
  code: error.code ?? error._tag.replace(/(?<=[a-z])(?=[A-Z])/g, "_").toLowerCase(),
  message: error.message,
  next: error.next,
})
