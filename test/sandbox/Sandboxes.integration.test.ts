import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Exit, Layer, Scope } from "effect"
import { ContainerId } from "../../src/domain/Identity.ts"
import { NodeIdentity } from "../../src/domain/NodeIdentity.ts"
import { Docker } from "../../src/sandbox/Docker.ts"
import { Limits } from "../../src/sandbox/Limits.ts"
import type { Sandbox } from "../../src/sandbox/Sandbox.ts"
import { Sandboxes } from "../../src/sandbox/Sandboxes.ts"
import { Templates } from "../../src/sandbox/Templates.ts"
import { fresh, line, output, run, SharedSandbox } from "../support/SharedSandbox.ts"
import { isGvisor, processLimit, roomForProcesses, unlessGvisor } from "../support/Runtime.ts"
import * as TestNode from "../support/TestNode.ts"

const inspect = (sandbox: Sandbox) =>
  Effect.flatMap(Docker, ({ use }) => use("inspect", (docker) => docker.getContainer(sandbox.id).inspect()))

/** The containers of this cluster, in any state. */
const containers = Effect.gen(function* () {
  const { use } = yield* Docker
  const { cluster } = yield* NodeIdentity
  const found = yield* use("list", (docker) =>
    docker.listContainers({ all: true, filters: { label: [`codegen-mcp.cluster=${cluster}`] } }),
  )
  return found.map(({ Id }) => Id)
})

layer(SharedSandbox.layerOf(roomForProcesses), { excludeTestServices: true, timeout: "60 seconds" })(
  "Sandboxes",
  (it) => {
    describe("a container", () => {
      it.effect("is made with no network, no capability, a read-only root and bounded resources", () =>
        Effect.gen(function* () {
          const { standard } = yield* Templates
          const { HostConfig, Config, State } = yield* inspect(yield* SharedSandbox)
          assert.isTrue(State.Running)
          assert.strictEqual(HostConfig.NetworkMode, "none")
          assert.isTrue(HostConfig.ReadonlyRootfs)
          assert.deepStrictEqual(HostConfig.CapDrop, ["ALL"])
          assert.isNotOk(HostConfig.CapAdd)
          assert.isFalse(HostConfig.Privileged)
          assert.include(HostConfig.SecurityOpt, "no-new-privileges")
          assert.isTrue(
            HostConfig.SecurityOpt?.some((option: string) => option.startsWith('seccomp={"defaultAction"')),
          )
          assert.strictEqual(HostConfig.LogConfig?.Type, "none")
          assert.strictEqual(HostConfig.IpcMode, "private")
          assert.notStrictEqual(HostConfig.PidMode, "host")
          const memory =
            standard.memory + standard.workspace + standard.home + standard.tmp + 16 * 1024 * 1024
          assert.strictEqual(HostConfig.Memory, memory)
          assert.strictEqual(HostConfig.MemorySwap, memory)
          assert.strictEqual(HostConfig.NanoCpus, standard.cpus * 1e9)
          assert.strictEqual(processLimit(HostConfig), standard.pids)
          assert.deepInclude([...(HostConfig.Ulimits ?? [])] as ReadonlyArray<object>, {
            Name: "core",
            Hard: 0,
            Soft: 0,
          })
          assert.isNotOk(HostConfig.Binds)
          assert.deepStrictEqual(Config.Healthcheck?.Test, ["NONE"])
        }),
      )

      it.effect("mounts nothing of the machine but the agent's volume, which it may only read", () =>
        Effect.gen(function* () {
          const sandbox = yield* SharedSandbox
          const { Mounts } = yield* inspect(sandbox)
          assert.lengthOf(Mounts, 1)
          assert.deepInclude(Mounts[0], { Type: "volume", Destination: "/.codegen", RW: false })
          assert.notStrictEqual((yield* run(sandbox, line("echo x >> /.codegen/agent.js"))).code, 0)
        }),
      )

      it.effect("says by its labels whose it is, and nothing of a session", () =>
        Effect.gen(function* () {
          const { Config } = yield* inspect(yield* SharedSandbox)
          const { cluster, node, incarnation } = yield* NodeIdentity
          const own = Object.entries(Config.Labels).filter(([name]) => name.startsWith("codegen-mcp."))
          assert.deepStrictEqual(Object.fromEntries(own), {
            "codegen-mcp.cluster": cluster,
            "codegen-mcp.node": node,
            "codegen-mcp.incarnation": incarnation,
            "codegen-mcp.template": "default",
          })
        }),
      )

      it.effect("runs as a uid of the range, with a passwd entry and a home of its own", () =>
        Effect.gen(function* () {
          const { firstUid } = yield* Limits
          const [uid, gid, passwd, home] = (yield* output(
            yield* SharedSandbox,
            'id -u; id -G; getent passwd "$(id -u)" | wc -l; echo "$HOME $(stat -c %u "$HOME")"',
          )).split("\n")
          assert.isAtLeast(Number(uid), firstUid)
          assert.isBelow(Number(uid), firstUid + 1000)
          assert.strictEqual(gid, uid)
          assert.strictEqual(passwd, "1")
          assert.strictEqual(home, `/home/agent ${uid}`)
        }),
      )
    })

    describe("from inside", () => {
      it.effect("there is no network but loopback", () =>
        Effect.gen(function* () {
          const sandbox = yield* SharedSandbox
          const interfaces = "import socket; print([name for _, name in socket.if_nameindex()])"
          assert.strictEqual(yield* output(sandbox, `python3 -c '${interfaces}'`), "['lo']\n")
          assert.strictEqual(yield* output(sandbox, "tail -n +3 /proc/net/dev | cut -d: -f1 | xargs"), "lo\n")
          assert.strictEqual((yield* output(sandbox, "tail -n +2 /proc/net/route")).trim(), "")
          const { code } = yield* run(sandbox, line("exec 3<>/dev/tcp/1.1.1.1/53"))
          assert.notStrictEqual(code, 0)
        }),
      )

      it.effect("nothing but the workspace, the home and temporary folders can be written", () =>
        Effect.gen(function* () {
          const sandbox = yield* SharedSandbox
          for (const folder of ["/", "/etc", "/usr/bin", "/var/tmp", "/opt", "/sys", "/proc/sys/kernel"]) {
            const { code } = yield* run(sandbox, line(`echo x > ${folder}/codegen-test`))
            assert.notStrictEqual(code, 0, folder)
          }
          yield* output(sandbox, "for f in /workspace /home/agent /tmp; do echo x > $f/w && rm $f/w; done")
        }),
      )

      it.effect("programs in the workspace and the home can be run", () =>
        Effect.gen(function* () {
          const sandbox = yield* SharedSandbox
          for (const folder of ["/workspace", "/home/agent"]) {
            const program = `${folder}/program`
            assert.strictEqual(
              yield* output(
                sandbox,
                `printf '#!/bin/sh\\necho ran' > ${program}; chmod +x ${program}; ${program}`,
              ),
              "ran\n",
            )
          }
        }),
      )

      it.effect("no process has a capability, or may gain one", () =>
        Effect.gen(function* () {
          const status = yield* output(yield* SharedSandbox, "cat /proc/self/status")
          for (const set of ["CapInh", "CapPrm", "CapEff", "CapBnd"]) {
            assert.match(status, new RegExp(`^${set}:\\s0+$`, "m"))
          }
          // gVisor does not show the last one, whose members must be permitted ones anyway.
          assert.notMatch(status, /^CapAmb:.*[1-9a-f]/m)
          const PR_GET_NO_NEW_PRIVS = 39
          const asked = `import ctypes; print(ctypes.CDLL(None).prctl(${PR_GET_NO_NEW_PRIVS}, 0, 0, 0, 0))`
          assert.strictEqual(yield* output(yield* SharedSandbox, `python3 -c '${asked}'`), "1\n")
        }),
      )

      unlessGvisor(it.effect, "it filters its own system calls, and takes no profile for those of programs")(
        "every process is under a seccomp filter",
        () =>
          Effect.gen(function* () {
            assert.match(yield* output(yield* SharedSandbox, "cat /proc/self/status"), /^Seccomp:\s2$/m)
          }),
      )

      it.effect("the engine's socket cannot be seen, nor devices of the machine", () =>
        Effect.gen(function* () {
          const found = yield* output(
            yield* SharedSandbox,
            "find / -xdev -name '*docker*.sock' 2>/dev/null; find /dev -type b; ls -d /run/docker* 2>/dev/null; true",
          )
          assert.strictEqual(found, "")
        }),
      )

      it.effect("the kernel and other users cannot be touched", () =>
        Effect.gen(function* () {
          const sandbox = yield* SharedSandbox
          for (const attempt of [
            "mount -t tmpfs none /mnt",
            "su -c id",
            "unshare -r true && mount --bind / /mnt",
            "dmesg -C",
          ]) {
            assert.notStrictEqual((yield* run(sandbox, line(attempt))).code, 0, attempt)
          }
        }),
      )

      it.effect("system calls that ordinary programs do not need are refused", () =>
        Effect.gen(function* () {
          const sandbox = yield* SharedSandbox
          yield* sandbox.files.write("/workspace/syscalls.py", Buffer.from(systemCalls))
          const answers = JSON.parse(yield* output(sandbox, "python3 /workspace/syscalls.py")) as Record<
            string,
            string
          >
          for (const [name, answer] of Object.entries(answers)) {
            if (name.startsWith("allowed ")) assert.strictEqual(answer, "ok", name)
            else if (isGvisor) assert.notStrictEqual(answer, "ok", name)
            else assert.strictEqual(answer, name === "clone3" ? "ENOSYS" : "EPERM", name)
          }
          assert.isAbove(Object.keys(answers).length, 10)
        }),
      )

      unlessGvisor(it.effect, "one there belongs to gVisor's own kernel, and it takes no profile")(
        "a user namespace cannot be made",
        () =>
          Effect.gen(function* () {
            const { code, err } = yield* run(yield* SharedSandbox, line("unshare --user true"))
            assert.notStrictEqual(code, 0)
            assert.include(err, "not permitted")
          }),
      )

      it.effect("threads, compilers, workers and process pools work under that", () =>
        Effect.gen(function* () {
          const sandbox = yield* SharedSandbox
          for (const ordinary of [
            "printf 'int main(){return 0;}' > a.c && gcc a.c -o a.out -pthread && ./a.out",
            `node -e 'new (require("worker_threads").Worker)("1", {eval: true})'`,
            "python3 -c 'import multiprocessing as m; assert m.Pool(2).map(abs, [1, -2]) == [1, 2]'",
            "git init -q repository && python3 -m venv environment && npm --version",
          ]) {
            yield* output(sandbox, `mkdir -p ordinary && cd ordinary && ${ordinary}`)
          }
        }),
      )

      it.effect("processes and open files are bounded", () =>
        Effect.gen(function* () {
          const sandbox = yield* SharedSandbox
          const { standard } = yield* Templates
          assert.strictEqual((yield* output(sandbox, "ulimit -n")).trim(), String(standard.openFiles))
          assert.strictEqual((yield* output(sandbox, "ulimit -c")).trim(), "0")
          const forks = Number(yield* output(sandbox, `python3 -c '${forkBomb}'`))
          assert.isAbove(forks, 10)
          assert.isBelow(forks, standard.pids)
          assert.strictEqual(yield* output(sandbox, "echo alive"), "alive\n")
        }),
      )

      unlessGvisor(it.effect, "its memory has one limit, which ends it with all its programs")(
        "memory is bounded, and what takes more is killed alone",
        () =>
          Effect.gen(function* () {
            const sandbox = yield* SharedSandbox
            const { end } = yield* run(
              sandbox,
              line("python3 -c 'x = bytearray(2_000_000_000)'", { timeoutMs: 20_000 }),
            )
            assert.deepInclude(end, { _tag: "Signalled", signal: "SIGKILL" })
            assert.deepStrictEqual(end?.limits, ["memory"])
            assert.strictEqual(yield* output(sandbox, "echo alive"), "alive\n")
          }),
      )
    })

    it.effect("holds what it made, and removes it with its commands", () =>
      Effect.gen(function* () {
        const { holds, remove } = yield* Sandboxes
        const sandbox = yield* fresh
        assert.isTrue(holds(sandbox.id))
        yield* sandbox.start(line("sleep 60"))
        yield* remove(sandbox.id)
        assert.isFalse(holds(sandbox.id))
        assert.notInclude(yield* containers, sandbox.id)
        yield* remove(sandbox.id)
      }),
    )
  },
)

describe("Sandboxes", () => {
  it.live("never gives two sandboxes one uid, also where few are left", () =>
    Effect.gen(function* () {
      const made = yield* Effect.replicateEffect(fresh, 6, { concurrency: 3 })
      const names = yield* Effect.forEach(made, (sandbox) =>
        Effect.map(inspect(sandbox), ({ Config }) => Config.User ?? ""),
      )
      assert.strictEqual(new Set(names).size, 6)
    }).pipe(Effect.provide(TestNode.engine())),
  )

  it.live("refuses more than MAX_SANDBOXES, also at once, and takes another when one has gone", () =>
    Effect.gen(function* () {
      const { remove } = yield* Sandboxes
      const made = yield* Effect.replicateEffect(Effect.either(fresh), 4, { concurrency: "unbounded" })
      const refused = made.flatMap((one) => (one._tag === "Left" ? [one.left] : []))
      const boxes = made.flatMap((one) => (one._tag === "Right" ? [one.right] : []))
      assert.lengthOf(boxes, 2)
      for (const error of refused) {
        assert.strictEqual(error._tag, "Capacity")
        assert.include(error.message, "MAX_SANDBOXES")
      }
      yield* remove(boxes[0]!.id)
      yield* fresh
    }).pipe(Effect.provide(TestNode.engine({ MAX_SANDBOXES: "2" }))),
  )

  it.scopedLive("removes all of its sandboxes when the node leaves", () =>
    Effect.gen(function* () {
      const outer = yield* Layer.build(
        Layer.merge(Docker.layer, TestNode.identity()).pipe(Layer.provideMerge(TestNode.engineSettings())),
      )
      const scope = yield* Scope.make()
      const sandboxes = yield* Layer.buildWithScope(
        Sandboxes.layer.pipe(
          Layer.provide(Layer.merge(Limits.layer, TestNode.network)),
          Layer.provideMerge(Templates.layer),
          Layer.provide(TestNode.engineSettings()),
        ),
        scope,
      ).pipe(Effect.provide(outer))
      yield* Effect.provide(Effect.replicateEffect(fresh, 3, { concurrency: "unbounded" }), sandboxes)
      assert.lengthOf(yield* Effect.provide(containers, outer), 3)
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(yield* Effect.provide(containers, outer), [])
    }),
  )

  it.live("leaves no container behind where one could not be started", () =>
    Effect.gen(function* () {
      const { make } = yield* Sandboxes
      const broken = make(yield* (yield* Templates).find("broken"))
      const error = yield* Effect.flip(broken)
      assert.strictEqual(error._tag, "SandboxError")
      assert.strictEqual("operation" in error && error.operation, "start")
      assert.deepStrictEqual(yield* containers, [])
      // Its place is free again: the next attempt is not refused for the lack of one.
      assert.strictEqual((yield* Effect.flip(broken))._tag, "SandboxError")
    }).pipe(Effect.provide(TestNode.engine({ MAX_SANDBOXES: "1", TEMPLATES: unstartable }))),
  )

  it.live("holds a sandbox whose caller went away while it started, so that it is removed in the end", () =>
    Effect.gen(function* () {
      const { holds } = yield* Sandboxes
      yield* fresh.pipe(Effect.timeout("5 millis"), Effect.ignore)
      const left = yield* containers
      assert.isAtMost(left.length, 1)
      for (const id of left) assert.isTrue(holds(ContainerId.make(id)))
    }).pipe(Effect.provide(TestNode.engine())),
  )
})

/** A folder in the place of a file, which the runtime finds out only when it starts the container. */
const unstartable = JSON.stringify({ broken: { mounts: [{ source: "/usr", target: "/etc/passwd" }] } })

/** Makes processes until there may be no more, and prints how many there were. */
const forkBomb = `
import os, signal, time
children = []
try:
    while True:
        child = os.fork()
        if child == 0:
            time.sleep(60)
        children.append(child)
except OSError:
    pass
for child in children:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
print(len(children))`

/** Tries what the seccomp profile refuses, and some that it must allow; numbers are those of x86_64 and aarch64. */
const systemCalls = `
import ctypes, errno, json, platform, socket
libc = ctypes.CDLL(None, use_errno=True)
x86 = platform.machine() == "x86_64"
def call(x86_64, aarch64, *args):
    ctypes.set_errno(0)
    result = libc.syscall(x86_64 if x86 else aarch64, *args)
    return "ok" if result >= 0 else errno.errorcode.get(ctypes.get_errno())
def family(number, kind=socket.SOCK_STREAM):
    try:
        socket.socket(number, kind).close()
        return "ok"
    except OSError as error:
        return errno.errorcode.get(error.errno)
print(json.dumps({
    "AF_VSOCK": family(40), "AF_ALG": family(38, 5), "AF_PACKET": family(17, 3),
    "allowed AF_UNIX": family(1), "allowed AF_INET": family(2), "allowed AF_INET6": family(10),
    "io_uring_setup": call(425, 425, 1, 0), "keyctl": call(250, 219, 0, 0, 0), "add_key": call(248, 217, 0, 0, 0, 0, 0),
    "bpf": call(321, 280, 0, 0, 0), "userfaultfd": call(323, 282, 0), "perf_event_open": call(298, 241, 0, 0, 0, 0, 0),
    "mount": call(165, 40, 0, 0, 0, 0, 0), "clone3": call(435, 435, 0, 0),
}))
`
