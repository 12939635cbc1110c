/** The tools of this server, in the fixed order in which clients see them. */
import { ConfigError, Context, Effect, Layer, Option } from "effect"
import { settings } from "../Settings.ts"
import { format } from "./checks/Format.ts"
import { lint } from "./checks/Lint.ts"
import { typecheck } from "./checks/Typecheck.ts"
import { applyPatch } from "./files/ApplyPatch.ts"
import { closeSession } from "./sessions/CloseSession.ts"
import { deleteFile } from "./files/DeleteFile.ts"
import { editFile } from "./files/EditFile.ts"
import { exec } from "./commands/Exec.ts"
import { findFiles } from "./files/FindFiles.ts"
import { getResult } from "./commands/GetResult.ts"
import { gitCommit } from "./git/GitCommit.ts"
import { gitDiff } from "./git/GitDiff.ts"
import { gitStatus } from "./git/GitStatus.ts"
import { deleteArtifact } from "./artifacts/DeleteArtifact.ts"
import { downloadArchive } from "./files/DownloadArchive.ts"
import { getArtifact } from "./artifacts/GetArtifact.ts"
import { gitClone } from "./network/GitClone.ts"
import { installPackages } from "./network/InstallPackages.ts"
import { setNetworkPolicy } from "./network/SetNetworkPolicy.ts"
import { killCommand } from "./commands/KillCommand.ts"
import { listArtifacts } from "./artifacts/ListArtifacts.ts"
import { listCommands } from "./commands/ListCommands.ts"
import { listFiles } from "./files/ListFiles.ts"
import { listSessions } from "./sessions/ListSessions.ts"
import { moveFile } from "./files/MoveFile.ts"
import { openSession } from "./sessions/OpenSession.ts"
import { readFile } from "./files/ReadFile.ts"
import { readOutput } from "./commands/ReadOutput.ts"
import { runChecks } from "./checks/RunChecks.ts"
import { runFailedTests } from "./tests/RunFailedTests.ts"
import { runCode } from "./code/RunCode.ts"
import { runTests } from "./tests/RunTests.ts"
import { searchFiles } from "./files/SearchFiles.ts"
import { sendInput } from "./commands/SendInput.ts"
import { sessionInfo } from "./sessions/SessionInfo.ts"
import type { AnyTool } from "./Tool.ts"
import { prefixed, type ToolNames } from "./ToolNames.ts"
import { saveArtifact } from "./artifacts/SaveArtifact.ts"
import { unpackUpload, uploadArchive } from "./files/UploadArchive.ts"
import { fileContent, filePaths } from "./files/WorkspaceResources.ts"
import { writeFile } from "./files/WriteFile.ts"

export class Registry extends Context.Tag("codegen-mcp/tools/Registry")<
  Registry,
  {
    /** Those that clients see, and may call. */
    readonly listed: ReadonlyArray<AnyTool>
    /** What clients call them. */
    readonly names: ToolNames
    /** A tool that clients may call, by the name that they see. */
    readonly findListed: (name: string) => AnyTool | undefined
    /** Any tool, also one that no client sees, by its own name. */
    readonly find: (name: string) => AnyTool | undefined
  }
>() {
  /** The tools that the operator offers. */
  static readonly layer = Layer.effect(
    Registry,
    Effect.gen(function* () {
      const sets = yield* settings.toolsets.config
      const prefix = Option.getOrElse(yield* settings.toolPrefix.config, () => "")
      if (!prefixRule.test(prefix)) {
        return yield* refuse(
          settings.toolPrefix.name,
          "must be up to 16 of a-z, 0-9 and _, and begin with a letter",
        )
      }
      const unknown = sets.filter((name) => !Object.hasOwn(toolsets, name))
      if (unknown.length > 0) {
        const known = Object.keys(toolsets).join(", ")
        return yield* refuse(
          settings.toolsets.name,
          `there is no toolset ${unknown.join(", ")}; there are ${known}`,
        )
      }
      const tooLong = offered(sets).find(({ name }) => !nameRule.test(prefix + name))
      return tooLong === undefined
        ? of(offered(sets), hidden, prefix)
        : yield* refuse(
            settings.toolPrefix.name,
            `the name ${prefix}${tooLong.name} would be longer than clients accept`,
          )
    }),
  )
}

const refuse = (setting: string, problem: string) => Effect.fail(ConfigError.InvalidData([setting], problem))

export const of = (
  listed: ReadonlyArray<AnyTool>,
  others: ReadonlyArray<AnyTool>,
  prefix = "",
): Registry["Type"] => {
  const visible = new Map(listed.map((tool) => [tool.name, tool]))
  const all = new Map([...listed, ...others].map((tool) => [tool.name, tool]))
  // A text may name a tool that is not offered: it is still that tool's name.
  const names = prefixed(prefix, [...all.keys()])
  return {
    listed,
    names,
    findListed: (name) => visible.get(names.own(name) ?? ""),
    find: (name) => all.get(name),
  }
}

/** The tools of this product, by what they are for. */
const toolsets = {
  commands: [exec, readOutput, sendInput, killCommand, listCommands, getResult],
  files: [
    writeFile,
    readFile,
    editFile,
    applyPatch,
    listFiles,
    findFiles,
    searchFiles,
    moveFile,
    deleteFile,
    uploadArchive,
    downloadArchive,
  ],
  git: [gitStatus, gitDiff, gitCommit],
  code: [runCode],
  tests: [runTests, runFailedTests],
  checks: [lint, typecheck, format, runChecks],
  network: [setNetworkPolicy, installPackages, gitClone],
  artifacts: [saveArtifact, listArtifacts, getArtifact, deleteArtifact],
  sessions: [sessionInfo, openSession, listSessions, closeSession],
}

const sets: ReadonlyArray<readonly [name: string, tools: ReadonlyArray<AnyTool>]> = Object.entries(toolsets)
const all = sets.flatMap(([, tools]) => tools)

/** Without sessions the session-less revision has none; the others go on with what tools of any set begin. */
const always: ReadonlyArray<AnyTool> = [...toolsets.sessions, readOutput, killCommand, getResult]

/** The tools of these sets, and those that all sets need; all tools where none is named. */
const offered = (names: ReadonlyArray<string>): ReadonlyArray<AnyTool> => {
  if (names.length === 0) return all
  const chosen = sets.flatMap(([name, tools]) => (names.includes(name) ? tools : []))
  const wanted = new Set([...always, ...chosen])
  return all.filter((tool) => wanted.has(tool))
}

/** Tools that no client sees; and those of sets that are not offered any more may have answers to be had. */
const hidden: ReadonlyArray<AnyTool> = [fileContent, filePaths, unpackUpload, ...all]

/** What leaves room for a name. */
const prefixRule = /^([a-z][a-z0-9_]{0,15})?$/

/** What every client accepts. */
const nameRule = /^[a-z][a-z0-9_]{1,40}$/

export const standard = of(all, hidden)
