/** A cluster of real node processes behind a real balancer, on a database of its own, for the tests of one file. */
import { SqlClient } from "@effect/sql"
import { PgClient } from "@effect/sql-pg"
import { Config, Context, Effect, Layer, Redacted, Schema, type Scope } from "effect"
import { randomUUID } from "node:crypto"
import * as LocalCluster from "../../scripts/cluster/LocalCluster.ts"
import { ContainerId } from "../../src/domain/Identity.ts"
import { labels } from "../../src/sandbox/Specification.ts"
import { Docker } from "../../src/sandbox/Docker.ts"
import { closeSession } from "../../src/tools/sessions/CloseSession.ts"
import { openSession } from "../../src/tools/sessions/OpenSession.ts"
import { sessionInfo } from "../../src/tools/sessions/SessionInfo.ts"
import * as Client from "./Client.ts"
import * as Http from "./Http.ts"
import * as StrayVolumes from "./StrayVolumes.ts"
import * as TestDatabase from "./TestDatabase.ts"
import { until } from "./Until.ts"

export interface TestClusterOptions {
  readonly nodes: number
  /** Settings of all nodes. */
  readonly env?: Readonly<Record<string, string>>
  /** Makes the file that the nodes run; the build's otherwise. */
  readonly program?: Effect.Effect<string, never, Scope.Scope>
  /** The URL at which the nodes find the database, where it is not the database's own. */
  readonly nodesReach?: (databaseUrl: string) => string
}

/** A container of the cluster, and the start of a node that it belongs to. */
export interface OwnedContainer {
  readonly id: ContainerId
  readonly incarnation: string
}

export class TestCluster extends Context.Tag("codegen-mcp/test/TestCluster")<
  TestCluster,
  LocalCluster.LocalCluster & {
    readonly sql: SqlClient.SqlClient
    /** All containers of this cluster, in any state. */
    readonly containers: Effect.Effect<ReadonlyArray<OwnedContainer>>
    /** Volumes of disks that no container uses, and that were not there before the cluster. */
    readonly strayVolumes: Effect.Effect<ReadonlyArray<string>>
    /** Takes all sandboxes from their nodes, behind their back. */
    readonly removeContainers: Effect.Effect<void>
    /** Where a node serves HTTP, without a path. */
    readonly url: (node: string) => Effect.Effect<string>
    readonly incarnation: (node: string) => Effect.Effect<string>
    /** A client, through the balancer unless `url` says otherwise. */
    readonly client: (options?: Partial<Client.ClientOptions>) => ReturnType<typeof Client.open>
  }
>() {
  static readonly layer = (options: TestClusterOptions) => Layer.scoped(TestCluster, make(options))
}

const make = ({ nodes, env, program, nodesReach = (url) => url }: TestClusterOptions) =>
  Effect.gen(function* () {
    const databaseUrl = yield* TestDatabase.make
    const docker = yield* Effect.map(Layer.build(Docker.layer), Context.get(Docker))
    const sql = Context.get(
      yield* Layer.build(PgClient.layer({ url: Redacted.make(databaseUrl), maxConnections: 2 })),
      SqlClient.SqlClient,
    )
    const clusterId = Effect.map(sql<{ id: string }>`SELECT id FROM cluster`, (rows) => rows[0]?.id ?? "none")
    const list = Effect.flatMap(clusterId, (id) =>
      docker.use("list", (docker) =>
        docker.listContainers({ all: true, filters: { label: [`${labels.cluster}=${id}`] } }),
      ),
    )
    const strayVolumes = Effect.orDie(yield* StrayVolumes.sinceNow(docker))
    const removeContainers = list.pipe(
      Effect.flatMap(
        Effect.forEach(({ Id }) =>
          Effect.ignore(
            docker.use("remove", (docker) => docker.getContainer(Id).remove({ force: true, v: true })),
          ),
        ),
      ),
      Effect.ignore,
    )
    // The nodes remove their containers; this is for a test that failed half-way.
    yield* Effect.addFinalizer(() => removeContainers)
    const cluster = yield* LocalCluster.start({
      nodes,
      program: yield* program ?? Effect.succeed(undefined),
      databaseUrl: nodesReach(databaseUrl),
      sandboxImage: yield* Config.string("SANDBOX_IMAGE"),
      env: { AGENT_IMAGE: yield* Config.string("AGENT_IMAGE"), ...small, ...env },
    })
    const entry = (node: string) =>
      Effect.flatMap(Effect.orDie(cluster.state), ({ nodes }) => {
        const found = nodes.find(({ id }) => id === node)
        return found === undefined ? Effect.dieMessage(`there is no ${node}`) : Effect.succeed(found)
      })
    return {
      ...cluster,
      sql,
      containers: list.pipe(
        Effect.map((found) =>
          found.map(({ Id, Labels }) => ({
            id: ContainerId.make(Id),
            incarnation: Labels[labels.incarnation] ?? "none",
          })),
        ),
        Effect.orDie,
      ),
      strayVolumes,
      removeContainers,
      url: (node: string) => Effect.map(entry(node), ({ url }) => url),
      incarnation: (node: string) => Effect.map(entry(node), ({ incarnation }) => incarnation),
      client: (options?: Partial<Client.ClientOptions>) => Client.open({ url: cluster.mcpUrl, ...options }),
    }
  })

/** Small sandboxes, and a quick look for leftovers. */
const small = {
  SANDBOX_MEMORY: String(128 * 1024 * 1024),
  SANDBOX_WORKSPACE: String(32 * 1024 * 1024),
  SANDBOX_HOME: String(16 * 1024 * 1024),
  SANDBOX_TMP: String(16 * 1024 * 1024),
  POOL_MIN: "0",
  POOL_MAX: "0",
  NODE_HEARTBEAT: "500 millis",
  NODE_EXPIRY: "5 seconds",
  RECONCILE_INTERVAL: "1 seconds",
  RECONCILE_GRACE: "4 seconds",
  DRAIN_TIMEOUT: "500 millis",
}

const Readiness = Schema.Struct({
  ready: Schema.Boolean,
  node: Schema.String,
  postgres: Schema.Boolean,
  engine: Schema.Boolean,
  shards: Schema.Number,
  pools: Schema.Record({ key: Schema.String, value: Schema.Struct({ ready: Schema.Number }) }),
})

/** What a node says of itself, with the status that it says it with. */
export const readiness = (url: string) =>
  Effect.flatMap(Http.send(`${url}/readyz`), ({ status, text }) =>
    Effect.map(Effect.orDie(Schema.decode(Schema.parseJson(Readiness))(text)), (answer) => ({
      status,
      ...answer,
    })),
  )

/** Shards of a cluster; the library's number. */
export const shards = 300

/**
 * Waits until the nodes of these URLs, which are all that live, hold all shards among them and each its share, and gives
 * what they say. Before, those that started first hold what is still to move.
 */
export const settled = (urls: ReadonlyArray<string>) =>
  until(
    Effect.forEach(urls, (url) => readiness(url), { concurrency: 4 }),
    (all) =>
      all.reduce((sum, node) => sum + node.shards, 0) === shards &&
      all.every((node) => node.shards >= Math.floor(shards / urls.length)),
  )

/** All nodes of the state file: their ids and URLs, in the order of their ids. */
export const nodesOf = (cluster: TestCluster["Type"]) =>
  Effect.map(Effect.orDie(cluster.state), ({ nodes }) =>
    [...nodes].sort((a, b) => a.id.localeCompare(b.id)).map(({ id, url }) => ({ id, url })),
  )

/** A client whose session is owned by this node; tries new sessions until one is. Others may join one that is named. */
export const clientOwnedBy = (cluster: TestCluster["Type"], node: string, { named = false } = {}) =>
  Effect.gen(function* () {
    for (let tried = 0; tried < 60; tried++) {
      const client = yield* cluster.client(named ? { session: randomUUID() } : {})
      if ((yield* client.ask(sessionInfo, {})).owner_node === node) return client
      yield* Effect.orDie(client.end())
    }
    return yield* Effect.dieMessage(`${node} owns none of 60 new sessions`)
  })

/** A session of a client, by a template, that is owned by this node; opens one after the other until one is. */
export const sessionOwnedBy = (client: Client.TestClient, node: string, template?: string) =>
  Effect.gen(function* () {
    for (let tried = 0; tried < 60; tried++) {
      const { session_id: session } = yield* client.ask(
        openSession,
        template === undefined ? {} : { template },
      )
      if ((yield* client.ask(sessionInfo, {}, { session })).owner_node === node) return session
      yield* client.ask(closeSession, {}, { session })
    }
    return yield* Effect.dieMessage(`${node} owns none of 60 new sessions`)
  })
