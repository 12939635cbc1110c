/**
 * How a sandbox's container is made: nothing in it depends on a session, all on the template and on whose it is,
 * which labels say.
 */
import type { Context } from "effect"
import type Dockerode from "dockerode"
import { posix } from "node:path"
import seccomp from "../../docker/seccomp.json" with { type: "json" }
import { defaultPath } from "../agent/commands/Paths.ts"
import type { NodeIdentity } from "../domain/NodeIdentity.ts"
import * as AgentVolume from "./AgentVolume.ts"
import { bytesPerFile, type Disk } from "./Disk.ts"
import { shm, type Template, totalMemory } from "./Templates.ts"

export const labels = {
  cluster: "codegen-mcp.cluster",
  node: "codegen-mcp.node",
  incarnation: "codegen-mcp.incarnation",
  template: "codegen-mcp.template",
  /** Of a volume: the device of the disk that it is. */
  disk: "codegen-mcp.disk",
} as const

const workspace = "/workspace"
const home = "/home/agent"
const lib = `${AgentVolume.folder}/lib`

export interface Parts {
  readonly uid: number
  readonly agentVolume: string
  /** Of the medium `disk`. */
  readonly disks: { readonly workspace: Disk; readonly home: Disk } | undefined
  readonly image: {
    /** `NAME=value`, each. */
    readonly env: ReadonlyArray<string>
    /** Paths at which the engine would make anonymous volumes, without a bound. */
    readonly volumes: ReadonlyArray<string>
  }
  readonly template: Template
  readonly isGvisor: boolean
  readonly identity: Context.Tag.Service<typeof NodeIdentity>
}

/** What to ask the engine for, and the environment of the programs inside. */
export const specification = ({ uid, agentVolume, disks, image, template, isGvisor, identity }: Parts) => {
  const memory = totalMemory(template)
  // A file takes memory of its own besides what is in it, and no program's end gives that back.
  const folder = (size: number, mode = "0755") =>
    `rw,exec,nosuid,nodev,size=${size},nr_inodes=${Math.ceil(size / bytesPerFile)},uid=${uid},gid=${uid},mode=${mode}`
  const taken = new Set([workspace, home, ...template.mounts.map(({ target }) => target)])
  const folders = {
    ...Object.fromEntries(
      image.volumes
        .map((path) => posix.resolve("/", path))
        .filter((path) => !taken.has(path))
        .map((path) => [path, folder(template.tmp)]),
    ),
    ...(disks === undefined
      ? { [workspace]: folder(template.workspace), [home]: folder(template.home) }
      : {}),
    "/tmp": folder(template.tmp, "1777"),
    "/dev/shm": folder(shm, "1777"),
  }
  const container: Dockerode.ContainerCreateOptions = {
    name: `codegen-mcp-${uid}`,
    Image: template.image,
    Entrypoint: [`${lib}/ld.so`, "--library-path", lib, `${AgentVolume.folder}/agent`],
    Cmd: ["--max-semi-space-size=1", "--v8-pool-size=1", `${AgentVolume.folder}/agent.js`],
    User: `${uid}:${uid}`,
    WorkingDir: workspace,
    // A name alone takes a variable away: the image's are for its programs, and may not reach the agent.
    Env: image.env.map((variable) => variable.replace(/=.*$/s, "")),
    Hostname: "sandbox",
    Labels: {
      [labels.cluster]: identity.cluster,
      [labels.node]: identity.node,
      [labels.incarnation]: identity.incarnation,
      [labels.template]: template.name,
    },
    Healthcheck: { Test: ["NONE"] },
    // The agent ends with its container and has nothing to say before: an engine that stops need not wait for it.
    StopSignal: "SIGKILL",
    OpenStdin: true,
    AttachStdin: true,
    AttachStdout: true,
    AttachStderr: true,
    HostConfig: {
      NetworkMode: "none",
      ReadonlyRootfs: true,
      CapDrop: ["ALL"],
      SecurityOpt: ["no-new-privileges", `seccomp=${JSON.stringify(seccomp)}`],
      LogConfig: { Type: "none", Config: {} },
      Memory: memory,
      MemorySwap: memory,
      NanoCpus: Math.round(template.cpus * 1e9),
      PidsLimit: isGvisor ? gvisorThreads(template.pids) : template.pids,
      Ulimits: [
        { Name: "nofile", Soft: template.openFiles, Hard: template.openFiles },
        { Name: "core", Soft: 0, Hard: 0 },
        ...(isGvisor ? [{ Name: "nproc", Soft: template.pids, Hard: template.pids }] : []),
      ],
      IpcMode: "private",
      Sysctls: sysctls,
      Tmpfs: folders,
      Mounts: [
        { Type: "volume", Source: agentVolume, Target: AgentVolume.folder, ReadOnly: true },
        ...(disks === undefined ? [] : [mounted(workspace, disks.workspace), mounted(home, disks.home)]),
        ...template.mounts.map(({ source, target, read_only }) => ({
          Type: "bind" as const,
          Source: source,
          Target: target,
          ReadOnly: read_only,
        })),
      ],
      ...(template.runtime === undefined ? {} : { Runtime: template.runtime }),
    },
  }
  const env = {
    PATH: defaultPath,
    ...Object.fromEntries(
      image.env.map((variable) => {
        const at = variable.indexOf("=")
        return [variable.slice(0, at), variable.slice(at + 1)]
      }),
    ),
    HOME: home,
    USER: `agent${uid}`,
    HOSTNAME: "sandbox",
    ...template.env,
  }
  return { container, env }
}

/**
 * The machine's threads for so many processes under gVisor, which needs two or three for each and some for itself, and
 * ends where it gets none. It bounds the processes itself, by their user's limit.
 */
const gvisorThreads = (pids: number) => 256 + 4 * pids

/** What System V's means of communication may keep in memory although no program has it any more: next to nothing. */
const sysctls = {
  "kernel.shm_rmid_forced": "1",
  "kernel.msgmni": "32",
  "kernel.sem": "250 32000 32 128",
}

/** A disk, as a volume that goes with the container. */
const mounted = (target: string, { device }: Disk): Dockerode.MountSettings => ({
  Type: "volume",
  Source: "",
  Target: target,
  VolumeOptions: {
    NoCopy: true,
    Labels: { [labels.disk]: device },
    DriverConfig: { Name: "local", Options: { type: "ext4", device, o: "nosuid,nodev" } },
  },
})
