/** `edit_file` and `search_files` among 20,000 files, beside what they do without a tool. */
import { Effect } from "effect"
import type { Explained } from "../../../src/domain/Failure.ts"
import { editFile } from "../../../src/tools/files/EditFile.ts"
import { searchFiles } from "../../../src/tools/files/SearchFiles.ts"
import type { Result } from "../Bench.ts"
import { median, row } from "../Row.ts"
import { type Probe, sample } from "../Sampling.ts"
import * as Node from "../sandbox/Node.ts"
import { callsOf } from "./ToolCall.ts"

/** 200 folders of 100 files of some 1 KB; one line in all of them, one in a single one. */
const make = `import os
for folder in range(200):
    os.makedirs(f"src/{folder}")
    for file in range(100):
        with open(f"src/{folder}/{file}.py", "w") as out:
            out.write(f"def common_{folder}_{file}():\\n" + "    value = compute(value) + 1\\n" * 32)
with open("src/150/50.py", "a") as out:
    out.write("needle = 1\\n")
`

const edited = "/workspace/edited.py"
const line = "    value = compute(value) + 1\n"

export const files = Effect.gen(function* () {
  const sandbox = yield* Node.acquire
  const call = yield* callsOf(sandbox)
  yield* Node.run(sandbox, ["python3", "-c", make], "end")
  yield* sandbox.files.write(edited, Buffer.from(`${line.repeat(400)}edit = 0\n${line.repeat(400)}`))

  let count = 0
  const edit = Effect.gen(function* () {
    const edits = [{ old_text: `edit = ${count}\n`, new_text: `edit = ${++count}\n` }]
    yield* editFile.handler({ path: edited, edits }, yield* call)
  })
  const readAndWrite = Effect.flatMap(sandbox.files.read(edited, 0, 1_000_000), ({ data }) =>
    sandbox.files.write(edited, data),
  )
  const search = (pattern: string) => Effect.flatMap(call, (call) => searchFiles.handler({ pattern }, call))
  const ripgrep = (...args: ReadonlyArray<string>) => Node.run(sandbox, ["rg", "-n", ...args], "end")

  const compare = (
    name: string,
    what: string,
    ours: Effect.Effect<unknown, Explained>,
    baseline: Effect.Effect<unknown, Explained | { readonly message: string }>,
    block: number,
    atMost: number,
  ) =>
    Effect.gen(function* () {
      const probes: ReadonlyArray<Probe<{ readonly message: string }>> = [
        { name: "ours", once: () => Effect.asVoid(ours) },
        { name: "baseline", once: () => Effect.asVoid(baseline) },
      ]
      yield* sample(probes, { clients: 1, block: 2, rounds: 1, budgetMs: 10_000 })
      const taken = yield* sample(probes, { clients: 1, block, rounds: 15, budgetMs: 20_000 })
      const [one, other] = [taken.get("ours")?.latencies ?? [], taken.get("baseline")?.latencies ?? []]
      return row({
        name,
        unit: "ms",
        ours: median(one),
        baseline: { what, value: median(other) },
        target: { of: "ratio", is: "at most", value: atMost },
        n: one.length,
        settings: { files: 20_000, block },
      })
    })
  const results: ReadonlyArray<Result> = [
    yield* compare("edit_file of 25 KB, p50", "read and write by the agent", edit, readAndWrite, 20, 1.5),
    yield* compare(
      "search_files, one line, p50",
      "rg as a command",
      search("needle"),
      ripgrep("needle"),
      2,
      3,
    ),
    yield* compare(
      "search_files, 100 lines of 20,000, p50",
      "rg as a command, all lines",
      search("def common"),
      ripgrep("def common"),
      2,
      1,
    ),
  ]
  return results
}).pipe(Effect.scoped)
