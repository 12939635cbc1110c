/** What `run_tests` takes beside the runner by hand, on suites of some seconds. */
import { Effect } from "effect"
import { runTests } from "../../../src/tools/tests/RunTests.ts"
import { StartError } from "../../process/StartError.ts"
import { median, row } from "../Row.ts"
import { type Probe, sample } from "../Sampling.ts"
import * as Node from "../sandbox/Node.ts"
import { callsOf } from "./ToolCall.ts"

/** Each of 300 tests that take some 5 ms. */
const suites = [
  {
    name: "pytest",
    file: "test_many.py",
    content:
      "import time, pytest\n@pytest.mark.parametrize('n', range(300))\ndef test_one(n):\n    time.sleep(0.005)\n",
    byHand: ["python3", "-m", "pytest", "/workspace/pytest"],
  },
  {
    name: "node",
    file: "many.test.mjs",
    content:
      'import { test } from "node:test"\nfor (let n = 0; n < 300; n++) test(`one ${n}`, () => new Promise((done) => setTimeout(done, 5)))\n',
    byHand: ["node", "--test", "/workspace/node/many.test.mjs"],
  },
] as const

/** Runs each suite in turns by hand and by the tool. */
export const tests = Effect.gen(function* () {
  const sandbox = yield* Node.acquire
  const calls = yield* callsOf(sandbox)
  return yield* Effect.forEach(suites, ({ byHand, content, file, name }) =>
    Effect.gen(function* () {
      yield* sandbox.files.write(`/workspace/${name}/${file}`, Buffer.from(content))
      const ours = Effect.gen(function* () {
        const { counts } = yield* runTests.handler({ cwd: name }, yield* calls)
        if (counts?.passed !== 300)
          return yield* new StartError({
            problem: `${name} passed ${counts?.passed} tests.`,
            remedy: "Run the tests.",
          })
      })
      const probes: ReadonlyArray<Probe<{ readonly message: string }>> = [
        { name: "ours", once: () => ours },
        { name: "by hand", once: () => Effect.asVoid(Node.run(sandbox, byHand, "end")) },
      ]
      yield* sample(probes, { clients: 1, block: 1, rounds: 1, budgetMs: 30_000 })
      const taken = yield* sample(probes, { clients: 1, block: 1, rounds: 11, budgetMs: 90_000 })
      const latencies = taken.get("ours")?.latencies ?? []
      return row({
        name: `run_tests, 300 tests of ${name}, p50`,
        unit: "ms",
        ours: median(latencies),
        baseline: {
          what: byHand.slice(0, -1).join(" "),
          value: median(taken.get("by hand")?.latencies ?? []),
        },
        target: { of: "ratio", is: "at most", value: 1.1 },
        n: latencies.length,
      })
    }),
  )
}).pipe(Effect.scoped)
