/**
 * Disks of sandboxes whose medium is `disk`: each an ext4 image of its whole size on a loop device, which its container mounts.
 * Once it does, the image is unlinked and the device told to go with its last mount, so the kernel frees both when
 * the container is removed, whoever removes it. Needs a node that is root beside its engine.
 */
import { Duration, Effect } from "effect"
import { execFile } from "node:child_process"
import { randomUUID } from "node:crypto"
import { mkdir, readdir, rm, stat, statfs, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { promisify } from "node:util"
import { Capacity, SandboxError } from "../domain/SandboxError.ts"
import { settings } from "../Settings.ts"

export interface Disk {
  /** Such as `/dev/loop3`. */
  readonly device: string
}

/**
 * Makes a disk of `size` bytes whose root belongs to `uid`. The scope is to end when its container has mounted it,
 * or never will. Fails with `Capacity` where the node's disk has less room than that.
 */
export const make = Effect.fn("Disk.make")(function* (size: number, uid: number) {
  const folder = yield* settings.diskDir.config.pipe(Effect.orDie)
  const free = yield* attempt(async () => {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const { bavail, bsize } = await statfs(folder)
    return bavail * bsize
  })
  const files = Math.ceil(size / bytesPerFile)
  const whole = Math.ceil(size * 1.02) + files * inodeSize + overhead
  if (free < whole) return yield* new Capacity({ what: "bytes of disk", limit: free, setting: "DISK_DIR" })
  const path = join(folder, `${randomUUID()}.img`)
  yield* Effect.acquireRelease(
    attempt(() => writeFile(path, "", { mode: 0o600 })),
    () => Effect.ignore(attempt(() => rm(path, { force: true }))),
  )
  yield* attempt(async () => {
    // Taken now, so that no sandbox loses what another one's disk has no room for.
    await run("fallocate", ["--posix", "--length", String(whole), path])
    const owner = `root_owner=${uid}:${uid},lazy_itable_init=1,nodiscard`
    const layout = ["-O", "^has_journal", "-m", "0", "-N", String(files), "-I", String(inodeSize)]
    await run("mkfs.ext4", ["-q", ...layout, "-E", owner, path])
    await run("debugfs", ["-w", "-R", "rmdir lost+found", path])
  })
  const device = yield* Effect.acquireRelease(
    attempt(async () => (await run("losetup", ["--find", "--show", path])).stdout.trim()),
    // Of a device that is in use this only says that it goes with its last use.
    (device) => Effect.ignore(attempt(() => run("losetup", ["--detach", device]))),
  )
  return { device } satisfies Disk
})

/**
 * Frees disks that no container has: what a node that died was just making. A disk that is in use has no image in
 * the folder any more, so every image older than `age` is one of these.
 */
export const removeLeftovers = (age: Duration.Duration) =>
  Effect.gen(function* () {
    const folder = yield* settings.diskDir.config.pipe(Effect.orDie)
    yield* attempt(async () => {
      const before = Date.now() - Duration.toMillis(age)
      for (const name of await readdir(folder)) {
        const path = join(folder, name)
        if (!name.endsWith(".img") || (await stat(path)).mtimeMs > before) continue
        const { stdout } = await run("losetup", ["--noheadings", "--output", "NAME", "--associated", path])
        for (const device of stdout.split("\n").filter((line) => line !== "")) {
          await run("losetup", ["--detach", device.trim()])
        }
        await rm(path, { force: true })
      }
    })
  }).pipe(Effect.ignore)

const run = promisify(execFile)

const attempt = <A>(work: () => Promise<A>) =>
  Effect.tryPromise({ try: work, catch: (cause) => new SandboxError({ operation: "create", cause }) })

/** A folder holds a file for so many bytes of its size. */
export const bytesPerFile = 4096

/** What a file's entry takes of the disk. */
const inodeSize = 256

/** What ext4 keeps for itself besides, in bytes. */
const overhead = 4 * 1024 * 1024
