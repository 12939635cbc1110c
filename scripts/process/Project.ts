/** Where things stand: this repository, what is generated in it, and what lives on between starts. */
import { createHash } from "node:crypto"
import { existsSync, readFileSync } from "node:fs"
import { basename, dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const find = (folder: string): string => {
  const file = join(folder, "package.json")
  const found = existsSync(file) && (JSON.parse(readFileSync(file, "utf8")) as { name?: string }).name
  return found === "codegen-mcp" || dirname(folder) === folder ? folder : find(dirname(folder))
}

/** The repository, from the sources as from a bundle. */
export const root = find(dirname(fileURLToPath(import.meta.url)))

/** Everything that is generated; may be deleted at any time that nothing runs. */
export const generated = join(root, ".codegen")

export const isRoot = process.getuid?.() === 0

/**
 * What outlives a start, of all clones on this machine. Postgres refuses to run as root and its user
 * cannot read a clone below /root, so that root's data stand in a folder of their own.
 */
export const shared = isRoot ? "/var/lib/codegen-mcp" : generated

/** What outlives a start, of this clone. */
export const data = isRoot
  ? join(shared, `${basename(root)}-${createHash("sha256").update(root).digest("hex").slice(0, 8)}`)
  : join(generated, "data")

/** A bundle that `scripts/build.mjs` made. */
export const built = (name: string): string => join(generated, "build", name)

/** The log file of a step of the set-up. */
export const log = (name: string): string => join(generated, "log", `${name}.log`)
