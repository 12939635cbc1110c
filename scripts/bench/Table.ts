/** Results as a person reads them. */
import type { Result } from "./Bench.ts"

/** A table with a line for each result. */
export const table = (results: ReadonlyArray<Result>): string => {
  const rows = [
    ["", "unit", "baseline", "ours", "ratio", "target", "n"],
    ...results.map(({ name, unit, baseline, ours, ratio, target, pass, n }) => [
      name,
      unit,
      number(baseline),
      number(ours),
      ratio === null ? "" : ratio.toFixed(2),
      target === null ? "" : `${number(target)} ${pass === true ? "met" : "missed"}`,
      String(n),
    ]),
  ]
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? []
  const line = (row: ReadonlyArray<string>) =>
    row
      .map((cell, column) =>
        column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join("  ")
      .trimEnd()
  return rows.map(line).join("\n")
}

const number = (value: number | null) =>
  value === null ? "" : value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)
