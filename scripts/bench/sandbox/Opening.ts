/** The time from the opening of a session to the end of its first command, beside the engine's create and start. */
import type Dockerode from "dockerode"
import { Effect, Schedule } from "effect"
import type { Scope } from "effect"
import { Sandboxes } from "../../../src/sandbox/Sandboxes.ts"
import { StartError } from "../../process/StartError.ts"
import * as EngineExec from "../EngineExec.ts"
import * as Node from "./Node.ts"
import { median, row } from "../Row.ts"

/** The size of the pool. */
const size = 20

export const settings = { POOL_MIN: String(size), POOL_MAX: String(size) }

export const opening = (docker: Dockerode) =>
  Effect.gen(function* () {
    const spec = yield* Effect.scoped(
      Effect.flatMap(Node.acquire, ({ id }) => EngineExec.describe(docker, id)),
    )
    const container = EngineExec.startTwin(docker, spec)
    const one = Effect.flatMap(container, EngineExec.runTrue)
    const ours = Effect.flatMap(Node.acquire, Node.runTrue)

    yield* inTurn(1, one, ours)
    const single = yield* Effect.replicateEffect(inTurn(1, one, ours), 15)
    const twenty = yield* Effect.replicateEffect(inTurn(size, container, ours), 3)
    const forty = yield* Effect.replicateEffect(inTurn(2 * size, container, ours), 2)

    const opened = (
      name: string,
      what: string,
      target: number,
      samples: ReadonlyArray<{ readonly engine: number; readonly ours: number }>,
    ) =>
      row({
        name,
        unit: "ms",
        ours: median(samples.map(({ ours }) => ours)),
        baseline: { what, value: median(samples.map(({ engine }) => engine)) },
        target: { of: "ratio", is: "at most", value: target },
        n: samples.length,
        settings: { pool: size },
      })
    return [
      opened("first command in a new sandbox", "engine create, start and exec of true", 1 / 8, single),
      opened(
        `${size} at once, each to its first command`,
        `engine create and start, ${size} at once`,
        1 / 4,
        twenty,
      ),
      opened(
        `${2 * size} at once, each to its first command`,
        `engine create and start, ${2 * size} at once`,
        3 / 4,
        forty,
      ),
    ]
  })

/** Both once, as many at once as are asked for, with what they started removed and the pool full again before each. */
const inTurn = <A, E, R, A2, E2, R2>(
  times: number,
  engine: Effect.Effect<A, E, R | Scope.Scope>,
  ours: Effect.Effect<A2, E2, R2 | Scope.Scope>,
) => {
  const atOnce = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Node.time(
      Effect.all(
        Array.from({ length: times }, () => effect),
        { concurrency: "unbounded" },
      ),
    ).pipe(Effect.parallelFinalizers, Effect.scoped)
  return Effect.gen(function* () {
    yield* poolIsFull
    const taken = yield* atOnce(ours)
    yield* poolIsFull
    return { ours: taken, engine: yield* atOnce(engine) }
  })
}

const poolIsFull = Effect.flatMap(Sandboxes, ({ pools }) =>
  pools.pipe(
    Effect.repeat({
      until: (all) => [...all.values()].every(({ ready, size }) => ready >= size),
      schedule: Schedule.spaced("20 millis"),
    }),
    Effect.timeoutFail({
      duration: "2 minutes",
      onTimeout: () =>
        new StartError({ problem: "The pool does not fill up.", remedy: "See the engine's log." }),
    }),
  ),
)
