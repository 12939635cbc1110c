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

const byName = new Map(tools.map((tool) => [tool.name, tool]))

export const find = (name: string) => byName.get(name)
