import { assert, describe, it } from "@effect/vitest"
import { type Explained, failureOf } from "../../src/domain/Failure.ts"
import { ContainerId, OperationId, SessionId } from "../../src/domain/Identity.ts"
import {
  Capacity,
  CommandNotStarted,
  FileError,
  SandboxError,
  SandboxLost,
} from "../../src/domain/SandboxError.ts"
import {
  Interrupted,
  OperationIdReused,
  SessionClosed,
  SessionMoved,
  SessionNotFound,
  TooManyOperations,
  TooManySessions,
  Unavailable,
  UnknownTemplate,
  WorkspaceLost,
  FilesReverted,
} from "../../src/domain/SessionError.ts"

const session = SessionId.make(`s_${"a".repeat(32)}`)
const operation = OperationId.make("mine")

const errors: ReadonlyArray<readonly [code: string, error: Explained]> = [
  ["session_not_found", new SessionNotFound({ session: "s_x" })],
  ["session_closed", new SessionClosed({ session })],
  ["session_moved", new SessionMoved()],
  ["interrupted", new Interrupted({ operation })],
  ["workspace_lost", new WorkspaceLost({ checkpoint: null })],
  ["files_reverted", new FilesReverted({ damaged: 3, checkpoint: 2 })],
  ["operation_id_reused", new OperationIdReused({ operation })],
  ["too_many_operations", new TooManyOperations({ limit: 64 })],
  ["too_many_sessions", new TooManySessions({ limit: 3 })],
  ["unknown_template", new UnknownTemplate({ template: "big", known: ["default"] })],
  ["unavailable", new Unavailable({ what: "Postgres" })],
  ["sandbox_error", new SandboxError({ operation: "create", cause: "no space" })],
  ["sandbox_lost", new SandboxLost({ container: ContainerId.make("gone") })],
  ["command_not_started", new CommandNotStarted({ reason: "no such program" })],
  ["capacity", new Capacity({ what: "sandboxes", limit: 2, setting: "MAX_SANDBOXES" })],
  ["path_outside_workspace", new FileError({ path: "/etc", reason: "outside" })],
  ["not_found", new FileError({ path: "a", reason: "missing" })],
  ["not_a_file", new FileError({ path: "a", reason: "not_a_file" })],
  ["not_a_directory", new FileError({ path: "a", reason: "not_a_directory" })],
  ["file_too_large", new FileError({ path: "a", reason: "too_large" })],
  ["workspace_full", new FileError({ path: "a", reason: "no_space" })],
  ["permission_denied", new FileError({ path: "a", reason: "denied" })],
]

describe("Failure", () => {
  for (const [code, error] of errors) {
    it(`names ${error._tag}${"reason" in error ? ` (${String(error.reason)})` : ""} \`${code}\`, and says what happened and what to do`, () => {
      const failure = failureOf(error)
      assert.strictEqual(failure.code, code)
      assert.isAbove(failure.message.length, 10)
      assert.isAbove(failure.next.length, 10)
      assert.deepStrictEqual(Object.keys(failure), ["code", "message", "next"])
    })
  }

  it("bounds what an engine or a caller put into a message", () => {
    const long = "x".repeat(10_000)
    for (const error of [
      new SandboxError({ operation: "start", cause: new TypeError(long) }),
      new SandboxError({ operation: "start", cause: long }),
      new SessionNotFound({ session: long }),
    ]) {
      assert.isBelow(failureOf(error).message.length, 500)
    }
  })

  it("keeps a message on one line whatever the engine wrote", () => {
    const { message } = failureOf(
      new SandboxError({ operation: "inspect", cause: new TypeError("a\n  b\tc") }),
    )
    assert.strictEqual(message, "Docker could not inspect the sandbox: a b c")
  })
})
