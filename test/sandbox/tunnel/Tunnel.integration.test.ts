/** The way out of a real sandbox: to servers of the test's own, and to the real registries where they can be reached. */
import { assert, describe, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { lookup } from "node:dns/promises"
import { createServer, type RequestListener } from "node:http"
import { createServer as createSecureServer } from "node:https"
import { mkdtempSync, writeFileSync } from "node:fs"
import { connect } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { rootCertificates } from "node:tls"
import { kindOf } from "../../../src/sandbox/tunnel/Addresses.ts"
import type { NetworkPolicy } from "../../../src/domain/Network.ts"
import type { Sandbox } from "../../../src/sandbox/Sandbox.ts"
import { Outside } from "../../../src/sandbox/tunnel/Outside.ts"
import { gitClone } from "../../../src/tools/network/GitClone.ts"
import { installPackages } from "../../../src/tools/network/InstallPackages.ts"
import type { OwnerCall } from "../../../src/tools/Tool.ts"
import * as FakeSandbox from "../../support/FakeSandbox.ts"
import { line, output, run, SharedSandbox } from "../../support/SharedSandbox.ts"
import * as TestNode from "../../support/TestNode.ts"
import { fresh } from "../../support/SharedSandbox.ts"

/** Where the names of the test lead: to this port of this machine. */
const site = { port: 0 }

const outside = Layer.succeed(Outside, {
  resolve: async (host) => (host === "private.test" ? ["10.0.0.1"] : ["192.0.2.1"]),
  connect: () => connect({ host: "127.0.0.1", port: site.port, allowHalfOpen: true }),
})

/** A web server on this machine, to which every name leads from now on. */
const web = (listener: RequestListener, keys?: { readonly key: Buffer; readonly cert: Buffer }) =>
  Effect.acquireRelease(
    Effect.async<ReturnType<typeof createServer>>((resume) => {
      const made = keys === undefined ? createServer(listener) : createSecureServer(keys, listener)
      const server = made.listen(0, "127.0.0.1", () => {
        site.port = (server.address() as { readonly port: number }).port
        resume(Effect.succeed(server))
      })
    }),
    (server) =>
      Effect.sync(() => {
        server.closeAllConnections()
        server.close()
      }),
  )

/** An authority that nobody else trusts. */
const authority = "-----BEGIN CERTIFICATE-----\nb3VyIG93biBhdXRob3JpdHk=\n-----END CERTIFICATE-----"
const bundle = join(mkdtempSync(join(tmpdir(), "codegen-mcp-test-")), "ca.pem")
writeFileSync(bundle, authority)

const allowing = (cidrs: ReadonlyArray<string>, where: Layer.Layer<Outside>) =>
  Layer.effect(
    SharedSandbox,
    Effect.suspend(() => fresh),
  ).pipe(
    Layer.provideMerge(
      TestNode.engine({ TUNNEL_ALLOW_CIDRS: cidrs.join(","), NODE_EXTRA_CA_CERTS: bundle }, where),
    ),
  )

layer(allowing(["192.0.2.0/24"], outside), { excludeTestServices: true, timeout: "60 seconds" })(
  "a sandbox's tunnel",
  (it) => {
    it.scoped("is not there until the session may reach something, and goes when it may not", () =>
      Effect.gen(function* () {
        const sandbox = yield* SharedSandbox
        const variables = "env | grep -ic _proxy=; true"
        assert.strictEqual(yield* output(sandbox, variables), "0\n")
        yield* sandbox.network.allow(["index.test"])
        assert.strictEqual(yield* output(sandbox, variables), "9\n")
        yield* sandbox.network.allow([])
        assert.strictEqual(yield* output(sandbox, variables), "0\n")
      }),
    )

    it.scoped("brings the machine's authorities along, for an image that names none", () =>
      Effect.gen(function* () {
        const sandbox = yield* SharedSandbox
        yield* sandbox.network.allow([])
        const before = yield* output(sandbox, "echo $SSL_CERT_FILE")
        yield* sandbox.network.allow(["index.test"])
        const file = "/tmp/.codegen-certificates.pem"
        const certificates = yield* output(sandbox, `cat ${file}`)
        assert.include(certificates, authority)
        assert.include(certificates, rootCertificates[0] ?? "none")
        const after = yield* output(sandbox, "echo $SSL_CERT_FILE")
        assert.strictEqual(after, before === "\n" ? `${file}\n` : before)
      }),
    )

    it.scoped("leads to what is allowed, and nowhere else, also past the proxy", () =>
      Effect.gen(function* () {
        const sandbox = yield* SharedSandbox
        yield* web((_, response) => response.end("hello"))
        yield* sandbox.network.allow(["index.test", "private.test"])
        assert.strictEqual(yield* output(sandbox, "curl -sS http://index.test/x"), "hello")
        const since = Date.now()
        const curl = (url: string) => run(sandbox, line(`curl -sS -m 10 ${url}`))
        assert.include((yield* curl("https://other.test/")).err, "403")
        assert.include((yield* curl("https://192.0.2.1/")).err, "400")
        assert.include((yield* curl("https://index.test:8443/")).err, "403")
        assert.include((yield* curl("http://private.test/")).out, "10.0.0.1, which is private")
        assert.notStrictEqual((yield* curl("--noproxy '*' http://192.0.2.1/")).code, 0)
        assert.notStrictEqual((yield* curl("--noproxy '*' http://index.test/")).code, 0)
        const direct = yield* run(
          sandbox,
          line(`python3 -c 'import socket; socket.create_connection(("192.0.2.1", 80), 3)'`),
        )
        // As Linux says it, or gVisor.
        assert.match(direct.err, /Network is unreachable|No route to host/)
        const refused = sandbox.network.refusals(since, Date.now()).map(({ target }) => target)
        assert.deepStrictEqual(refused, [
          "other.test:443",
          "192.0.2.1:443",
          "index.test:8443",
          "private.test:80",
        ])
      }),
    )

    it.scoped("brings a repository of git by https", () =>
      Effect.gen(function* () {
        const sandbox = yield* SharedSandbox
        yield* output(
          sandbox,
          `git config --global http.sslVerify false && git config --global user.email a@b.c && git config --global user.name a
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=index.test -keyout key.pem -out cert.pem 2>/dev/null
git init -q origin && cd origin && echo hello >file && git add file && git commit -qm first
git clone -q --bare . ../origin.git && cd ../origin.git && git update-server-info`,
        )
        const bytes = (path: string) =>
          Effect.map(sandbox.files.read(`/workspace/${path}`, 0, 1_000_000), ({ data }) => Buffer.from(data))
        const keys = { key: yield* bytes("key.pem"), cert: yield* bytes("cert.pem") }
        yield* web(
          (request, response) =>
            void Effect.runPromise(Effect.option(bytes((request.url ?? "").split("?")[0]!.slice(1)))).then(
              (found) => (found._tag === "Some" ? response.end(found.value) : response.writeHead(404).end()),
            ),
          keys,
        )
        yield* sandbox.network.allow(["index.test"])
        const url = "https://index.test/origin.git"
        // A plain file server knows no shallow clones.
        const answer = yield* gitClone.handler(
          { url, path: "clone", depth: 0 },
          calling(sandbox, ["index.test"]),
        )
        assert.deepInclude(answer, { exit_code: 0, path: "/workspace/clone" }, answer.stderr)
        assert.strictEqual(yield* output(sandbox, "cat clone/file"), "hello\n")
      }),
    )

    it.scoped("brings a package of pip and one of npm from an index, and counts their bytes", () =>
      Effect.gen(function* () {
        const sandbox = yield* SharedSandbox
        yield* output(
          sandbox,
          `mkdir -p make/package && cd make && python3 - <<'END'
import zipfile
with zipfile.ZipFile("tiny-1.0-py3-none-any.whl", "w") as wheel:
    wheel.writestr("tiny.py", "word = 'from pip'\\n")
    wheel.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: tiny\\nVersion: 1.0\\n")
    wheel.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
    wheel.writestr("tiny-1.0.dist-info/RECORD", "")
END
echo '{"name":"tiny","version":"1.0.0","main":"index.js"}' >package/package.json
echo 'module.exports = "from npm"' >package/index.js
tar czf tiny.tgz package`,
        )
        const wheel = (yield* sandbox.files.read("/workspace/make/tiny-1.0-py3-none-any.whl", 0, 100_000))
          .data
        const tarball = (yield* sandbox.files.read("/workspace/make/tiny.tgz", 0, 100_000)).data
        yield* web((request, response) => {
          const path = request.url ?? ""
          if (path === "/simple/tiny/") {
            response.setHeader("content-type", "text/html")
            response.end('<a href="/tiny-1.0-py3-none-any.whl">tiny-1.0-py3-none-any.whl</a>')
          } else if (path.endsWith(".whl")) response.end(wheel)
          else if (path === "/tiny")
            response.end(
              JSON.stringify({
                name: "tiny",
                "dist-tags": { latest: "1.0.0" },
                versions: {
                  "1.0.0": {
                    name: "tiny",
                    version: "1.0.0",
                    dist: { tarball: "http://index.test/tiny.tgz" },
                  },
                },
              }),
            )
          else if (path === "/tiny.tgz") response.end(tarball)
          else response.writeHead(404).end()
        })
        yield* sandbox.network.allow(["index.test"])
        const before = sandbox.network.status()
        yield* output(
          sandbox,
          `pip install -q --break-system-packages --user --index-url http://index.test/simple --trusted-host index.test tiny`,
        )
        assert.strictEqual(yield* output(sandbox, "python3 -c 'import tiny; print(tiny.word)'"), "from pip\n")
        yield* output(
          sandbox,
          "mkdir -p app && cd app && npm install --no-audit --no-fund --registry http://index.test tiny",
        )
        assert.strictEqual(yield* output(sandbox, `cd app && node -p 'require("tiny")'`), "from npm\n")
        const after = sandbox.network.status()
        assert.isAbove(after.received - before.received, wheel.length + tarball.length)
        assert.isAbove(after.sent, before.sent)
        assert.isAtLeast(after.opened - before.opened, 4)
      }),
    )
  },
)

/** Why a registry cannot be used here; and the subnets that its names lead to, where they are none of the internet. */
const { problem, cidrs } = await reach([
  "https://pypi.org/simple/six/",
  "https://registry.npmjs.org/is-number",
])

async function reach(urls: ReadonlyArray<string>) {
  const cidrs = new Set<string>()
  try {
    for (const url of urls) {
      const answer = await fetch(url, { signal: AbortSignal.timeout(8_000) })
      await answer.arrayBuffer()
      if (!answer.ok) return { problem: `${url} answers ${answer.status}`, cidrs: [] }
      for (const host of [new URL(url).hostname, "files.pythonhosted.org"])
        for (const { address } of await lookup(host, { all: true }))
          if (kindOf(address) !== undefined) cidrs.add(address)
    }
    return { problem: undefined, cidrs: [...cidrs] }
  } catch (error) {
    return { problem: `the registries are out of reach: ${String(error)}`, cidrs: [] }
  }
}

/** A call of a session that has this sandbox, and lets it reach what the policy says. */
const calling = (sandbox: Sandbox, policy: NetworkPolicy): OwnerCall => {
  const call = FakeSandbox.call(Effect.succeed(sandbox))
  return { ...call, network: { ...call.network, policy: () => policy } }
}

describe.skipIf(problem !== undefined)(`with the real registries [${problem ?? "they answer"}]`, () => {
  layer(allowing(cidrs, Outside.layer), { excludeTestServices: true, timeout: "60 seconds" })(
    "a tunnel to the real registries",
    (it) => {
      it.effect(
        "brings packages by pip and npm, with every certificate checked",
        () =>
          Effect.gen(function* () {
            const sandbox = yield* SharedSandbox
            yield* sandbox.network.allow(["registries"])
            const call = calling(sandbox, ["registries"])
            const pip = yield* installPackages.handler({ manager: "pip", packages: ["six==1.16.0"] }, call)
            assert.deepInclude(pip, { status: "exited", exit_code: 0 }, pip.stderr)
            assert.strictEqual(
              yield* output(sandbox, ".venv/bin/python -c 'import six; print(six.__version__)'"),
              "1.16.0\n",
            )
            const npm = yield* installPackages.handler(
              { manager: "npm", packages: ["is-number@7.0.0"] },
              call,
            )
            assert.deepInclude(npm, { status: "exited", exit_code: 0 }, npm.stderr)
            assert.strictEqual(yield* output(sandbox, `node -p 'require("is-number")(5)'`), "true\n")
            assert.include((yield* run(sandbox, line("curl -sS -m 10 https://example.com/"))).err, "403")
          }),
        180_000,
      )
    },
  )
})
