/** All tools, in the fixed order in which clients see them. */
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

const tools: ReadonlyArray<AnyTool> = [
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
]

export const all = tools

/** Also those that no client sees. */
const byName = new Map([...tools, fileContent, filePaths].map((tool: AnyTool) => [tool.name, tool]))

/** A tool that clients may call. */
export const findListed = (name: string) => tools.find((tool) => tool.name === name)

export const find = (name: string) => byName.get(name)
