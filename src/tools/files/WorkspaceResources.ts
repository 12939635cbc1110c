/**
 * What stands behind the protocol's resources: files of the workspace. These run on the session's owner as tools do, but
 * no client sees them as tools.
 */
import { Effect, Schema } from "effect"
import { FileError } from "../../domain/SandboxError.ts"
import { absolute, ownerTool } from "../Tool.ts"

const hidden = {
  title: "",
  description: "",
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  changes: false,
}

/** The whole of one file, in base64. */
export const fileContent = ownerTool({
  ...hidden,
  name: "resource_content",
  input: Schema.Struct({ path: Schema.String }),
  output: Schema.Struct({ base64: Schema.String }),
  handler: Effect.fn("tools.resource_content")(function* ({ path }, { sandbox, limits }) {
    const { data, size } = yield* (yield* sandbox).files.read(absolute(path), 0, limits.file)
    if (size > data.length) return yield* new FileError({ path, reason: "too_large" })
    return { base64: Buffer.from(data).toString("base64") }
  }),
})

/** Files by a glob pattern, in order of their paths; what a `.gitignore` names is left out. */
export const filePaths = ownerTool({
  ...hidden,
  name: "resource_paths",
  input: Schema.Struct({ pattern: Schema.String }),
  output: Schema.Struct({ paths: Schema.Array(Schema.String), truncated: Schema.Boolean }),
  handler: Effect.fn("tools.resource_paths")(function* ({ pattern }, { sandbox }) {
    return yield* (yield* sandbox).files.glob("/workspace", pattern, maxPaths)
  }),
})

/** Paths of one answer. */
export const maxPaths = 10_000
