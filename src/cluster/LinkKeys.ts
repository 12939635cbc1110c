/** The keys of the link between nodes: one of each secret of the cluster, the first to dial with, all to accept. */
import { Config, Redacted } from "effect"
import { hkdfSync } from "node:crypto"
import { settings } from "../Settings.ts"

export interface LinkKey {
  /** Names the key to the other end, and tells nothing of it; 32 hexadecimal digits. */
  readonly identity: string
  /** 32 bytes. */
  readonly psk: Buffer
}

const derived = (secret: string, purpose: string, bytes: number) =>
  Buffer.from(hkdfSync("sha256", secret, "", `codegen-mcp runner link: ${purpose}`, bytes))

/** None where CLUSTER_SECRET is not set; then the link is open, and on loopback alone. */
export const linkKeys: Config.Config<ReadonlyArray<LinkKey>> = Config.map(
  settings.clusterSecret.config,
  (secrets) =>
    Redacted.value(secrets).map((secret) => ({
      identity: derived(secret, "identity", 16).toString("hex"),
      psk: derived(secret, "key", 32),
    })),
)
