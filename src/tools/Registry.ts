/** The tools of this server, in the fixed order in which clients see them. */
import { Context, Layer } from "effect"
import { closeSession } from "./CloseSession.ts"
import { exec } from "./Exec.ts"
import { killCommand } from "./KillCommand.ts"
import { listCommands } from "./ListCommands.ts"
import { listFiles } from "./ListFiles.ts"
import { listSessions } from "./ListSessions.ts"
import { openSession } from "./OpenSession.ts"
import { readFile } from "./ReadFile.ts"
import { readOutput } from "./ReadOutput.ts"
import { sendInput } from "./SendInput.ts"
import { sessionInfo } from "./SessionInfo.ts"
import type { AnyTool } from "./Tool.ts"
import { fileContent, filePaths } from "./WorkspaceResources.ts"
import { writeFile } from "./WriteFile.ts"

export class Registry extends Context.Tag("codegen-mcp/tools/Registry")<
  Registry,
  {
    /** Those that clients see, and may call. */
    readonly listed: ReadonlyArray<AnyTool>
    /** A tool that clients may call. */
    readonly findListed: (name: string) => AnyTool | undefined
    /** Any tool, also one that no client sees. */
    readonly find: (name: string) => AnyTool | undefined
  }
>() {
  static readonly layer = Layer.suspend(() => Layer.succeed(Registry, standard))
}

export const of = (listed: ReadonlyArray<AnyTool>, hidden: ReadonlyArray<AnyTool>): Registry["Type"] => {
  const visible = new Map(listed.map((tool) => [tool.name, tool]))
  const all = new Map([...listed, ...hidden].map((tool) => [tool.name, tool]))
  return { listed, findListed: (name) => visible.get(name), find: (name) => all.get(name) }
}

/** The tools of this product. */
export const standard = of(
  [
    exec,
    readOutput,
    sendInput,
    killCommand,
    listCommands,
    writeFile,
    readFile,
    listFiles,
    sessionInfo,
    openSession,
    listSessions,
    closeSession,
  ],
  [fileContent, filePaths],
)
