/** The settings of artifacts, of archives, and of the URLs that carry both; a part of `Settings.ts`. */
import { Config, Option } from "effect"
import { bytes, count, duration, setting } from "./Setting.ts"

const MiB = 1024 * 1024

export const transferSettings = {
  publicUrl: setting(
    "PUBLIC_URL",
    (name) =>
      Config.string(name).pipe(
        Config.validate({
          message: "must be an http or https URL without a query",
          validation: (url) => /^https?:\/\/[^?#]+$/.test(url) && URL.canParse(url),
        }),
        Config.map((url) => Option.some(url.replace(/\/+$/, ""))),
      ),
    { value: Option.none<string>(), text: "the Host of the request" },
    "what URLs of artifacts and archives begin with, such as `https://codegen.example.com`; needed where TLS ends at a balancer that sends no X-Forwarded-Proto",
  ),
  urlLifetime: duration(
    "URL_LIFETIME",
    "15 minutes",
    "time that a signed URL is good for, and an archive of download_archive is kept",
  ),
  maxTransfer: bytes("MAX_TRANSFER", 256 * MiB, "largest artifact, and largest archive in or out"),
  maxArtifacts: count("MAX_ARTIFACTS", 1000, "artifacts and archives of one principal"),
  maxArtifactBytes: bytes("MAX_ARTIFACT_BYTES", 4096 * MiB, "what they may add up to"),
  sessionArtifacts: count("SESSION_ARTIFACTS", 100, "artifacts and archives of one session"),
  sessionArtifactBytes: bytes("SESSION_ARTIFACT_BYTES", 1024 * MiB, "what they may add up to"),
  artifactRetention: duration(
    "ARTIFACT_RETENTION",
    "7 days",
    "time that artifacts are kept after their session has ended",
  ),
} as const
