/**
 * The tiers of tests, one after another: `unit` needs neither Docker nor Postgres, `engine` needs both, `cluster`
 * starts whole clusters, `faults` repeats and prolongs what `cluster` does once. `scripts/test` gives them
 * TEST_DATABASE_URL and SANDBOX_IMAGE, and runs the first three. `runners` needs an image that `npm run test:runners`
 * makes.
 */
import { defineConfig } from "vitest/config"

const engine = "test/**/*.integration.test.ts"
const cluster = "test/cluster/**/*.test.ts"
const faults = "test/faults/**/*.test.ts"
const runners = "test/runners/**/*.test.ts"

/** Files of one process, one after another. */
const inTurn = { pool: "forks", poolOptions: { forks: { singleFork: true } } } as const

const limit = (seconds: number) => ({
  testTimeout: seconds * 1000,
  hookTimeout: seconds * 1000,
  teardownTimeout: 30_000,
})

export default defineConfig({
  test: {
    coverage: { provider: "v8", include: ["src/**"], reportsDirectory: "coverage" },
    projects: [
      {
        test: {
          name: "unit",
          include: ["test/**/*.test.ts"],
          exclude: [engine, cluster, faults, runners],
          sequence: { groupOrder: 0 },
          ...limit(10),
        },
      },
      {
        test: {
          name: "engine",
          include: [engine],
          exclude: [cluster, faults],
          sequence: { groupOrder: 1 },
          ...inTurn,
          ...limit(60),
        },
      },
      {
        test: { name: "cluster", include: [cluster], sequence: { groupOrder: 2 }, ...inTurn, ...limit(120) },
      },
      {
        test: { name: "runners", include: [runners], sequence: { groupOrder: 3 }, ...inTurn, ...limit(120) },
      },
      { test: { name: "faults", include: [faults], sequence: { groupOrder: 3 }, ...inTurn, ...limit(600) } },
    ],
  },
})
