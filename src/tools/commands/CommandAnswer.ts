/** What the tools answer of a command: how it stands, and its output as text. */
import { Schema } from "effect"
import type { CommandEnd, CommandPage, OutputCursor, OutputPiece } from "../../domain/Command.ts"
import { OperationId } from "../../domain/Identity.ts"
import { settingOf, type Template, totalMemory } from "../../sandbox/Templates.ts"
import type { Refused } from "../../sandbox/tunnel/Refusals.ts"
import type { SessionCommand } from "./SessionCommands.ts"
import { CheckpointState, type OwnerCall, partialCharacter } from "../Tool.ts"

/** `running` says that the command goes on; all others are ends. */
export const CommandStatus = Schema.Literal("exited", "running", "timed_out", "cancelled", "interrupted")

/** Fields of every answer that shows a command with its output. */
export const commandAnswer = {
  operation_id: OperationId.annotations({
    description: "Names the command in read_output and kill_command.",
  }),
  status: CommandStatus.annotations({ description: "`running`: it goes on; call read_output." }),
  exit_code: Schema.optional(Schema.Number),
  signal: Schema.optional(
    Schema.String.annotations({ description: "What ended the command, where it did not exit by itself." }),
  ),
  stdout: Schema.String,
  stderr: Schema.String,
  stdout_cursor: Schema.Number.annotations({ description: "Where read_output goes on in stdout." }),
  stderr_cursor: Schema.Number.annotations({ description: "Where read_output goes on in stderr." }),
  duration_ms: Schema.Number,
  cpu_ms: Schema.optional(Schema.Number.annotations({ description: "Processor time." })),
  peak_memory: Schema.optional(
    Schema.Number.annotations({ description: "In bytes; absent where it was small." }),
  ),
  note: Schema.optional(
    Schema.String.annotations({ description: "Which limit the command met, or what to do next." }),
  ),
  checkpoint: CheckpointState,
}

/** A cursor for those who want none of the output. */
export const endOfOutput: OutputCursor = { stdout: Infinity, stderr: Infinity }

const none: OutputPiece = { data: new Uint8Array(), skipped: 0, skippedAt: 0 }

/** Of a command that waits for its sandbox. */
export const noPage: CommandPage = {
  stdout: none,
  stderr: none,
  next: { stdout: 0, stderr: 0 },
  end: undefined,
}

/** All but the output. */
export const standing = (
  {
    operation,
    startedAt,
    sandbox,
  }: Pick<SessionCommand, "operation" | "startedAt"> & Partial<SessionCommand>,
  end: CommandEnd | undefined,
  { checkpoint, limits, template }: Pick<OwnerCall, "checkpoint" | "limits" | "template">,
) => {
  const until = end === undefined ? Infinity : startedAt + end.durationMs + 100
  const refused = refusedOf(sandbox?.network.refusals(startedAt, until) ?? [])
  const note = [end === undefined ? stillRuns : noteOf(end, limits, template), ...refused]
    .filter((sentence) => sentence !== "")
    .join(" ")
  return {
    operation_id: operation,
    ...statusOf(end),
    duration_ms: end?.durationMs ?? Math.max(0, Date.now() - startedAt),
    ...(end?.cpuMs === undefined ? {} : { cpu_ms: end.cpuMs }),
    ...(end?.peakMemory === undefined ? {} : { peak_memory: end.peakMemory }),
    ...(note === "" ? {} : { note }),
    checkpoint: end === undefined ? unlessOff(checkpoint()) : checkpoint(),
  }
}

/** What a command that runs may still change is not acknowledged by anything. */
const unlessOff = (state: CheckpointState): CheckpointState =>
  state.state === "off" ? state : { state: "pending" }

/** Whether a command runs, and how it ended if not. */
export const statusOf = (end: CommandEnd | undefined) => ({
  status: end === undefined ? ("running" as const) : statuses[end._tag],
  ...(end === undefined
    ? {}
    : end._tag === "Exited"
      ? { exit_code: end.code }
      : { signal: end._tag === "Signalled" ? end.signal : "SIGKILL" }),
})

/** The whole output so far, head and tail where it is long. */
export const summary = ({ stdout: out, stderr: err, next, end }: CommandPage) => {
  const stdout = shown(out, stdoutLimit, end !== undefined)
  const stderr = shown(err, stderrLimit, end !== undefined)
  return {
    stdout: stdout.text,
    stderr: stderr.text,
    stdout_cursor: next.stdout - stdout.held,
    stderr_cursor: next.stderr - stderr.held,
    truncated: stdout.cut || stderr.cut,
  }
}

/** The output from a cursor on, in its order and without a gap that is not said: as much as one answer takes. */
export const part = ({ stdout, stderr, end }: CommandPage, after: OutputCursor) => {
  const out = partOf(stdout, after.stdout, stdoutLimit, end !== undefined)
  const err = partOf(stderr, after.stderr, stderrLimit, end !== undefined)
  return {
    stdout: out.text,
    stderr: err.text,
    stdout_cursor: out.cursor,
    stderr_cursor: err.cursor,
    more: out.cut || err.cut,
  }
}

/** What the sandbox was refused meanwhile, in a sentence, if anything was. */
const refusedOf = (refusals: ReadonlyArray<Refused>) => {
  if (refusals.length === 0) return []
  const shown = refusals.slice(-5).map(({ reason, target }) => `${target} (${reason})`)
  const more = refusals.length - shown.length
  return [
    `Refused by the network: ${shown.join(", ")}${more > 0 ? `, and ${more} more` : ""}; session_info says what is allowed.`,
  ]
}

const stillRuns = "It still runs. Go on with read_output, from these cursors; kill_command ends it."

const statuses = {
  Exited: "exited",
  Signalled: "exited",
  TooMuchOutput: "exited",
  TimedOut: "timed_out",
  Cancelled: "cancelled",
} as const

/** The limits that the command met, in sentences. */
const noteOf = (end: CommandEnd, limits: OwnerCall["limits"], template: Template) => {
  const folder = (path: string, field: "workspace" | "home" | "tmp") =>
    `${path} is full: it holds ${mebibytes(template[field])} (${settingOf(template, field)}). Delete files that are not needed.`
  const sentences = {
    memory: `The sandbox ran out of memory and a process was killed; its limit is ${mebibytes(totalMemory(template))}, with its files in memory (${settingOf(template, "memory")} is ${mebibytes(template.memory)} of it).`,
    pids: `The sandbox could not start more processes; its limit is ${template.pids} (${settingOf(template, "pids")}). What the command left running was killed.`,
    workspace: folder("/workspace", "workspace"),
    home: folder("/home/agent", "home"),
    tmp: folder("/tmp", "tmp"),
  }
  const spilled = Object.values(end.spilled)
  return [
    ...(end._tag === "TooMuchOutput"
      ? [`The command was killed: it wrote more than ${mebibytes(limits.totalOutput)} (MAX_COMMAND_OUTPUT).`]
      : []),
    ...end.limits.map((limit) => sentences[limit]),
    ...(spilled.length === 0 ? [] : [`Longer output than is shown stands in ${spilled.join(" and ")}.`]),
  ].join(" ")
}

const mebibytes = (bytes: number) => `${Math.round(bytes / 1024 / 1024)} MiB`

/** Characters, so that an answer stays below what clients pass on to a model. */
const stdoutLimit = 24_000
const stderrLimit = 12_000

/**
 * Output as text of up to `limit` characters, counted as JSON writes them: head and tail, with a line between that
 * says how much is left out. `held` bytes at the end begin a character whose rest comes later.
 */
const shown = ({ data, skipped, skippedAt }: OutputPiece, limit: number, isLast: boolean) => {
  const held = isLast ? 0 : partialCharacter(data)
  const whole = data.subarray(0, data.length - held)
  if (skipped === 0 && cost(whole) <= limit) return { text: decode(whole), cut: false, held }
  const [head, tail] =
    skipped === 0 ? [whole, whole] : [whole.subarray(0, skippedAt), whole.subarray(skippedAt)]
  const first = fitting(head, limit / 2, (bytes, length) => bytes.subarray(0, length))
  const last = fitting(tail, limit / 2, (bytes, length) => bytes.subarray(bytes.length - length))
  const left = whole.length + skipped - first.length - last.length
  return {
    text: `${decode(first)}\n[… ${left} bytes left out; write long output to a file and read its parts …]\n${decode(last)}`,
    cut: true,
    held,
  }
}

const partOf = ({ data, skipped, skippedAt }: OutputPiece, after: number, limit: number, isLast: boolean) => {
  const isGap = skipped > 0 && skippedAt === 0
  const gapFollows = skipped > 0 && !isGap
  const begin = after + (isGap ? skipped : 0)
  const gap = isGap ? `[… ${skipped} bytes were not kept …]\n` : ""
  const whole = data.subarray(0, gapFollows ? skippedAt : data.length)
  const fits = fitting(whole, limit, (bytes, length) => bytes.subarray(0, length))
  // A character whose rest comes later is left for then; behind a gap it never comes.
  const goesOn = fits.length < whole.length || !(gapFollows || isLast)
  const text = fits.subarray(0, fits.length - (goesOn ? partialCharacter(fits) : 0))
  return { text: gap + decode(text), cursor: begin + text.length, cut: fits.length < data.length }
}

/** As much as JSON writes in `limit` characters. Some bytes cost it six, so that what stays is judged again. */
const fitting = (
  bytes: Uint8Array,
  limit: number,
  part: (bytes: Uint8Array, length: number) => Uint8Array,
): Uint8Array => {
  const taken = cost(bytes)
  return taken <= limit
    ? bytes
    : fitting(part(bytes, Math.floor((bytes.length * limit) / taken)), limit, part)
}

/** Characters of a text as JSON writes it. */
const cost = (bytes: Uint8Array) => JSON.stringify(decode(bytes)).length - 2

/** A mark of the byte order in the middle of the output is text like any other. */
const decode = (bytes: Uint8Array) => decoder.decode(bytes)
const decoder = new TextDecoder("utf-8", { ignoreBOM: true })
