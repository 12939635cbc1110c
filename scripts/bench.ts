/** Benchmarks. Each is one file in `bench/`, named in the list below. */
import { Effect, Schema } from "effect"
import { writeFileSync } from "node:fs"
import { parseArgs } from "node:util"
import { type Bench, Results } from "./bench/Bench.ts"
import { calls } from "./bench/Calls.ts"
import { checkpoint } from "./bench/Checkpoint.ts"
import { failover } from "./bench/Failover.ts"
import { mcp } from "./bench/Mcp.ts"
import { sandbox } from "./bench/Sandbox.ts"
import { table } from "./bench/Table.ts"
import { tools } from "./bench/Tools.ts"
import { run } from "./process/Script.ts"
import { misuse, StartError } from "./process/StartError.ts"

const benches: ReadonlyArray<Bench> = [calls, mcp, sandbox, checkpoint, failover, tools]

const usage = `Usage: npm run bench -- NAME [options]

${benches.map(({ name, summary }) => `  ${name.padEnd(14)} ${summary}`).join("\n")}

  --json FILE    write the results to FILE, as JSON
  --no-install   install no system package
  --help         show this

Prints a table, and ends with code 1 where a result misses its target. Measure on a quiet machine.
`

const wrong = (problem: string) =>
  new StartError({ problem: `${problem}.`, remedy: "`npm run bench -- --help` lists benches and options." })

const commandLine = Effect.try({
  try: () =>
    parseArgs({
      options: {
        json: { type: "string" },
        "no-install": { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
      allowPositionals: true,
      strict: true,
    }),
  catch: (cause) => wrong(misuse(cause)),
})

const write = (file: string, text: string) =>
  Effect.try({
    try: () => writeFileSync(file, text),
    catch: (cause) =>
      new StartError({
        problem: `${file} cannot be written.`,
        remedy: "Name a file in a folder that exists.",
        cause,
      }),
  })

const json = Schema.parseJson(Results, { space: 2 })

run(
  Effect.gen(function* () {
    const { values, positionals } = yield* commandLine
    if (values.help === true) return yield* Effect.sync(() => void process.stdout.write(usage))
    const bench = benches.find(({ name }) => name === positionals[0])
    if (bench === undefined || positionals.length > 1) {
      return yield* wrong(
        positionals.length === 0 ? "No bench is named" : `There is no bench ${positionals.join(" ")}`,
      )
    }
    // Now, and not after a minute of measuring, is the time to find out that the file cannot be written.
    if (values.json !== undefined) yield* write(values.json, "[]\n")
    const results = yield* Effect.scoped(bench.measure({ install: values["no-install"] !== true }))
    yield* Effect.sync(() => process.stdout.write(`\n${table(results)}\n`))
    if (values.json !== undefined) {
      yield* Effect.flatMap(Effect.orDie(Schema.encode(json)(results)), (text) =>
        write(values.json ?? "", `${text}\n`),
      )
    }
    const missed = results.filter(({ pass }) => pass === false).map(({ name }) => name)
    if (missed.length > 0) {
      return yield* new StartError({
        problem: `These miss their target: ${missed.join(", ")}.`,
        remedy: "Measure again on a quiet machine before you believe it.",
      })
    }
  }),
  { interrupted: 130 },
)
