/** Small file systems of a test's own, which can be full, and can be away. Only root mounts. */
import { Effect } from "effect"
import { execFileSync } from "node:child_process"
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

interface Mount {
  readonly folder: string
  /** Takes the last byte of it. */
  readonly fill: Effect.Effect<void>
  /** Gives back what `fill` took. */
  readonly free: Effect.Effect<void>
  /** Leaves an empty folder in its place. */
  readonly away: Effect.Effect<void>
  /** Brings it back, with its files. */
  readonly back: Effect.Effect<void>
}

const run = (command: string, ...args: ReadonlyArray<string>) =>
  Effect.sync(() => void execFileSync(command, args, { stdio: "pipe" }))

/** Makes one of so many MiB; it is gone when the scope closes. */
export const make = (size: number) =>
  Effect.gen(function* () {
    const base = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "codegen-mount-"))),
      (base) => Effect.sync(() => rmSync(base, { recursive: true, force: true })),
    )
    const [real, folder] = [join(base, "real"), join(base, "folder")]
    yield* Effect.sync(() => {
      for (const path of [real, folder]) mkdirSync(path)
      // For whoever is to work in it.
      chmodSync(base, 0o755)
    })
    const unmount = (path: string) => run("umount", "--lazy", path)
    yield* Effect.acquireRelease(
      run("mount", "-t", "tmpfs", "-o", `size=${size}m,mode=755`, "tmpfs", real),
      () => unmount(real),
    )
    const back = run("mount", "--bind", real, folder)
    yield* Effect.acquireRelease(back, () =>
      Effect.ignore(Effect.try(() => execFileSync("umount", ["--lazy", folder]))),
    )
    const filler = join(real, "filler")
    return {
      folder,
      fill: Effect.sync(() => {
        for (const bytes of [1024 * 1024, 4096]) {
          for (;;) {
            try {
              writeFileSync(filler, Buffer.alloc(bytes), { flag: "a" })
            } catch {
              break
            }
          }
        }
      }),
      free: Effect.sync(() => rmSync(filler, { force: true })),
      away: unmount(folder),
      back,
    } satisfies Mount
  })

/** Whether this process may mount. */
export const able = (() => {
  if (process.getuid?.() !== 0) return false
  try {
    execFileSync("unshare", ["--mount", "true"], { stdio: "pipe" })
    return true
  } catch {
    return false
  }
})()
