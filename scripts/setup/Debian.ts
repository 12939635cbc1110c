/** Debian systems made from their packages, by mmdebstrap. */
import { Effect } from "effect"
import { existsSync } from "node:fs"
import * as Apt from "./Apt.ts"
import { run } from "../process/Command.ts"
import * as Project from "../process/Project.ts"
import type { StartError } from "../process/StartError.ts"

export interface System {
  readonly release: "bookworm" | "trixie"
  readonly architecture: "x64" | "arm64"
  /** A folder, or a file whose name says what archive it is to be. */
  readonly target: string
  /** Packages besides the essential ones. */
  readonly packages?: ReadonlyArray<string>
  /** Paths that are left out of all packages. */
  readonly without?: ReadonlyArray<string>
}

export interface Options {
  /** Whether system packages may be installed. */
  readonly install: boolean
  /** Why mmdebstrap is needed; a part of a sentence. */
  readonly because: string
}

/** Makes a system. Installs what it is made with where that is missing. */
export const make = (
  { release, architecture, target, packages = [], without = [] }: System,
  { install, because }: Options,
): Effect.Effect<void, StartError> =>
  Effect.gen(function* () {
    const missing = [
      ...(existsSync("/usr/bin/mmdebstrap") ? [] : ["mmdebstrap"]),
      ...(existsSync(keyring) ? [] : ["debian-archive-keyring"]),
    ]
    if (missing.length > 0) yield* Apt.install(missing, { allowed: install, because })
    yield* run({
      command: "mmdebstrap",
      args: [
        "--variant=minbase",
        `--architectures=${architecture === "x64" ? "amd64" : "arm64"}`,
        `--keyring=${keyring}`,
        '--aptopt=Apt::Install-Recommends "false"',
        ...(packages.length === 0 ? [] : [`--include=${packages.join(",")}`]),
        ...without.map((path) => `--dpkgopt=path-exclude=${path}`),
        "--dpkgopt=path-include=/usr/share/doc/*/copyright",
        release,
        target,
        ...[`debian ${release}`, `debian ${release}-updates`, `debian-security ${release}-security`].map(
          (suite) => `deb http://deb.debian.org/${suite} main`,
        ),
      ],
      log: Project.log("mmdebstrap"),
      remedy: "Check that this machine reaches Debian's packages.",
    })
  })

const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
