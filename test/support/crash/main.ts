/** A node that kills itself at the point that its data folder names: the product's own layers, some of them wrapped. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Effect, Layer } from "effect"
import { serveWith, standard } from "../../../src/node/Node.ts"
import type { Sandbox } from "../../../src/sandbox/Sandbox.ts"
import { Sandboxes } from "../../../src/sandbox/Sandboxes.ts"
import { SessionRows } from "../../../src/session/SessionRows.ts"
import { Sessions } from "../../../src/session/Sessions.ts"
import { settings } from "../../../src/Settings.ts"
import { PackStore } from "../../../src/workspace/PackStore.ts"
import * as Point from "./Point.ts"

const at = (point: Point.Point) =>
  Effect.flatMap(Effect.orDie(settings.dataDir.config), (dataDir) => Point.reached(dataDir, point))

const calls = Layer.effect(
  Sessions,
  Effect.map(Sessions, (sessions) => ({
    ...sessions,
    call: (...call) => Effect.tap(sessions.call(...call), at("before the answer")),
  })),
).pipe(Layer.provide(standard.calls))

const rows = Layer.effect(
  SessionRows,
  Effect.map(SessionRows, (rows) => ({
    ...rows,
    begin: (...operation) => Effect.tap(rows.begin(...operation), at("after the running row")),
    commit: (...checkpoint) =>
      at("before the commit").pipe(
        Effect.zipRight(rows.commit(...checkpoint)),
        Effect.zipLeft(at("after the commit")),
      ),
  })),
).pipe(Layer.provide(standard.rows))

/** Only once the command has said a word does anyone know that it was spawned. */
const spawning = (sandbox: Sandbox): Sandbox => ({
  ...sandbox,
  start: (spec) =>
    Effect.tap(sandbox.start(spec), (id) =>
      sandbox
        .read(id, { stdout: 0, stderr: 0 }, 10_000, "output")
        .pipe(Effect.ignore, Effect.zipRight(at("after the spawn"))),
    ),
})

const sandboxes = Layer.effect(
  Sandboxes,
  Effect.map(Sandboxes, (sandboxes) => ({
    ...sandboxes,
    make: (template) => Effect.map(sandboxes.make(template), spawning),
  })),
).pipe(Layer.provide(standard.sandboxes))

const store = Layer.effect(
  PackStore,
  Effect.map(PackStore, (store) => ({
    ...store,
    put: (...pack) => Effect.tap(store.put(...pack), at("after the blobs")),
  })),
).pipe(Layer.provide(standard.store))

NodeRuntime.runMain(serveWith({ calls, rows, sandboxes, store }))
