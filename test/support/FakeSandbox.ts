/** Stand-ins for the boundary below the tools: a sandbox, and what a call knows of its session. */
import { Effect, Stream } from "effect"
import { CommandId, type CommandEnd, type CommandSpec } from "../../src/domain/Command.ts"
import { ContainerId, NodeId, OperationId, Principal, SessionId } from "../../src/domain/Identity.ts"
import type { Limits } from "../../src/sandbox/Limits.ts"
import type { Sandbox } from "../../src/sandbox/Sandbox.ts"
import type { SandboxFiles } from "../../src/sandbox/SandboxFiles.ts"
import type { Template } from "../../src/sandbox/Templates.ts"
import { SessionCommands } from "../../src/tools/commands/SessionCommands.ts"
import type { OwnerCall } from "../../src/tools/Tool.ts"
import type { Objects } from "../../src/workspace/Objects.ts"

const absent = (what: string) => () => Effect.dieMessage(`${what} is no part of this test`)

/** A sandbox that does what the test gives it, and nothing else. */
export const make = (
  given: Partial<Omit<Sandbox, "files">> & { readonly files?: Partial<SandboxFiles> },
): Sandbox => ({
  id: ContainerId.make("fake"),
  start: absent("start"),
  read: absent("read"),
  write: absent("write"),
  signal: absent("signal"),
  resize: absent("resize"),
  cancel: absent("cancel"),
  forget: () => Effect.void,
  hold: () => undefined,
  network: {
    allow: () => Effect.void,
    status: () => ({ policy: [], open: 0, opened: 0, sent: 0, received: 0, refused: 0 }),
    refusals: () => [],
  },
  ...given,
  files: {
    exclusively: (work) => work,
    read: absent("files.read"),
    readLines: absent("files.readLines"),
    stream: () => Stream.dieMessage("files.stream is no part of this test"),
    write: absent("files.write"),
    writeStream: absent("files.writeStream"),
    append: absent("files.append"),
    stat: absent("files.stat"),
    list: absent("files.list"),
    makeFolder: absent("files.makeFolder"),
    move: absent("files.move"),
    copy: absent("files.copy"),
    remove: absent("files.remove"),
    glob: absent("files.glob"),
    grep: absent("files.grep"),
    watch: absent("files.watch")(),
    changes: absent("files.changes"),
    pack: () => Stream.dieMessage("files.pack is no part of this test"),
    unpack: absent("files.unpack"),
    isStill: () => false,
    snapshot: absent("files.snapshot"),
    restore: absent("files.restore"),
    ...given.files,
  },
})

/** A sandbox that notes each command and ends it with this output. */
export const running = (
  started: Array<CommandSpec>,
  output: { readonly stdout?: string; readonly stderr?: string; readonly end?: CommandEnd } = {},
) =>
  make({
    start: (spec) =>
      Effect.sync(() => {
        started.push(spec)
        return CommandId.make(String(started.length))
      }),
    write: () => Effect.void,
    read: () => {
      const stdout = Buffer.from(output.stdout ?? "")
      const stderr = Buffer.from(output.stderr ?? "")
      return Effect.succeed({
        stdout: { data: stdout, skipped: 0, skippedAt: 0 },
        stderr: { data: stderr, skipped: 0, skippedAt: 0 },
        next: { stdout: stdout.length, stderr: stderr.length },
        end: output.end ?? { _tag: "Exited", code: 0, durationMs: 5, limits: [], spilled: {} },
      })
    },
  })

/** A command that a fake sandbox may be given. */
export const spec: CommandSpec = {
  argv: ["true"],
  cwd: "/workspace",
  env: {},
  stdin: "none",
  tty: false,
  timeoutMs: 1000,
}

export const limits: Limits["Type"] = {
  firstUid: 20000,
  sandboxes: 1,
  totalMemory: 1000,
  commandTimeoutMs: 120_000,
  maxCommandTimeoutMs: 600_000,
  output: 1024 * 1024,
  totalOutput: 16 * 1024 * 1024,
  spill: 1024 * 1024,
  file: 1000,
}

const MiB = 1024 * 1024

const template: Template = {
  name: "default",
  image: "image",
  runtime: undefined,
  medium: "memory",
  memory: 512 * MiB,
  workspace: 256 * MiB,
  home: 128 * MiB,
  tmp: 64 * MiB,
  cpus: 1,
  pids: 64,
  openFiles: 64,
  env: {},
  mounts: [],
  network: [],
  pool: { least: 0, most: 0 },
}

/** Nothing is kept beside the workspace. */
export const noObjects: Objects["Type"] = {
  save: absent("objects.save"),
  artifact: absent("objects.artifact"),
  list: absent("objects.list"),
  remove: absent("objects.remove"),
  upload: absent("objects.upload"),
  contents: () => Stream.dieMessage("objects.contents is no part of this test"),
  allowed: absent("objects.allowed"),
  receiver: absent("objects.receiver"),
  url: absent("objects.url"),
  uploadUrl: absent("objects.uploadUrl"),
  limit: 1000,
}

/** A call on the owner's side whose session has this sandbox. */
export const call = (sandbox: OwnerCall["sandbox"]): OwnerCall => ({
  log: () => undefined,
  show: () => undefined,
  ask: () => Effect.dieMessage("nobody is asked"),
  operation: OperationId.make("o_1"),
  session: { id: SessionId.make(`s_${"0".repeat(32)}`), name: null, epoch: 1 },
  principal: Principal.make("local"),
  base: "http://localhost",
  objects: noObjects,
  ownerNode: NodeId.make("owner"),
  edgeNode: NodeId.make("edge"),
  limits,
  template,
  commands: new SessionCommands(),
  progress: undefined,
  goesOn: () => false,
  durability: "none",
  checkpoint: () => ({ state: "off" }),
  network: {
    policy: () => [],
    most: [],
    status: () => undefined,
    refusals: () => [],
    set: () => Effect.dieMessage("the policy stays as it is"),
  },
  endOf: () => Effect.succeed(undefined),
  outcomeOf: () => Effect.succeed(undefined),
  sandbox,
})
