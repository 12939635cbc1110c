/** What a checker is: a program that finds fault with a project's files, and how to read what it says. */
import type { RawFinding } from "./Finding.ts"
import type { CheckedProject } from "./CheckedProject.ts"
import type { Written } from "./Written.ts"

/** What is checked: rules, types, or the form of the text. */
export type Kind = "lint" | "types" | "format"

export const languages = ["Python", "JavaScript", "Go", "Rust"] as const
export type Language = (typeof languages)[number]

export interface CheckerOutput {
  readonly stdout: Written
  readonly stderr: Written
  readonly code: number | undefined
}

export interface Checker {
  readonly name: string
  readonly kind: Kind
  readonly language: Language
  /** Found in the folders of the project that hold programs, or on the PATH. */
  readonly program: string
  /** The project asks for it, by a file of its own or among what it depends on. */
  readonly isAskedFor: (project: CheckedProject) => boolean
  /** Of use in any project of its language, also in one that does not ask for it. */
  readonly isCommon: boolean
  readonly args: ReadonlyArray<string>
  /** Of a formatter: what makes it change the files. */
  readonly writeArgs?: ReadonlyArray<string>
  readonly env?: Readonly<Record<string, string>>
  readonly read: (output: CheckerOutput) => ReadonlyArray<RawFinding>
  /** What to install where it is missing. */
  readonly install: string
}
