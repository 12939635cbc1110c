import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Database from "../../src/database/Database.ts"
import { NodeIdentity } from "../../src/domain/NodeIdentity.ts"
import * as Identity from "../../src/node/Identity.ts"
import * as TestDatabase from "../support/TestDatabase.ts"
import * as TestNode from "../support/TestNode.ts"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "codegen-mcp-identity-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true })),
)

/** The identity of a process that starts with these settings. */
const identity = (values: Readonly<Record<string, string>>) =>
  Effect.provide(
    NodeIdentity,
    Layer.fresh(Identity.layer).pipe(
      Layer.provide(Layer.fresh(Database.layer)),
      Layer.provide(NodeContext.layer),
      Layer.provide(TestNode.settings(values)),
    ),
  )

describe("Identity", () => {
  it.scopedLive("keeps a node's id over its starts, each of which is an incarnation of its own", () =>
    Effect.gen(function* () {
      const values = { DATABASE_URL: yield* TestDatabase.make, DATA_DIR: join(yield* folder, "made", "here") }
      const [first, second] = [yield* identity(values), yield* identity(values)]
      assert.strictEqual(first.node, second.node)
      assert.strictEqual(first.cluster, second.cluster)
      assert.notStrictEqual(first.incarnation, second.incarnation)
      assert.strictEqual(readFileSync(join(values.DATA_DIR, "node-id"), "utf8").trim(), first.node)
    }),
  )

  it.scopedLive("gives nodes with folders of their own ids of their own, in the same cluster", () =>
    Effect.gen(function* () {
      const DATABASE_URL = yield* TestDatabase.make
      const [one, two] = [
        yield* identity({ DATABASE_URL, DATA_DIR: yield* folder }),
        yield* identity({ DATABASE_URL, DATA_DIR: yield* folder }),
      ]
      assert.notStrictEqual(one.node, two.node)
      assert.strictEqual(one.cluster, two.cluster)
      assert.strictEqual(
        (yield* identity({ DATABASE_URL, NODE_ID: "chosen", DATA_DIR: "/no" })).node,
        "chosen",
      )
    }),
  )

  it.scopedLive("says what is wrong with an id or a folder that cannot be used", () =>
    Effect.gen(function* () {
      const DATABASE_URL = yield* TestDatabase.make
      const home = yield* folder
      const file = join(home, "file")
      yield* Effect.sync(() => writeFileSync(file, ""))
      const cases: ReadonlyArray<readonly [Readonly<Record<string, string>>, string]> = [
        [{ NODE_ID: "a b", DATA_DIR: home }, "NODE_ID"],
        [{ NODE_ID: "../etc", DATA_DIR: home }, "NODE_ID"],
        [{ DATA_DIR: join(file, "below") }, "DATA_DIR"],
      ]
      for (const [values, names] of cases) {
        const error = yield* Effect.flip(identity({ DATABASE_URL, ...values }))
        assert.propertyVal(error, "_tag", "IdentityUnusable")
        assert.include(error.message, names)
        assert.notInclude(error.message, "\n")
      }
    }),
  )
})
