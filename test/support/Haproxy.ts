/** HAProxy of Debian's packages, with the configuration that the README shows, before servers of the test's own. */
import { Effect } from "effect"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Child from "../../scripts/process/Child.ts"
import * as Port from "../../scripts/process/Port.ts"
import * as Project from "../../scripts/process/Project.ts"
import * as Apt from "../../scripts/setup/Apt.ts"
import * as Http from "./Http.ts"
import { until } from "./Until.ts"

const program = "/usr/sbin/haproxy"

/** Why it cannot be had on this machine; undefined once it is there. */
export const missing: Effect.Effect<string | undefined> = Effect.suspend(() =>
  existsSync(program)
    ? Effect.succeed(undefined)
    : Apt.install(["haproxy"], {
        allowed: process.env["TEST_INSTALL"] === "true",
        because: "a test is about it",
      }).pipe(
        Effect.as(undefined),
        Effect.catchAll((error) => Effect.succeed(error.message)),
      ),
)

/** The README's block, as it stands. */
const shown = () =>
  /```haproxy\n([^`]*)```/.exec(readFileSync(join(Project.root, "README.md"), "utf8"))?.[1] ??
  "README.md shows none"

/** Balances over servers, given as `http://HOST:PORT`; gives its own such URL once it sees one of them ready. */
export const start = (servers: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const folder = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "codegen-mcp-haproxy-"))),
      (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true })),
    )
    const port = yield* Port.free
    const file = join(folder, "haproxy.cfg")
    const [first = "", ...others] = shown().split(/^ +server .*\n/m)
    const lines = servers.map((url, index) => `  server node-${index + 1} ${new URL(url).host}\n`)
    const configuration = [first, ...lines, ...others]
      .join("")
      .replace(/^ +bind .*$/m, `  bind 127.0.0.1:${port}`)
    yield* Effect.sync(() => writeFileSync(file, configuration))
    const log = join(folder, "haproxy.log")
    yield* Child.start({ command: program, args: ["-db", "-f", file], output: log, stopSignal: "SIGKILL" })
    const url = `http://127.0.0.1:${port}`
    yield* until(
      Effect.catchAllDefect(Http.send(`${url}/readyz`), () => Effect.succeed({ status: 0 })),
      ({ status }) => status === 200,
    ).pipe(Effect.tapErrorCause(() => Effect.sync(() => console.error(readFileSync(log, "utf8")))))
    return url
  })
