/** What an agent does with a project: run its tests, read the failure, correct the file, run them again. */
import { Effect } from "effect"
import { exec } from "../../src/tools/commands/Exec.ts"
import { readFile } from "../../src/tools/files/ReadFile.ts"
import { writeFile } from "../../src/tools/files/WriteFile.ts"
import { StartError } from "../process/StartError.ts"
import type { McpClient } from "./McpClient.ts"
import type { Narration } from "./Narration.ts"
import type { SampleProject } from "./SampleProject.ts"

/** Brings a project from red to green; fails where it was not red before, or is not green then. */
export const correct = (
  { call }: McpClient,
  { title, output, remark }: Narration,
  project: SampleProject,
): Effect.Effect<void, StartError> =>
  Effect.gen(function* () {
    const test = Effect.tap(call(exec, { command: project.test, cwd: project.folder }), ({ stdout }) =>
      output(stdout),
    )

    yield* title(`${project.language}: writes a project with a mistake, and runs its tests`)
    for (const [path, content] of Object.entries(project.files)) yield* call(writeFile, { path, content })
    const red = yield* test
    if (red.exit_code !== 1 || !project.red.test(red.stdout)) return yield* unexpected(project, "red", red)
    const { file, line, error } = project.failure.exec(red.stdout)?.groups ?? {}
    if (file === undefined) return yield* unexpected(project, "red", red)
    yield* remark(`Red. The output says where: ${error} in line ${line} of ${file}.`)

    yield* title(`${project.language}: reads that file, corrects it, and runs the tests again`)
    const path = `${project.folder}/${file}`
    const { content } = yield* call(readFile, { path })
    yield* output(`- ${project.wrong.trim()}\n+ ${project.right.trim()}`)
    yield* call(writeFile, { path, content: content.replace(project.wrong, () => project.right) })
    const green = yield* test
    if (green.exit_code !== 0 || !project.green.test(green.stdout)) {
      return yield* unexpected(project, "green", green)
    }
    yield* remark("Green.")
  })

const unexpected = (
  { language, test }: SampleProject,
  wanted: string,
  result: { readonly status: string; readonly exit_code?: number | undefined; readonly stderr: string },
) =>
  new StartError({
    problem: `The ${language} project is not ${wanted} where it should be: \`${test}\` ended with code ${result.exit_code} (${result.status}).`,
    remedy: result.stderr === "" ? "Its output stands above." : `It said: ${result.stderr.slice(-2000)}`,
  })
