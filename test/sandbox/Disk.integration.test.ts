import { assert, layer } from "@effect/vitest"
import { Duration, Effect, Layer } from "effect"
import { execFileSync } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Disk from "../../src/sandbox/Disk.ts"
import { Docker } from "../../src/sandbox/Docker.ts"
import { Sandboxes } from "../../src/sandbox/Sandboxes.ts"
import { labels } from "../../src/sandbox/Specification.ts"
import { Templates } from "../../src/sandbox/Templates.ts"
import { line, run } from "../support/SharedSandbox.ts"
import * as TestNode from "../support/TestNode.ts"
import { until } from "../support/Until.ts"

const folder = mkdtempSync(join(tmpdir(), "codegen-mcp-disks-"))

const MiB = 1024 * 1024

/** Whether this process is root beside its engine, with loop devices. */
const able =
  process.getuid?.() === 0 &&
  existsSync("/dev/loop-control") &&
  (process.env["DOCKER_HOST"] ?? "unix:").startsWith("unix:")

const small = { SANDBOX_MEDIUM: "disk", SANDBOX_WORKSPACE: String(48 * MiB), DISK_DIR: folder }

/** Loop devices whose image is, or was, in the folder. */
const devices = Effect.sync(() =>
  execFileSync("losetup", ["--list", "--noheadings", "--output", "NAME,BACK-FILE"], { encoding: "utf8" })
    .split("\n")
    .filter((line) => line.includes(folder)),
)

const made = Effect.gen(function* () {
  const { make, remove } = yield* Sandboxes
  return yield* Effect.acquireRelease(make((yield* Templates).standard), ({ id }) => remove(id))
})

const removal = Layer.scopedDiscard(
  Effect.addFinalizer(() => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))),
)

layer(Layer.merge(TestNode.engine(small), removal), { excludeTestServices: true, timeout: "60 seconds" })(
  "Disk",
  (it) => {
    const onDisk = able ? it.scoped : it.scoped.skip

    onDisk("gives a sandbox folders of its own, of the sizes that its template says and no larger", () =>
      Effect.gen(function* () {
        const box = yield* made
        const { out } = yield* run(
          box,
          line("stat --format '%u %a' . ~; id -u; ls -A . ~; df --output=size --block-size=1M . ~"),
        )
        const [workspace, home, uid] = out.split("\n")
        assert.strictEqual(workspace, `${uid} 755`)
        assert.strictEqual(home, `${uid} 755`)
        assert.notInclude(out, "lost+found")
        const [ofWorkspace = 0, ofHome = 0] = out.trim().split("\n").slice(-2).map(Number)
        assert.isTrue(ofWorkspace >= 48 && ofWorkspace <= 56, out)
        assert.isTrue(ofHome >= 32 && ofHome <= 40, out)
        const filled = yield* run(box, line("head -c 200M /dev/zero > x; stat --format %s x; exit 3"))
        assert.include(filled.err, "No space left")
        assert.isAtLeast(Number(filled.out), 48 * MiB)
        assert.isAtMost(Number(filled.out), 56 * MiB)
        assert.deepStrictEqual(filled.end?.limits, ["workspace"])
        assert.strictEqual((yield* run(box, line("rm x; echo again > y; cat y"))).out, "again\n")
      }),
    )

    onDisk(
      "leaves no image behind while a sandbox runs, and no device once it is gone, whoever removes it",
      () =>
        Effect.gen(function* () {
          const { use } = yield* Docker
          const { id } = yield* made
          assert.deepStrictEqual(readdirSync(folder), [])
          assert.lengthOf(yield* devices, 2)
          yield* use("remove", (docker) => docker.getContainer(id).remove({ force: true, v: true }))
          assert.deepStrictEqual(yield* until(devices, (left) => left.length === 0), [])
          const volumes = yield* use("list", (docker) =>
            docker.listVolumes({ filters: { label: [labels.disk] } }),
          )
          assert.deepStrictEqual(
            volumes.Volumes.filter(({ Options }) => Options?.["device"]?.startsWith("/dev/loop") === true),
            [],
          )
        }),
    )

    onDisk("frees what a node that died was just making, once it is old enough", () =>
      Effect.gen(function* () {
        mkdirSync(folder, { recursive: true })
        const image = join(folder, "half-made.img")
        execFileSync("truncate", ["--size", "8M", image])
        execFileSync("losetup", ["--find", image])
        yield* Disk.removeLeftovers(Duration.seconds(30))
        assert.isTrue(existsSync(image))
        const old = new Date(Date.now() - 60_000)
        utimesSync(image, old, old)
        yield* Disk.removeLeftovers(Duration.seconds(30))
        assert.isFalse(existsSync(image))
        assert.deepStrictEqual(yield* devices, [])
      }),
    )

    onDisk("says that there is no room where the node's disk is smaller than a sandbox's", () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(Effect.scoped(Disk.make(2 ** 50, 20000)))
        assert.strictEqual(error._tag, "Capacity")
        assert.include(error.message, "DISK_DIR")
        assert.deepStrictEqual(readdirSync(folder), [])
      }),
    )
  },
)
