import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { build } from "esbuild"
import { spawn } from "node:child_process"
import { readdirSync, rmSync, statSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import * as StateFile from "../../scripts/cluster/StateFile.ts"
import * as Project from "../../scripts/process/Project.ts"
import { cluster, stateFile } from "./Upstream.ts"

describe("StateFile", () => {
  it.scopedLive("gives back what was written", () =>
    Effect.gen(function* () {
      const file = yield* stateFile
      const state = cluster(["http://127.0.0.1:4001"])
      yield* StateFile.write(file, state)
      assert.deepStrictEqual(yield* StateFile.read(file), state)
    }),
  )

  it.scopedLive("may be read by its owner alone, also where an older file was open to all", () =>
    Effect.gen(function* () {
      const file = yield* stateFile
      yield* Effect.sync(() => writeFileSync(file, "old", { mode: 0o666 }))
      yield* StateFile.write(file, cluster([]))
      assert.strictEqual(statSync(file).mode & 0o777, 0o600)
    }),
  )

  it.scopedLive("shows readers the old or the new contents, and leaves no other file", () =>
    Effect.gen(function* () {
      const file = yield* stateFile
      const [few, many] = [
        cluster([]),
        cluster(Array.from({ length: 300 }, (_, i) => `http://127.0.0.1:${i}`)),
      ]
      yield* StateFile.write(file, few)
      const reader = yield* watchSizes(file)
      for (let i = 0; i < 200; i++) yield* StateFile.write(file, i % 2 === 0 ? many : few)
      const sizes = yield* reader.sizes
      const whole = new Set([few, many].map((state) => `${JSON.stringify(state, null, 2)}\n`.length))
      assert.isAbove(sizes.length, 1)
      assert.deepStrictEqual(
        sizes.filter((size) => !whole.has(size)),
        [],
      )
      assert.deepStrictEqual(readdirSync(dirname(file)), ["state.json"])
    }),
  )

  it.scopedLive("loses none of the updates that several processes make at once", () =>
    Effect.gen(function* () {
      const file = yield* stateFile
      yield* StateFile.write(file, cluster([]))
      const program = yield* updater
      yield* Effect.forEach([1, 2, 3, 4], (n) => ends(program, [file, `writer-${n}`]), {
        concurrency: "unbounded",
      })
      const { nodes } = yield* StateFile.read(file)
      assert.strictEqual(new Set(nodes.map((node) => node.id)).size, 80)
    }),
  )

  it.scopedLive("says what to do where there is no state", () =>
    Effect.gen(function* () {
      const file = yield* stateFile
      const missing = yield* Effect.flip(StateFile.read(file))
      assert.include(missing.message, "--state")
      yield* Effect.sync(() => writeFileSync(file, "{"))
      const broken = yield* Effect.flip(StateFile.read(file))
      assert.include(broken.message, "is not the state file")
    }),
  )
})

/** Another process that reads the file for as long as this one writes; gives the distinct sizes that it saw. */
const watchSizes = (file: string) =>
  Effect.gen(function* () {
    const program = `
      const { readFileSync } = require("node:fs")
      const seen = new Set()
      process.on("SIGTERM", () => { process.stdout.write(JSON.stringify([...seen])); process.exit(0) })
      const look = () => { for (let i = 0; i < 200; i++) seen.add(readFileSync(${JSON.stringify(file)}, "utf8").length); setImmediate(look) }
      look()
      process.stdout.write("[]\\n")`
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => spawn(process.execPath, ["-e", program], { stdio: ["ignore", "pipe", "inherit"] })),
      (child) => Effect.sync(() => child.kill("SIGKILL")),
    )
    let output = ""
    child.stdout.on("data", (chunk: Buffer) => (output += String(chunk)))
    yield* Effect.async<void>((resume) => void child.stdout.once("data", () => resume(Effect.void)))
    const sizes = Effect.async<ReadonlyArray<number>>((resume) => {
      child.once("close", () =>
        resume(Effect.sync(() => JSON.parse(output.split("\n")[1] ?? "[]") as Array<number>)),
      )
      child.kill("SIGTERM")
    })
    return { sizes }
  })

/** A program that adds 20 nodes to a state file, each by an update of its own. */
const updater = Effect.acquireRelease(
  Effect.promise(() =>
    build({
      stdin: {
        contents: `
          import { Effect } from "effect"
          import * as StateFile from "./scripts/cluster/StateFile.ts"
          const [, , file, name] = process.argv
          const node = (i) => ({ id: name + "-" + i, incarnation: "i", url: "http://127.0.0.1:1", pid: 1 })
          const add = (i) => StateFile.update(file, (state) => ({ ...state, nodes: [...state.nodes, node(i)] }))
          Effect.runPromise(Effect.forEach(Array.from({ length: 20 }, (_, i) => i), add))`,
        resolveDir: Project.root,
      },
      outfile: join(Project.generated, "test", `updater-${process.pid}.mjs`),
      bundle: true,
      packages: "external",
      format: "esm",
      platform: "node",
    }),
  ).pipe(Effect.as(join(Project.generated, "test", `updater-${process.pid}.mjs`))),
  (file) => Effect.sync(() => rmSync(file, { force: true })),
)

/** Runs a program to its end, which must be a good one. */
const ends = (program: string, args: ReadonlyArray<string>) =>
  Effect.async<void>((resume) => {
    const child = spawn(process.execPath, [program, ...args], { stdio: "inherit" })
    child.once("exit", (code) =>
      resume(code === 0 ? Effect.void : Effect.dieMessage(`it ended with ${code}`)),
    )
  })
