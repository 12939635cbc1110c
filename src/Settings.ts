/**
 * Every setting of a node: its environment variable, default, unit and meaning.
 * `--help` prints this list; nothing else in src reads the environment, but dockerode DOCKER_HOST.
 */
import { Config, LogLevel, Option, Redacted } from "effect"
import { networkSettings } from "./domain/NetworkSettings.ts"
import { toolSettings } from "./domain/ToolSettings.ts"
import { transferSettings } from "./domain/TransferSettings.ts"
import {
  amount,
  bytes,
  choice,
  count,
  described,
  duration,
  list,
  optional,
  port,
  separated,
  setting,
  text,
} from "./domain/Setting.ts"

const KiB = 1024
const MiB = 1024 * KiB

/** All settings, in the order `--help` prints them. */
export const settings = {
  databaseUrl: setting(
    "DATABASE_URL",
    (name) =>
      Config.nonEmptyString(name).pipe(
        Config.validate({
          message: "must be a URL, postgres://user@host:port/database",
          validation: URL.canParse,
        }),
        Config.map(Redacted.make),
      ),
    undefined,
    "Postgres of this cluster, `postgres://user:password@host:port/database`; one database a cluster",
  ),
  databasePool: count(
    "DATABASE_POOL",
    10,
    "connections to Postgres for queries; cluster locks use 3 more",
    2,
  ),

  httpHost: text("HTTP_HOST", "127.0.0.1", "address that MCP is served on; off loopback needs API_TOKENS"),
  httpPort: port("HTTP_PORT", 8080, "port that MCP is served on"),
  runnerHost: text(
    "RUNNER_HOST",
    "127.0.0.1",
    "address on which the other nodes reach this one; off loopback needs CLUSTER_SECRET",
  ),
  runnerPort: port("RUNNER_PORT", 34431, "port on which the other nodes reach this one"),
  clusterSecret: setting(
    "CLUSTER_SECRET",
    (name) =>
      separated.pipe(
        Config.validate({
          message: "each secret has at least 32 characters; `openssl rand -hex 32` makes one",
          validation: (secrets) => secrets.every((secret) => secret.length >= 32),
        }),
        Config.map(Redacted.make),
        Config.nested(name),
      ),
    { value: Redacted.make<ReadonlyArray<string>>([]), text: "unset" },
    "what the nodes of a cluster share, and nobody else: they talk by TLS with a key of it; several, separated by commas, are all accepted, and the first is used",
  ),
  apiTokens: list(
    "API_TOKENS",
    "bearer tokens as `id:sha256`, separated by commas; each id is a principal of its own, sha256 is the token's hash in hex",
  ),
  allowedOrigins: list("ALLOWED_ORIGINS", "browser origins that may call, besides loopback ones on loopback"),
  allowedHosts: list(
    "ALLOWED_HOSTS",
    "Host headers to accept; without it, loopback names where no token is set",
  ),
  maxSessions: count("MAX_SESSIONS", 1000, "open sessions of one principal"),
  maxConnections: count("MAX_CONNECTIONS", 1000, "open MCP connections of one principal"),
  maxRequests: count("MAX_REQUESTS", 256, "requests of one principal that this node works on at once"),
  maxStreams: count("MAX_STREAMS", 256, "streams of one principal that this node holds open at once"),
  maxSockets: count(
    "MAX_SOCKETS",
    8192,
    "TCP connections to this node's HTTP at once; more are closed unheard",
  ),
  maxBody: bytes("MAX_BODY", 12 * MiB, "largest request body"),
  maxHeader: bytes("MAX_HEADER", 16 * KiB, "largest header of a request"),
  headerTimeout: duration("HEADER_TIMEOUT", "15 seconds", "time that a client may take to send a header"),
  requestTimeout: duration("REQUEST_TIMEOUT", "1 minute", "time that a client may take to send a request"),
  stallTimeout: duration(
    "STALL_TIMEOUT",
    "1 minute",
    "time without a byte taken by its client after which an answer is cut off; a stream can be taken up again",
  ),
  keepAlive: duration(
    "KEEP_ALIVE",
    "75 seconds",
    "time that an idle HTTP connection is kept; more than a balancer keeps its own",
  ),

  ...toolSettings,

  dataDir: text("DATA_DIR", ".codegen/node", "folder where this node keeps its id"),
  nodeId: optional("NODE_ID", "this node's id; otherwise made once and kept in DATA_DIR"),

  dockerHost: optional("DOCKER_HOST", "Docker engine; the usual socket otherwise"),
  sandboxImage: text("SANDBOX_IMAGE", "codegen-mcp-sandbox", "image that sandboxes start from"),
  agentImage: text(
    "AGENT_IMAGE",
    "codegen-mcp-agent",
    "image that holds the program which runs inside each sandbox; `docker/agent` makes it",
  ),
  sandboxRuntime: optional(
    "SANDBOX_RUNTIME",
    "container runtime, such as `runsc`; the engine's default otherwise",
  ),
  sandboxMemory: bytes(
    "SANDBOX_MEMORY",
    1024 * MiB,
    "memory for the programs of one sandbox; they may also use what its files in memory leave of their room",
  ),
  sandboxMedium: choice(
    "SANDBOX_MEDIUM",
    ["memory", "disk"],
    "what /workspace and /home/agent stand on: `memory`, or `disk`, where the node is root beside its engine",
  ),
  sandboxWorkspace: bytes("SANDBOX_WORKSPACE", 512 * MiB, "size of /workspace"),
  sandboxHome: bytes("SANDBOX_HOME", 256 * MiB, "size of /home/agent"),
  sandboxTmp: bytes("SANDBOX_TMP", 64 * MiB, "size of /tmp, in memory"),
  sandboxCpus: amount("SANDBOX_CPUS", 1, "processors that one sandbox may use"),
  sandboxPids: count("SANDBOX_PIDS", 256, "processes and threads in one sandbox", 16),
  sandboxOpenFiles: count("SANDBOX_OPEN_FILES", 1024, "open files of one process", 64),
  sandboxFirstUid: count(
    "SANDBOX_FIRST_UID",
    20000,
    "first of 1,000 user ids for sandboxes; the standard image has names for 20000 to 20999",
    1000,
  ),
  diskDir: text("DISK_DIR", "/var/lib/codegen-mcp/disks", "folder for the disks of the medium `disk`"),
  templates: text(
    "TEMPLATES",
    "{}",
    'more kinds of sandbox, as JSON: `{"name": {"image": …, "memory": …, "env": {…}, "mounts": […]}}`; the README lists the fields',
  ),
  poolMin: count("POOL_MIN", 1, "sandboxes that are kept ready for new sessions, at least", 0),
  poolMax: count("POOL_MAX", 4, "sandboxes that are kept ready for new sessions, at most", 0),
  maxSandboxes: count("MAX_SANDBOXES", 20, "sandboxes on this node at once"),
  maxMemory: setting(
    "MAX_MEMORY",
    (name) => Config.option(Config.integer(name)),
    { value: Option.none<number>(), text: "twice the engine's memory" },
    "what the memory limits of all sandboxes on this node may add up to (bytes)",
  ),

  ...networkSettings,

  commandTimeout: duration("COMMAND_TIMEOUT", "2 minutes", "a command's time where the caller names none"),
  maxCommandTimeout: duration("MAX_COMMAND_TIMEOUT", "10 minutes", "the longest time a caller may name"),
  outputLimit: bytes("OUTPUT_LIMIT", 1 * MiB, "output kept of one command, for stdout and stderr each"),
  commandOutput: bytes(
    "MAX_COMMAND_OUTPUT",
    1024 * MiB,
    "output after which a command is killed, stdout and stderr together",
  ),
  spill: bytes(
    "SPILL_LIMIT",
    32 * MiB,
    "output past OUTPUT_LIMIT that a sandbox keeps in files below /tmp, of all its commands",
  ),
  maxFile: bytes("MAX_FILE", 8 * MiB, "largest file that one call reads or writes"),

  ...transferSettings,

  checkpoint: choice(
    "CHECKPOINT",
    ["call", "interval", "off"],
    "when a session's files are saved beyond this node: with each `call` that may change them, before it is answered; at an `interval`; or never (`off`)",
  ),
  checkpointInterval: duration(
    "CHECKPOINT_INTERVAL",
    "30 seconds",
    "with `interval`, the longest time that a session's files are saved nowhere else",
  ),
  checkpointWait: duration(
    "CHECKPOINT_WAIT",
    "10 seconds",
    "time that an answer waits for its files to be saved; then it says `pending`, and they are saved all the same",
  ),
  checkpointExclude: list("CHECKPOINT_EXCLUDE", "paths below /workspace and /home/agent that are not saved", [
    "/home/agent/.cache",
    "/home/agent/.npm",
  ]),
  workspaceStore: text(
    "WORKSPACE_STORE",
    "postgres",
    "where saved files are kept: `postgres`, or the path of a folder that all nodes share",
  ),
  checkpointHistory: duration(
    "CHECKPOINT_HISTORY",
    "7 days",
    "time for which checkpoints are kept that the newest does not stand on, to fall back on; the last 128 at most",
  ),
  garbageGrace: duration(
    "GARBAGE_GRACE",
    "10 minutes",
    "time after which what no checkpoint names is removed from the store",
  ),
  hibernateAfter: duration(
    "HIBERNATE_AFTER",
    "10 minutes",
    "time without calls after which a session whose files are saved gives up its sandbox, until its next call",
  ),

  questionTimeout: duration(
    "QUESTION_TIMEOUT",
    "5 minutes",
    "time that a client has to answer what a tool asks it",
  ),
  connectionLease: duration(
    "CONNECTION_LEASE",
    "10 minutes",
    "time after its last request or stream until a connection ends, and its unnamed session with it",
  ),
  idleTimeout: duration(
    "IDLE_TIMEOUT",
    "10 minutes",
    "time without calls after which a sandbox that never ran anything is dropped",
  ),
  unnamedLifetime: duration(
    "UNNAMED_LIFETIME",
    "24 hours",
    "time without calls after which an unnamed session of `open_session` is closed",
  ),
  operationRetention: duration(
    "OPERATION_RETENTION",
    "7 days",
    "time that the outcome of an operation is kept",
  ),

  heartbeat: duration(
    "NODE_HEARTBEAT",
    "2 seconds",
    "interval at which this node tells Postgres that it lives",
  ),
  nodeExpiry: duration(
    "NODE_EXPIRY",
    "15 seconds",
    "time without a heartbeat after which a node counts as dead",
  ),
  reconcileInterval: duration(
    "RECONCILE_INTERVAL",
    "10 seconds",
    "interval at which leftovers are looked for",
  ),
  reconcileGrace: duration("RECONCILE_GRACE", "30 seconds", "age below which no container is a leftover"),
  shardLockExpiration: duration(
    "SHARD_LOCK_EXPIRATION",
    "6 seconds",
    "time after which a silent node loses its shards",
  ),
  shardLockRefresh: duration(
    "SHARD_LOCK_REFRESH",
    "2 seconds",
    "interval at which a node renews its shard locks",
  ),
  leaveDelay: duration(
    "LEAVE_DELAY",
    "2 seconds",
    "time for which a node that leaves still serves all that comes, so that balancers see at /readyz that it is not ready",
  ),
  drainTimeout: duration(
    "DRAIN_TIMEOUT",
    "10 seconds",
    "time that commands have to end where their node leaves or their session moves, before they are interrupted",
  ),
  shutdownTimeout: duration(
    "SHUTDOWN_TIMEOUT",
    "20 seconds",
    "time for a node to leave beside that for commands, half of it for calls to end; then it exits regardless",
  ),

  logLevel: setting(
    "LOG_LEVEL",
    Config.logLevel,
    { value: LogLevel.Info, text: "info" },
    "all, trace, debug, info, warning, error, fatal or none",
  ),
} as const

/** The list of settings as `--help` prints it. */
export const describeSettings = () => described(Object.values(settings))
