/** Bytes through the `Sandbox` interface, beside the same through the engine's exec; and what a slow reader costs. */
import type Dockerode from "dockerode"
import { Effect, Stream } from "effect"
import type {
  CommandNotStarted,
  FileError,
  SandboxError,
  SandboxLost,
} from "../../../src/domain/SandboxError.ts"
import type { Unavailable } from "../../../src/domain/SessionError.ts"
import { StartError } from "../../process/StartError.ts"
import * as EngineExec from "../EngineExec.ts"
import { sample } from "../Sampling.ts"
import * as Node from "./Node.ts"
import { median, row } from "../Row.ts"

export const transfers = (docker: Dockerode) =>
  Effect.gen(function* () {
    const sandbox = yield* Node.acquire
    const container = yield* EngineExec.startTwin(docker, yield* EngineExec.describe(docker, sandbox.id))
    const { files } = sandbox
    const read = files.stream(file, 0, size).pipe(
      Stream.runFold(0, (sum, chunk) => sum + chunk.length),
      Effect.flatMap(isWhole),
    )

    const results = []
    const cases: ReadonlyArray<Case> = [
      {
        name: "output, read as it comes",
        ours: Effect.asVoid(Node.run(sandbox, output, "output")),
        engine: EngineExec.run(container, output),
      },
      {
        name: "output, read at its end",
        ours: Effect.asVoid(Node.run(sandbox, output, "end")),
        engine: EngineExec.run(container, output),
      },
      {
        name: "write of a file",
        ours: files.writeStream(file, size, Stream.fromIterable(pieces)),
        engine: EngineExec.run(container, ["sh", "-c", `cat > ${file}`], pieces),
      },
      { name: "read of a file", ours: read, engine: EngineExec.run(container, ["cat", file]) },
    ]
    for (const { name, ours, engine } of cases) {
      yield* ours
      const taken = yield* Effect.replicateEffect(
        Effect.all({ ours: Node.time(ours), engine: Node.time(engine) }),
        rounds,
      )
      results.push(
        row({
          name: `${size / 1e6} MB ${name}`,
          unit: "MB/s",
          ours: rate(taken.map(({ ours }) => ours)),
          baseline: { what: "engine exec", value: rate(taken.map(({ engine }) => engine)) },
          target: { of: "ours", is: "at least", value: 100 },
          n: rounds,
        }),
      )
    }

    const neighbour = { name: "true", once: () => Effect.asVoid(Node.runTrue(sandbox)) }
    const latencies = Effect.map(sample([neighbour], turn), (samples) => samples.get("true")?.latencies ?? [])
    const besideReader = Effect.scoped(
      Effect.gen(function* () {
        yield* Effect.forkScoped(
          Stream.runForEach(files.stream(file, 0, size), () => Effect.sleep(`${slowness} millis`)),
        )
        // Until as much as may be is on its way.
        yield* Effect.sleep("200 millis")
        return yield* latencies
      }),
    )
    yield* latencies
    const turns = yield* Effect.replicateEffect(
      Effect.all({ alone: latencies, beside: besideReader }),
      rounds,
    )
    results.push(
      row({
        name: "exec true beside a slow reader of a file, p50",
        unit: "ms",
        ours: median(turns.flatMap(({ beside }) => beside)),
        baseline: { what: "without the reader", value: median(turns.flatMap(({ alone }) => alone)) },
        target: { of: "ratio", is: "at most", value: 1.2 },
        n: rounds * turn.block,
        settings: { slowness: `a piece of 64 KiB each ${slowness} ms` },
      }),
    )
    return results
  }).pipe(Effect.scoped)

interface Case {
  readonly name: string
  readonly ours: Effect.Effect<
    void,
    SandboxError | SandboxLost | CommandNotStarted | FileError | StartError | Unavailable
  >
  readonly engine: ReturnType<typeof EngineExec.run>
}

/** In bytes. */
const size = 100_000_000

/** What is written: one piece many times, so that it takes little memory. */
const piece = Buffer.alloc(50_000, "0123456789abcde\n")
const pieces = Array.from({ length: size / piece.length }, () => piece)

const file = "/workspace/large"

const output = ["head", "-c", String(size), "/dev/zero"] as const

const rounds = 5

const turn = { clients: 1, block: 200, rounds: 1, budgetMs: 10_000 }

/** In milliseconds. */
const slowness = 50

const rate = (taken: ReadonlyArray<number>) => size / 1e6 / (median(taken) / 1000)

const isWhole = (bytes: number) =>
  bytes === size
    ? Effect.void
    : Effect.fail(
        new StartError({ problem: `Of ${size} bytes ${bytes} were read.`, remedy: "Run the tests." }),
      )
