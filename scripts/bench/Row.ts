/** One line of the results: our number, what it is measured against, and what it has to be. */
import { cpus, loadavg } from "node:os"
import type { Result } from "./Bench.ts"
import { percentile } from "./Sampling.ts"

/** `ratio` is ours divided by the baseline. */
interface Target {
  readonly of: "ratio" | "ours"
  readonly is: "at least" | "at most"
  readonly value: number
}

export interface Measured {
  readonly name: string
  readonly unit: string
  readonly ours: number
  readonly n: number
  /** `what` names it. */
  readonly baseline?: { readonly what: string; readonly value: number }
  readonly target?: Target
  readonly settings?: Result["settings"]
}

export const row = ({ name, unit, ours, n, baseline, target, settings }: Measured): Result => {
  const ratio = baseline === undefined ? null : ours / baseline.value
  const measured = target?.of === "ratio" ? (ratio ?? Number.NaN) : ours
  return {
    name,
    unit,
    baseline: baseline?.value ?? null,
    ours,
    ratio,
    target: target?.value ?? null,
    pass:
      target === undefined
        ? null
        : target.is === "at least"
          ? measured >= target.value
          : measured <= target.value,
    n,
    settings: {
      ...(baseline === undefined ? {} : { baseline: baseline.what }),
      ...(target === undefined ? {} : { target: `${target.of} ${target.is} ${target.value}` }),
      ...settings,
      node: process.version,
      cpus: cpus().length,
      load: loadavg()[0] ?? 0,
    },
  }
}

export const median = (latencies: ReadonlyArray<number>): number => percentile({ latencies }, 0.5)
