/** The tools of this server, in the fixed order in which clients see them. */
import { Context, Layer } from "effect"
import { closeSession } from "./sessions/CloseSession.ts"
import { exec } from "./commands/Exec.ts"
import { getResult } from "./commands/GetResult.ts"
import { gitClone } from "./network/GitClone.ts"
import { installPackages } from "./network/InstallPackages.ts"
import { setNetworkPolicy } from "./network/SetNetworkPolicy.ts"
import { killCommand } from "./commands/KillCommand.ts"
import { listCommands } from "./commands/ListCommands.ts"
import { listFiles } from "./files/ListFiles.ts"
import { listSessions } from "./sessions/ListSessions.ts"
import { openSession } from "./sessions/OpenSession.ts"
import { readFile } from "./files/ReadFile.ts"
import { readOutput } from "./commands/ReadOutput.ts"
import { sendInput } from "./commands/SendInput.ts"
import { sessionInfo } from "./sessions/SessionInfo.ts"
import type { AnyTool } from "./Tool.ts"
import { fileContent, filePaths } from "./files/WorkspaceResources.ts"
import { writeFile } from "./files/WriteFile.ts"

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

/** The tools of this product, by what they are for. */
const toolsets = {
  commands: [exec, readOutput, sendInput, killCommand, listCommands, getResult],
  files: [writeFile, readFile, listFiles],
  network: [setNetworkPolicy, installPackages, gitClone],
  sessions: [sessionInfo, openSession, listSessions, closeSession],
}

export const standard = of(Object.values(toolsets).flat(), [fileContent, filePaths])
