/**
 * N node processes on this machine behind a balancer. All of them end with the scope: the nodes first, and
 * together, then the balancer. A node that dies stays dead until someone adds it again.
 */
import { Effect, ExecutionStrategy, Ref, Scope } from "effect"
import { connect } from "node:net"
import { join } from "node:path"
import { isUnspecified } from "../../src/domain/Loopback.ts"
import * as Child from "../process/Child.ts"
import { lastLine } from "../process/Command.ts"
import * as Port from "../process/Port.ts"
import * as Project from "../process/Project.ts"
import { step } from "../process/Progress.ts"
import { StartError } from "../process/StartError.ts"
import type { ClusterState } from "./ClusterState.ts"
import * as LocalNode from "./LocalNode.ts"
import * as NodeSettings from "./NodeSettings.ts"
import * as RunFolder from "./RunFolder.ts"
import * as StateFile from "./StateFile.ts"

export interface LocalClusterOptions {
  readonly nodes: number
  /** A database that belongs to this cluster alone. */
  readonly databaseUrl: string
  readonly sandboxImage: string
  /** The file that nodes run; the build's otherwise. */
  readonly program?: string | undefined
  /** More settings for every node, as environment variables. */
  readonly env?: Readonly<Record<string, string>>
  /** Where the balancer listens. Default 127.0.0.1 and a free port. */
  readonly host?: string
  readonly port?: number
  /** A bearer token that the nodes are to ask for. */
  readonly token?: string
  /** Where the state is written once all is ready. Default: in the run folder. */
  readonly stateFile?: string
  /** The folder for logs. Default: one of this process. */
  readonly runFolder?: string
  /** Whether to say on stderr that a node died. Default false. */
  readonly announce?: boolean
}

export interface LocalCluster {
  readonly mcpUrl: string
  readonly stateFile: string
  readonly runFolder: string
  /** The state now, with nodes that others added. */
  readonly state: Effect.Effect<ClusterState, StartError>
  /** SIGKILL, and waits until the process is gone. */
  readonly kill: (id: string) => Effect.Effect<void, StartError>
  /** Takes it out of the balancer, then SIGTERM; waits until the process is gone. */
  readonly stop: (id: string) => Effect.Effect<void, StartError>
  /** SIGSTOP: the node stands still and keeps its sockets. */
  readonly freeze: (id: string) => Effect.Effect<void, StartError>
  /** SIGCONT: the node goes on. */
  readonly thaw: (id: string) => Effect.Effect<void, StartError>
  /** Starts one more node, or one with the id of a dead one, and settings of its own; gives its id. */
  readonly addNode: (id?: string, env?: Readonly<Record<string, string>>) => Effect.Effect<string, StartError>
  /** Ends when the balancer has ended, with what it said last. */
  readonly balancerEnded: Effect.Effect<never, StartError>
}

/** Starts a cluster, ready to serve when this returns. */
export const start = (options: LocalClusterOptions): Effect.Effect<LocalCluster, StartError, Scope.Scope> =>
  Effect.gen(function* () {
    const runFolder = options.runFolder ?? (yield* RunFolder.make)
    const stateFile = options.stateFile ?? join(runFolder, "state.json")
    const settings = {
      ...options.env,
      SANDBOX_IMAGE: options.sandboxImage,
      ...(options.token === undefined ? {} : NodeSettings.guardedBy(options.token)),
    }
    const scope = yield* Effect.scope
    const live = yield* Ref.make<ReadonlyMap<string, LocalNode.LocalNode>>(new Map())

    yield* StateFile.remove(stateFile)
    yield* Effect.addFinalizer(() => StateFile.remove(stateFile))
    const balancer = yield* startBalancer(options, stateFile, runFolder)
    const nodeScope = yield* Scope.fork(scope, ExecutionStrategy.parallel)
    const closing = yield* Ref.make(false)
    const startNode = (id: string, env: Readonly<Record<string, string>> = {}) =>
      LocalNode.start({
        id,
        databaseUrl: options.databaseUrl,
        settings: { ...settings, ...env },
        runFolder,
        program: options.program,
      }).pipe(
        Scope.extend(nodeScope),
        Effect.tap((node) => Ref.update(live, (nodes) => new Map(nodes).set(id, node))),
        Effect.tap((node) => (options.announce === true ? watch(node, closing) : Effect.void)),
      )

    const nodes = yield* Effect.forEach(range(options.nodes), (n) => startNode(`node-${n}`), {
      concurrency: "unbounded",
    })
    yield* Effect.addFinalizer(() => Ref.set(closing, true))
    yield* StateFile.write(stateFile, {
      mcpUrl: `${balancer.url}/mcp`,
      balancer: { url: balancer.url, pid: balancer.child.pid },
      clusterId: nodes[0]?.clusterId ?? "",
      token: options.token ?? null,
      databaseUrl: options.databaseUrl,
      nodes: nodes.map((node) => node.entry),
      settings,
    })

    const child = (id: string) =>
      Effect.flatMap(Ref.get(live), (nodes) => {
        const node = nodes.get(id)
        const error = new StartError({
          problem: `There is no ${id} in this cluster.`,
          remedy: "Look at its state.",
        })
        return node === undefined ? error : Effect.succeed(node.child)
      })
    const signal = (name: NodeJS.Signals) => (id: string) =>
      Effect.flatMap(child(id), (node) => node.signal(name))
    const addNode = (wanted?: string, env?: Readonly<Record<string, string>>) =>
      Effect.gen(function* () {
        const state = yield* StateFile.read(stateFile)
        const id = wanted ?? freshId(state)
        const node = yield* startNode(id, env)
        yield* StateFile.update(stateFile, (state) => withNode(state, node.entry))
        return id
      })
    return {
      mcpUrl: `${balancer.url}/mcp`,
      stateFile,
      runFolder,
      state: StateFile.read(stateFile),
      kill: (id) => Effect.flatMap(child(id), (node) => Effect.zipRight(node.signal("SIGKILL"), node.exited)),
      stop: (id) =>
        Effect.gen(function* () {
          const node = yield* child(id)
          yield* StateFile.update(stateFile, (state) => withoutNode(state, { id, pid: node.pid }))
          yield* node.stop
        }),
      freeze: signal("SIGSTOP"),
      thaw: signal("SIGCONT"),
      addNode,
      balancerEnded: balancer.ended,
    }
  })

/** The first id of the form `node-N` that no entry bears, or the one that follows `skip` such. */
export const freshId = ({ nodes }: ClusterState, skip = 0): string => {
  const taken = new Set(nodes.map((node) => node.id))
  const free = range(nodes.length + skip + 1).filter((n) => !taken.has(`node-${n}`))
  return `node-${free[skip]}`
}

/** The state with a node in place of an earlier one of the same id. */
export const withNode = (state: ClusterState, entry: ClusterState["nodes"][number]): ClusterState => ({
  ...state,
  nodes: [...state.nodes.filter((node) => node.id !== entry.id), entry],
})

/** The state without a node, unless another process has taken its id. */
export const withoutNode = (
  state: ClusterState,
  { id, pid }: Pick<ClusterState["nodes"][number], "id" | "pid">,
): ClusterState => ({
  ...state,
  nodes: state.nodes.filter((node) => node.id !== id || node.pid !== pid),
})

const range = (n: number) => Array.from({ length: n }, (_, i) => i + 1)

/** Says that a node died, unless all are being stopped. */
const watch = ({ child, entry }: LocalNode.LocalNode, closing: Ref.Ref<boolean>) =>
  child.exited.pipe(
    Effect.tap(({ code, signal }) =>
      step(`${entry.id} has ended (${signal ?? `code ${code}`}) and stays dead; the others go on.`).pipe(
        Effect.unlessEffect(Ref.get(closing)),
      ),
    ),
    Effect.forkDaemon,
  )

const startBalancer = (options: LocalClusterOptions, stateFile: string, runFolder: string) =>
  Effect.gen(function* () {
    const host = options.host ?? "127.0.0.1"
    const port = options.port ?? (yield* Port.free)
    const log = join(runFolder, "balancer.log")
    const child = yield* Child.start({
      command: process.execPath,
      args: [
        Project.built("scripts/balancer.js"),
        "--host",
        host,
        "--port",
        String(port),
        "--state",
        stateFile,
      ],
      output: log,
    })
    const ended = Effect.flatMap(child.exited, () =>
      Effect.fail(
        new StartError({ problem: `The balancer has ended${lastLine(log)}.`, remedy: `Its log is ${log}.` }),
      ),
    )
    const reachable = isUnspecified(host) ? "127.0.0.1" : host
    yield* Effect.raceFirst(accepts(reachable, port), ended)
    return { child, ended, url: `http://${reachable.includes(":") ? `[${reachable}]` : reachable}:${port}` }
  })

const accepts = (host: string, port: number) =>
  Effect.async<void, "refused">((resume) => {
    const socket = connect({ host, port })
    socket.once("connect", () => resume(Effect.sync(() => void socket.destroy())))
    socket.once("error", () => resume(Effect.fail("refused")))
  }).pipe(Effect.delay("30 millis"), Effect.eventually)
