import { assert, describe, it } from "@effect/vitest"
import { Effect, Either } from "effect"
import { CommandId, type CommandSpec } from "../../../src/domain/Command.ts"
import { OperationId } from "../../../src/domain/Identity.ts"
import { failureOf } from "../../../src/domain/Failure.ts"
import type { NetworkPolicy } from "../../../src/domain/Network.ts"
import { FileError } from "../../../src/domain/SandboxError.ts"
import { exec } from "../../../src/tools/commands/Exec.ts"
import { gitClone, sourceOf } from "../../../src/tools/network/GitClone.ts"
import { installPackages } from "../../../src/tools/network/InstallPackages.ts"
import { isPackage } from "../../../src/tools/network/PackageNames.ts"
import { setNetworkPolicy } from "../../../src/tools/network/SetNetworkPolicy.ts"
import type { OwnerCall } from "../../../src/tools/Tool.ts"
import * as FakeSandbox from "../../support/FakeSandbox.ts"

/** A call of a session with this policy, in whose workspace these files are. */
const calling = (policy: NetworkPolicy, files: ReadonlyArray<string> = [], code = 0) => {
  const started: Array<CommandSpec> = []
  const chosen: Array<NetworkPolicy> = []
  const sandbox = FakeSandbox.running(started, {
    end: { _tag: "Exited", code, durationMs: 5, limits: [], spilled: {} },
  })
  const call: OwnerCall = {
    ...FakeSandbox.call(
      Effect.succeed({
        ...sandbox,
        start: (spec) =>
          Effect.sync(() => {
            started.push(spec)
            return CommandId.make(String(started.length))
          }),
        files: {
          ...sandbox.files,
          stat: (path) =>
            files.includes(path)
              ? Effect.succeed({ kind: "file", size: 1, mode: 0o644, mtimeMs: 0 } as never)
              : Effect.fail(new FileError({ path, reason: "missing" })),
        },
      }),
    ),
    network: {
      policy: () => chosen.at(-1) ?? policy,
      most: ["registries", "*.example.com"],
      status: () => undefined,
      refusals: () => [],
      set: (next) => Effect.sync(() => void chosen.push(next)),
    },
  }
  return { call, chosen, argvs: () => started.map(({ argv }) => argv) }
}

type Install = Parameters<typeof installPackages.handler>[0]

const installed = (input: Install, files?: ReadonlyArray<string>, code?: number) =>
  Effect.gen(function* () {
    const { call, argvs } = calling(["registries"], files, code)
    const answer = yield* installPackages.handler(input, call)
    return { answer, argvs: argvs() }
  })

const pip: readonly [string, ...ReadonlyArray<string>] = [
  "/workspace/.venv/bin/python",
  "-m",
  "pip",
  "install",
  "--no-input",
  "--progress-bar",
  "off",
]
const quiet = ["--no-audit", "--no-fund"]

describe("tools of the network", () => {
  describe("set_network_policy", () => {
    it.effect("takes presets and hosts, and answers how it stands", () =>
      Effect.gen(function* () {
        const { call, chosen } = calling([])
        yield* setNetworkPolicy.handler({ network: "registries" }, call)
        const answer = yield* setNetworkPolicy.handler(
          { network: "custom", hosts: ["a.example.com:8443"] },
          call,
        )
        yield* setNetworkPolicy.handler({ network: "none" }, call)
        assert.deepStrictEqual(chosen, [["registries"], ["a.example.com:8443"], []])
        assert.deepInclude(answer, { policy: "custom", hosts: ["a.example.com:8443"] })
      }),
    )

    it.effect("takes no hosts without `custom`, nor `custom` without hosts, nor what is no host", () =>
      Effect.gen(function* () {
        const { call, chosen } = calling([])
        for (const input of [
          { network: "custom" as const },
          { network: "none" as const, hosts: ["a.com"] },
          { network: "custom" as const, hosts: ["10.0.0.1"] },
          { network: "custom" as const, hosts: ["https://a.com/"] },
        ]) {
          const failure = failureOf(yield* Effect.flip(setNetworkPolicy.handler(input, call)))
          assert.strictEqual(failure.code, "invalid_arguments")
        }
        assert.deepStrictEqual(chosen, [])
      }),
    )
  })

  describe("install_packages", () => {
    it("takes names with versions, and nothing that pip or npm would read as anything else", () => {
      for (const name of [
        "requests",
        "requests==2.32.3",
        "uvicorn[standard]>=0.30,<1",
        "Flask~=3.0",
        "a.b_c-d",
        "x===1",
        "torch==2.1.0+cpu",
      ])
        assert.isTrue(isPackage("pip", name), name)
      for (const name of [
        "react",
        "react@18",
        "@types/node@^20.1.0",
        "left-pad@~1.2",
        "a@>=1",
        "a@*",
        "a@latest",
      ])
        assert.isTrue(isPackage("npm", name), name)
      const never = [
        "-r",
        "--index-url=https://evil",
        "-e.",
        "",
        " requests",
        "requests ",
        "a b",
        "a;b",
        "$(id)",
        "a\nb",
        ".",
        "..",
        "./a",
        "../a",
        "/tmp/a",
        "a/b/c",
        "https://a.com/b.tgz",
        "git+https://a.com/b",
        "file:a",
        "a@file:b",
        "a.whl",
        "a-1.0.tar.gz",
        "a.zip",
        "a.tgz",
        "a@npm:b",
        "a@https://b",
        "a@git+ssh://b",
        "~/a",
        "a @ https://b",
        "a@./b",
        "a@b.tgz",
        "a@../b",
        "a@/b",
        "github:a/b",
        "@-a/b",
        "-a",
        "@a/-b",
        "a".repeat(300),
      ]
      for (const name of never) {
        assert.isFalse(isPackage("pip", name), name)
        assert.isFalse(isPackage("npm", name), name)
      }
      assert.isFalse(isPackage("npm", "user/repository"))
      assert.isFalse(isPackage("pip", "@scope/name"))
      assert.isFalse(isPackage("pip", "a; python_version<'3'"))
    })

    it.effect("makes the venv at first use alone", () =>
      Effect.gen(function* () {
        const first = yield* installed({ manager: "pip", packages: ["six==1.16.0"] })
        assert.deepStrictEqual(first.argvs, [
          ["python3", "-m", "venv", "--system-site-packages", "/workspace/.venv"],
          [...pip, "six==1.16.0"],
        ])
        assert.lengthOf(first.answer.steps, 2)
        const second = yield* installed({ manager: "pip", packages: ["six"] }, [
          "/workspace/.venv/pyvenv.cfg",
        ])
        assert.deepStrictEqual(second.argvs, [[...pip, "six"]])
      }),
    )

    it.effect("installs what the project's files name, by its lock file where there is one", () =>
      Effect.gen(function* () {
        const venv = "/workspace/.venv/pyvenv.cfg"
        const at = (...names: ReadonlyArray<string>) => [venv, ...names.map((name) => `/workspace/./${name}`)]
        const plans: ReadonlyArray<
          readonly [Install, ReadonlyArray<string>, ReadonlyArray<ReadonlyArray<string>>]
        > = [
          [{}, at("requirements.txt", "pyproject.toml"), [[...pip, "-r", "requirements.txt"]]],
          [{}, at("pyproject.toml"), [[...pip, "-e", "."]]],
          [{}, at("package.json"), [["npm", "install", ...quiet]]],
          [{}, at("package.json", "package-lock.json"), [["npm", "ci", ...quiet]]],
          [
            {},
            at("requirements.txt", "package.json"),
            [
              [...pip, "-r", "requirements.txt"],
              ["npm", "install", ...quiet],
            ],
          ],
          [{ manager: "npm" }, at("requirements.txt", "package.json"), [["npm", "install", ...quiet]]],
        ]
        for (const [input, files, argvs] of plans)
          assert.deepStrictEqual((yield* installed(input, files)).argvs, argvs)
        const dev = yield* installed({ manager: "npm", packages: ["vitest@3"], dev: true })
        assert.deepStrictEqual(dev.argvs, [["npm", "install", "--save-dev", "vitest@3", ...quiet]])
        const failure = failureOf(yield* Effect.flip(installed({})))
        assert.strictEqual(failure.code, "invalid_arguments")
        assert.include(failure.message, "package.json")
      }),
    )

    it.effect("runs one after another of those that are asked at once", () =>
      Effect.gen(function* () {
        const { call } = calling(["registries"])
        let running = 0
        let most = 0
        const sandbox = Effect.map(call.sandbox, (sandbox) => ({
          ...sandbox,
          start: (spec: CommandSpec) =>
            Effect.suspend(() => {
              most = Math.max(most, ++running)
              return Effect.zipRight(Effect.yieldNow(), sandbox.start(spec))
            }),
          read: (...args: Parameters<typeof sandbox.read>) =>
            Effect.tap(Effect.zipRight(Effect.yieldNow(), sandbox.read(...args)), () => running--),
        }))
        yield* Effect.forEach(
          ["left-pad", "is-odd"],
          (name) =>
            installPackages.handler(
              { manager: "npm", packages: [name] },
              { ...call, sandbox, operation: OperationId.make(name) },
            ),
          { concurrency: "unbounded" },
        )
        assert.strictEqual(most, 1)
      }),
    )

    it.effect("stops at the first step that fails, and answers with that", () =>
      Effect.gen(function* () {
        const { answer, argvs } = yield* installed({ manager: "pip", packages: ["six"] }, [], 1)
        assert.lengthOf(argvs, 1)
        assert.deepInclude(answer, { status: "exited", exit_code: 1 })
      }),
    )

    it.effect("starts nothing where the session may reach nothing, or an argument is wrong", () =>
      Effect.gen(function* () {
        const none = calling([])
        const needed = failureOf(yield* Effect.flip(installPackages.handler({}, none.call)))
        assert.strictEqual(needed.code, "network_needed")
        assert.include(needed.next, "network: registries")
        for (const input of [
          { packages: ["six"] },
          { manager: "pip" as const, packages: ["six", "--pre"] },
        ]) {
          const failure = failureOf(yield* Effect.flip(installed(input)))
          assert.strictEqual(failure.code, "invalid_arguments")
        }
        assert.deepStrictEqual(none.argvs(), [])
      }),
    )
  })

  describe("git_clone", () => {
    it("takes https URLs of named hosts alone, and folders of the workspace", () => {
      const found = Either.getOrThrow(sourceOf("https://Git.example.com/a/repo.git", undefined))
      assert.deepStrictEqual(found, {
        url: "https://git.example.com/a/repo.git",
        host: "git.example.com",
        port: 443,
        path: "/workspace/repo",
      })
      assert.strictEqual(Either.getOrThrow(sourceOf("https://a.com/b", "x/../y")).path, "/workspace/y")
      const wrong: ReadonlyArray<readonly [string, string?]> = [
        ...["http://a.com/b", "git://a.com/b", "ssh://a.com/b", "a@a.com:b", "/b", "https://1.2.3.4/b"].map(
          (url) => [url] as const,
        ),
        ["https://user@a.com/b"],
        ["https://user:pass@a.com/b"],
        ["https://a.com/b?c"],
        ["https://a.com/b#c"],
        ["https://a.com/"],
        ["https://a.com/-b"],
        ["https://a.com/b", "../b"],
        ["https://a.com/b", "/etc"],
        ["https://a.com/b", "."],
        ["ext::sh -c id"],
      ]
      for (const [url, path] of wrong) assert.isTrue(Either.isLeft(sourceOf(url, path)), `${url} ${path}`)
    })

    it.effect("clones a host of the policy, shallow unless asked, and else says what to ask for", () =>
      Effect.gen(function* () {
        const { call, argvs } = calling(["git.example.com"])
        const url = "https://git.example.com/a/repo"
        const answer = yield* gitClone.handler({ url, branch: "v1" }, call)
        assert.strictEqual(answer.path, "/workspace/repo")
        assert.deepStrictEqual(argvs()[0]?.slice(5), [
          "clone",
          "--progress",
          "--depth",
          "1",
          "--branch",
          "v1",
          "--",
          url,
          "/workspace/repo",
        ])
        yield* gitClone.handler({ url, depth: 0 }, call)
        assert.isFalse(argvs()[1]?.includes("--depth"))
        const refusal = (url: string) => Effect.map(Effect.flip(gitClone.handler({ url }, call)), failureOf)
        const other = yield* refusal("https://www.example.com/a/b")
        assert.strictEqual(other.code, "network_needed")
        assert.include(other.next, "git.example.com, www.example.com")
        assert.include((yield* refusal("https://a.com/b")).next, "The operator does not allow it")
        assert.include((yield* refusal("https://git.example.com:8443/b")).message, "git.example.com:8443")
        assert.lengthOf(argvs(), 2)
      }),
    )
  })

  it.effect("an exec tells what its command was refused meanwhile", () =>
    Effect.gen(function* () {
      const started: Array<CommandSpec> = []
      const asked: Array<number> = []
      const sandbox = FakeSandbox.running(started)
      const refusing: typeof sandbox = {
        ...sandbox,
        network: {
          ...sandbox.network,
          refusals: (from) => {
            asked.push(from)
            return Array.from({ length: 7 }, (_, index) => ({ target: `h${index}.com:443`, reason: "no" }))
          },
        },
      }
      const before = Date.now()
      const { note = "" } = yield* exec.handler({ command: "x" }, FakeSandbox.call(Effect.succeed(refusing)))
      assert.include(note, "h2.com:443 (no), h3.com:443 (no)")
      assert.include(note, "and 2 more")
      assert.isAtLeast(asked[0] ?? 0, before)
    }),
  )
})
