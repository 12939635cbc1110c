/**
 * The rest of an agent's day, by the tools that are made for it: upload a project, run its checks, read the failure,
 * edit, repeat what failed, install a package, save an artifact, leave, and come back by name.
 */
import { Effect } from "effect"
import type { Scope } from "effect"
import { createHash } from "node:crypto"
import { text } from "node:stream/consumers"
import { Readable } from "node:stream"
import { createGzip } from "node:zlib"
import type { ArchiveEntry } from "../../src/agent/archive/Archive.ts"
import * as Tar from "../../src/agent/archive/Tar.ts"
import { saveArtifact } from "../../src/tools/artifacts/SaveArtifact.ts"
import { runChecks } from "../../src/tools/checks/RunChecks.ts"
import { editFile } from "../../src/tools/files/EditFile.ts"
import { readFile } from "../../src/tools/files/ReadFile.ts"
import { uploadArchive } from "../../src/tools/files/UploadArchive.ts"
import { installPackages } from "../../src/tools/network/InstallPackages.ts"
import { setNetworkPolicy } from "../../src/tools/network/SetNetworkPolicy.ts"
import { closeSession } from "../../src/tools/sessions/CloseSession.ts"
import { runFailedTests } from "../../src/tools/tests/RunFailedTests.ts"
import { StartError } from "../process/StartError.ts"
import type { McpClient } from "./McpClient.ts"
import type { Narration } from "./Narration.ts"
import { slugProject as project } from "./SlugProject.ts"

/** `connect` joins the agent's named session, until its scope closes. Fails where something does not go as it should. */
export const spend = (
  connect: Effect.Effect<McpClient, StartError, Scope.Scope>,
  { title, output, remark }: Narration,
): Effect.Effect<void, StartError> =>
  Effect.gen(function* () {
    const kept = yield* Effect.gen(function* () {
      const { call } = yield* connect
      yield* title("Uploads a project as an archive, and runs its checks")
      yield* call(uploadArchive, { content: yield* archive(project.files) })
      const red = yield* call(runChecks, { cwd: project.folder })
      const [failure] = red.steps.flatMap(({ tests }) => tests?.failures ?? [])
      if (red.passed !== false || failure === undefined) return yield* unexpected("run_checks", red)
      yield* output(red.steps.map(({ name, status }) => `${name}: ${status}`).join("\n"))
      yield* remark(`${failure.id}: expected ${failure.expected}, got ${failure.got}.`)

      yield* title("Corrects the line, and repeats what failed")
      const { diff } = yield* call(editFile, {
        path: project.source,
        edits: [{ old_text: project.wrong, new_text: project.right }],
      })
      yield* output(diff)
      const green = yield* call(runFailedTests, {})
      if (green.passed !== true) return yield* unexpected("run_failed_tests", green)
      yield* remark(green.verdict)

      yield* title("Installs a package, by a way out that is open to package registries alone")
      yield* call(setNetworkPolicy, { network: "registries" })
      const installed = yield* call(installPackages, { manager: "pip", packages: ["iniconfig==2.0.0"] })
      yield* output(installed.stdout === "" ? installed.stderr : installed.stdout)
      // A machine without a way out is shown all the rest.
      yield* remark(
        installed.exit_code === 0 ? "Installed." : "The registry is out of reach here; the day goes on.",
      )

      yield* title("Saves an artifact, and fetches it by its signed URL")
      const artifact = yield* call(saveArtifact, { path: project.source })
      const bytes = yield* fetched(artifact.url)
      const sha256 = createHash("sha256").update(bytes).digest("hex")
      if (sha256 !== artifact.sha256) return yield* unexpected("the signed URL", { sha256 })
      yield* remark(
        `${artifact.name}: ${artifact.size} bytes, SHA-256 ${sha256.slice(0, 12)}…, as it was saved.`,
      )
      return bytes.toString()
    }).pipe(Effect.scoped)

    yield* title("Leaves, and comes back by the session's name")
    yield* Effect.gen(function* () {
      const { call } = yield* connect
      const { content } = yield* call(readFile, { path: project.source })
      if (content !== kept) return yield* unexpected("read_file", { content })
      yield* remark("The files are there.")
      yield* call(closeSession, {})
    }).pipe(Effect.scoped)
  })

/** As tar.gz, in base64. */
const archive = (files: Readonly<Record<string, string>>) =>
  Effect.promise(() =>
    text(
      Readable.from(Tar.write(entries(files)))
        .pipe(createGzip())
        .setEncoding("base64"),
    ),
  )

async function* entries(files: Readonly<Record<string, string>>): AsyncGenerator<ArchiveEntry> {
  for (const [path, content] of Object.entries(files)) {
    const bytes = Buffer.from(content)
    const data = async function* () {
      yield bytes
    }
    yield { path, kind: "file", target: "", mode: 0o644, modified: Date.now(), size: bytes.length, data }
  }
}

const fetched = (url: string) =>
  Effect.tryPromise({
    try: () => fetch(url).then((response) => response.arrayBuffer()),
    catch: (cause) =>
      new StartError({
        problem: "The signed URL does not answer.",
        remedy: "See the nodes' logs in .codegen/run.",
        cause,
      }),
  }).pipe(Effect.map((bytes) => Buffer.from(bytes)))

const unexpected = (what: string, answer: unknown) =>
  new StartError({
    problem: `${what} answered what it should not: ${JSON.stringify(answer).slice(0, 2000)}.`,
    remedy: "See the nodes' logs in .codegen/run.",
  })
