/** Balancers of Debian's packages, with the configurations that the project shows, before servers of a test's own. */
import { Effect } from "effect"
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Child from "../../scripts/process/Child.ts"
import * as Command from "../../scripts/process/Command.ts"
import * as Port from "../../scripts/process/Port.ts"
import * as Project from "../../scripts/process/Project.ts"
import * as Apt from "../../scripts/setup/Apt.ts"
import * as Http from "./Http.ts"
import { until } from "./Until.ts"

export interface Balancer {
  readonly name: string
  /** Why it cannot be had on this machine; undefined once it is there. */
  readonly missing: Effect.Effect<string | undefined>
  /** The command that runs it in the foreground, with its configuration in a folder of its own. */
  readonly command: (servers: ReadonlyArray<string>, port: number, folder: string) => ReadonlyArray<string>
}

const mayInstall = process.env["TEST_INSTALL"] === "true"

/** Where it stands, or what has to be done to have it there. */
const had = <E extends { readonly message: string }>(program: string, get: Effect.Effect<unknown, E>) =>
  Effect.suspend(() =>
    existsSync(program)
      ? Effect.succeed(undefined)
      : get.pipe(
          Effect.as(undefined),
          Effect.catchAll(({ message }) => Effect.succeed(message)),
        ),
  )

/** A configuration in which each of some lines stands for one server, with the test's own servers and port. */
const adapted = (
  shown: string,
  serverLine: RegExp,
  lineOf: (host: string, index: number) => string,
  servers: ReadonlyArray<string>,
  port: number,
) => {
  const [first = "", ...others] = shown.split(serverLine)
  return [first, ...servers.map((url, index) => lineOf(new URL(url).host, index)), ...others]
    .join("")
    .replace("127.0.0.1:8080", `127.0.0.1:${port}`)
}

const haproxyProgram = "/usr/sbin/haproxy"

/** As the README's block has it. */
const haproxy: Balancer = {
  name: "HAProxy",
  missing: had(
    haproxyProgram,
    Apt.install(["haproxy"], { allowed: mayInstall, because: "a test is about it" }),
  ),
  command: (servers, port, folder) => {
    const readme = readFileSync(join(Project.root, "README.md"), "utf8")
    const shown = /```haproxy\n([^`]*)```/.exec(readme)?.[1] ?? "README.md shows none"
    const file = join(folder, "haproxy.cfg")
    const line = (host: string, index: number) => `  server node-${index + 1} ${host}\n`
    writeFileSync(file, adapted(shown, /^ +server .*\n/m, line, servers, port))
    return [haproxyProgram, "-db", "-f", file]
  },
}

const nginxFolder = join(Project.generated, "nginx")
const nginxProgram = join(nginxFolder, "usr/sbin/nginx")

/** Taken out of its package and not installed: that would start a server on port 80. */
const unpacked = Effect.gen(function* () {
  mkdirSync(nginxFolder, { recursive: true })
  const options = {
    cwd: nginxFolder,
    log: Project.log("nginx"),
    remedy: "Check that this machine reaches its package mirror.",
  }
  yield* Command.run({ ...options, command: "apt-get", args: ["-q", "download", "nginx"] })
  yield* Command.run({ ...options, command: "sh", args: ["-c", "dpkg-deb -x nginx_*.deb ."] })
})

/** As docker/nginx.conf has it. */
const nginx: Balancer = {
  name: "nginx",
  missing: had(
    nginxProgram,
    mayInstall ? unpacked : Effect.fail({ message: "it is not there, and may not be fetched" }),
  ),
  command: (servers, port, folder) => {
    const shown = readFileSync(join(Project.root, "docker/nginx.conf"), "utf8")
    const line = (host: string) => `  server ${host} max_fails=1 fail_timeout=2s;\n`
    const site = adapted(shown, /^ +server 127.*\n/m, line, servers, port)
    const places = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
      (kind) => `${kind}_temp_path ${join(folder, kind)};`,
    )
    const file = join(folder, "nginx.conf")
    const top = `daemon off; pid ${join(folder, "pid")}; ${Project.isRoot ? "user root;" : ""} error_log stderr;`
    writeFileSync(file, `${top}\nevents {}\nhttp { access_log off; ${places.join(" ")}\n${site}}\n`)
    return [nginxProgram, "-p", folder, "-c", file]
  },
}

/** Those that can be had here; says which cannot, and why. */
export const present: Effect.Effect<ReadonlyArray<Balancer>> = Effect.filter(
  [haproxy, nginx],
  ({ missing, name }) =>
    Effect.map(missing, (problem) => {
      if (problem !== undefined) console.warn(`${name} is not tested: ${problem}`)
      return problem === undefined
    }),
)

/** Balances over servers, given as `http://HOST:PORT`; gives its own such URL once it sees one of them ready. */
export const start = (balancer: Balancer, servers: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const folder = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "codegen-mcp-balancer-"))),
      (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true })),
    )
    const port = yield* Port.free
    const [command = "", ...args] = balancer.command(servers, port, folder)
    const log = join(folder, "log")
    // Not SIGKILL, which would leave the workers of nginx behind.
    yield* Child.start({ command, args, output: log, stopSignal: "SIGTERM" })
    const url = `http://127.0.0.1:${port}`
    yield* until(
      Effect.catchAllDefect(Http.send(`${url}/readyz`), () => Effect.succeed({ status: 0 })),
      ({ status }) => status === 200,
    ).pipe(Effect.tapErrorCause(() => Effect.sync(() => console.error(readFileSync(log, "utf8")))))
    return url
  })
