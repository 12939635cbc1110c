/** What programs inside can do to their sandbox, their session, their neighbours and the node: little. */
import { assert, describe, it, layer } from "@effect/vitest"
import { Clock, Context, Effect, Fiber, Layer, Logger, LogLevel } from "effect"
import type { LimitMet } from "../../src/domain/Command.ts"
import type { Sandbox } from "../../src/sandbox/Sandbox.ts"
import { Sandboxes } from "../../src/sandbox/Sandboxes.ts"
import { isGvisor, roomForProcesses, unlessGvisor } from "../support/Runtime.ts"
import { fresh, line, output, run, SharedSandbox } from "../support/SharedSandbox.ts"

const mebibytes = (count: number) => String(count * 1024 * 1024)

/** A second sandbox on the node, whose owner must not notice. */
class Neighbour extends Context.Tag("codegen-mcp/test/Neighbour")<Neighbour, Sandbox>() {
  static readonly layer = Layer.effect(Neighbour, fresh)
}

const python = (program: string, timeoutMs = 20_000) => ({
  ...line("", { timeoutMs }),
  argv: ["python3", "-c", program] as const,
})

/** Forks for ever, in a way that survives being out of processes. */
const greedy = `
import os, time
while True:
  try:
    os.fork()
  except OSError:
    time.sleep(0.01)`

/** Tries to reach process 1; numbers are those of x86_64 and aarch64. */
const systemCalls = `
import ctypes, json, os, platform
libc = ctypes.CDLL(None, use_errno=True)
x86 = platform.machine() == "x86_64"
def call(x86_64, aarch64, *args):
    return "refused" if libc.syscall(x86_64 if x86 else aarch64, *args) < 0 else "done"
buffer = ctypes.create_string_buffer(64)
class iovec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]
own = iovec(ctypes.cast(buffer, ctypes.c_void_p), 64)
other = iovec(0x400000, 64)
pidfd = libc.syscall(434, 1, 0)
print(json.dumps({
    "PTRACE_ATTACH": call(101, 117, 16, 1, 0, 0),
    "PTRACE_SEIZE": call(101, 117, 0x4206, 1, 0, 0),
    "process_vm_readv": call(310, 270, 1, ctypes.byref(own), 1, ctypes.byref(other), 1, 0),
    "process_vm_writev": call(311, 271, 1, ctypes.byref(own), 1, ctypes.byref(other), 1, 0),
    "pidfd_getfd": call(438, 438, pidfd, 1, 0),
    "kcmp": call(312, 272, os.getpid(), 1, 0, 1, 1),
}))
`

/** Asks for a network interface (TUNSETIFF, IFF_TAP). */
const tunnel = `
import fcntl, os, struct
device = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(device, 0x400454ca, struct.pack("16sH22x", b"tap0", 2))`

/** Does what is asked, while the neighbour runs one `true` after another; none of them may take long. */
const beside = <A, E, R>(what: string, attack: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const neighbour = yield* Neighbour
    const took: Array<number> = []
    const call = Effect.gen(function* () {
      const before = yield* Clock.currentTimeMillis
      const { code } = yield* run(neighbour, { ...line(""), argv: ["true"] })
      assert.strictEqual(code, 0)
      took.push((yield* Clock.currentTimeMillis) - before)
    })
    yield* call
    const calling = yield* Effect.fork(Effect.forever(Effect.zipRight(call, Effect.sleep("5 millis"))))
    const answer = yield* attack
    yield* call
    yield* Fiber.interrupt(calling)
    const sorted = took.sort((a, b) => a - b)
    const at = (part: number) => sorted[Math.floor(part * (sorted.length - 1))]
    yield* Effect.logInfo(
      `${what}: ${took.length} calls beside it, in ms: median ${at(0.5)}, p99 ${at(0.99)}, most ${at(1)}`,
    ).pipe(Logger.withMinimumLogLevel(LogLevel.Info))
    assert.isBelow(at(1) ?? Infinity, 3000)
    return answer
  })

/** The session goes on, with its files. */
const goesOn = Effect.gen(function* () {
  const sandbox = yield* SharedSandbox
  assert.strictEqual(yield* output(sandbox, "cat /workspace/kept"), "kept\n")
  const { data } = yield* sandbox.files.read("/workspace/kept", 0, 100)
  assert.strictEqual(Buffer.from(data).toString(), "kept\n")
})

layer(
  Neighbour.layer.pipe(
    Layer.provideMerge(
      SharedSandbox.layerOf({
        MAX_COMMAND_OUTPUT: mebibytes(200),
        ...roomForProcesses,
        OUTPUT_LIMIT: mebibytes(1),
      }),
    ),
  ),
  { excludeTestServices: true, timeout: "60 seconds" },
)("A hostile program", (it) => {
  describe("that takes all there is", () => {
    const memory = unlessGvisor(it.effect, "its memory has one limit, which ends it with all its programs")
    const attacks: ReadonlyArray<
      readonly [
        what: string,
        spec: ReturnType<typeof line>,
        end: string,
        limits: ReadonlyArray<LimitMet>,
        test?: typeof memory,
      ]
    > = [
      [
        "forks without end in a shell",
        line("f() { f | f & }; f; sleep 1", { timeoutMs: 4000 }),
        "any",
        ["pids"],
      ],
      ["forks without end, and never gives up", python(greedy, 2500), "TimedOut", ["pids"]],
      ["takes memory", python("x = bytearray(2_000_000_000)"), "Signalled", ["memory"], memory],
      [
        "lets ten others take memory",
        line(
          `for i in $(seq 10); do python3 -c 'x = bytearray(80_000_000); import time; time.sleep(1)' & done; wait`,
        ),
        "any",
        ["memory"],
        memory,
      ],
      ["fills the workspace", line("head -c 1G /dev/zero > /workspace/big"), "Exited", ["workspace"]],
      ["fills its home", line("head -c 1G /dev/zero > /home/agent/big"), "Exited", ["home"]],
      ["fills /tmp", line("head -c 1G /dev/zero > /tmp/big"), "Exited", ["tmp"]],
      [
        "makes 300,000 files",
        python(
          "import os\nos.mkdir('many')\nfor i in range(300_000): open(f'many/{i}', 'w').close()",
          30_000,
        ),
        "any",
        [],
      ],
      ["writes 2 GB", line("head -c 2G /dev/zero"), "TooMuchOutput", []],
      [
        "keeps all processors busy",
        line("for i in 1 2 3 4 5 6 7 8; do (while :; do :; done) & done; wait", { timeoutMs: 1500 }),
        "TimedOut",
        [],
      ],
    ]
    for (const [what, spec, end, limits, test = it.effect] of attacks) {
      test(`${what} meets a limit, which its end names, and its session goes on`, () =>
        Effect.gen(function* () {
          const sandbox = yield* SharedSandbox
          yield* sandbox.files.write("/workspace/kept", Buffer.from("kept\n"))
          const page = yield* beside(what, run(sandbox, spec))
          if (end !== "any") assert.strictEqual(page.end?._tag, end)
          // gVisor has no count of the processes that it refused.
          const named = limits.filter((limit) => !isGvisor || limit !== "pids")
          assert.includeMembers([...(page.end?.limits ?? [])], named)
          yield* goesOn
          yield* output(sandbox, "rm -rf big many /home/agent/big /tmp/big; pkill -9 python3; true")
        }))
    }

    it.effect("may drop the mark that its processes are found by, and gives way to the next command", () =>
      Effect.gen(function* () {
        const sandbox = yield* SharedSandbox
        yield* sandbox.files.write("/workspace/kept", Buffer.from("kept\n"))
        const unmark =
          "import resource\nfor r in (15, 9): resource.setrlimit(r, (5 << 30, resource.getrlimit(r)[1]))\n"
        yield* beside("forks without a mark", run(sandbox, python(unmark + greedy, 2000)))
        yield* goesOn
      }),
    )

    it.effect(
      "and leaves a daemon that writes without end does not keep the next command from its turn",
      () =>
        Effect.gen(function* () {
          const sandbox = yield* SharedSandbox
          yield* sandbox.files.write("/workspace/kept", Buffer.from("kept\n"))
          yield* beside(
            "yes &",
            Effect.gen(function* () {
              yield* run(sandbox, line("yes &"))
              for (let round = 0; round < 10; round++) yield* goesOn
            }),
          )
          yield* output(sandbox, "pkill yes")
        }),
    )
  })

  describe("that is after the agent", () => {
    const refused = (attempts: ReadonlyArray<string>) =>
      Effect.gen(function* () {
        const sandbox = yield* SharedSandbox
        for (const attempt of attempts) {
          const { code, out } = yield* run(sandbox, line(`(${attempt}) 2> /dev/null`, { timeoutMs: 5000 }))
          assert.notStrictEqual(code, 0, attempt)
          assert.isDefined(code, attempt)
          assert.strictEqual(out, "", attempt)
        }
      })

    it.effect("cannot open its memory or its folders", () =>
      refused([
        "cat /proc/1/mem",
        "cat /proc/1/stack",
        "cat /proc/1/syscall",
        "ls /proc/1/map_files",
        "readlink /proc/1/exe",
        "readlink /proc/1/cwd",
        "ls /proc/1/root/",
        "echo -1000 > /proc/1/oom_score_adj",
        "echo 0 > /proc/1/clear_refs",
      ]),
    )

    it.effect("learns nothing of the node from its environment", () =>
      Effect.gen(function* () {
        const { out } = yield* run(yield* SharedSandbox, line("cat /proc/1/environ | tr '\\0' '\\n'"))
        assert.deepStrictEqual(
          out.split("\n").filter((entry) => entry !== "" && !/^(HOSTNAME|HOME|PATH)=/.test(entry)),
          [],
        )
      }),
    )

    unlessGvisor(it.effect, "it shows a process that hides to others of its user, but for its memory")(
      "cannot open its descriptors, its environment or the layout of its memory",
      () =>
        refused([
          "cat /proc/1/maps",
          "cat /proc/1/environ",
          "cat /proc/1/auxv",
          "ls /proc/1/fd",
          "echo x > /proc/1/fd/0",
          "echo x > /proc/1/fd/1",
          "cat < /proc/1/fd/0",
          "echo x > /proc/1/task/1/fd/1",
        ]),
    )

    it.effect("cannot trace it, read its memory or take its descriptors by a system call", () =>
      Effect.gen(function* () {
        const answers = JSON.parse((yield* run(yield* SharedSandbox, python(systemCalls))).out) as Record<
          string,
          string
        >
        assert.deepStrictEqual([...new Set(Object.values(answers))], ["refused"], JSON.stringify(answers))
        assert.lengthOf(Object.keys(answers), 6)
      }),
    )

    it.effect("has no descriptor of its own that leads to it", () =>
      Effect.gen(function* () {
        const sandbox = yield* SharedSandbox
        // The last one is the folder that it lists.
        const { out } = yield* run(sandbox, { ...line(""), argv: ["ls", "/proc/self/fd"] })
        assert.strictEqual(out, "0\n1\n2\n3\n")
        yield* run(sandbox, line("head -c 100000 /dev/urandom; head -c 100000 /dev/urandom >&2"))
        yield* run(sandbox, line("head -c 100000 /dev/urandom > /dev/stdout", { tty: true }))
        yield* goesOn
      }),
    )
  })

  describe("that looks for a way out", () => {
    it.effect("finds no more than the usual devices, and makes none", () =>
      Effect.gen(function* () {
        const sandbox = yield* SharedSandbox
        const devices = yield* output(sandbox, "find /dev -type c -printf '%P\\n' | sort | paste -sd' '")
        // Those of gVisor's own kernel.
        const own = isGvisor ? "fuse net/tun " : ""
        assert.include(
          ["full null ptmx pts", "full null pts"].map((usual) => usual.replace("null", `${own}null`)),
          devices.replace("/ptmx random tty urandom zero\n", ""),
        )
        assert.strictEqual(yield* output(sandbox, "find /dev -type b"), "")
        for (const device of ["c 1 1", "c 10 237", "b 8 0", "b 7 0"]) {
          // gVisor lets anyone make one, of its own kernel, which has none of these.
          const attempt = `rm -f device; mknod device ${device} && (head -c 1 device || echo x > device)`
          assert.notStrictEqual((yield* run(sandbox, line(attempt))).code, 0, device)
        }
        yield* output(sandbox, "rm -f device")
      }),
    )

    it.effect("cannot make a network interface", () =>
      Effect.gen(function* () {
        assert.notStrictEqual((yield* run(yield* SharedSandbox, python(tunnel))).code, 0)
      }),
    )

    it.effect("finds what the kernel tells of the machine masked, and can change nothing of it", () =>
      Effect.gen(function* () {
        const sandbox = yield* SharedSandbox
        for (const path of [
          "/proc/kcore",
          "/proc/keys",
          "/proc/timer_list",
          "/proc/sched_debug",
          "/proc/latency_stats",
        ]) {
          assert.strictEqual((yield* run(sandbox, line(`head -c 10 ${path} 2> /dev/null`))).out, "", path)
        }
        for (const path of ["/proc/acpi", "/proc/scsi", "/sys/firmware"]) {
          assert.strictEqual((yield* run(sandbox, line(`ls -A ${path} 2> /dev/null`))).out, "", path)
        }
        for (const path of [
          "/proc/sysrq-trigger",
          "/proc/sys/kernel/core_pattern",
          "/proc/sys/vm/overcommit_memory",
          "/proc/irq/default_smp_affinity",
          "/sys/kernel/uevent_helper",
          "/sys/fs/cgroup/memory/memory.limit_in_bytes",
          "/sys/fs/cgroup/memory.max",
          "/sys/fs/cgroup/pids/pids.max",
          "/sys/fs/cgroup/pids.max",
        ]) {
          assert.notStrictEqual((yield* run(sandbox, line(`(echo 1 > ${path}) 2> /dev/null`))).code, 0, path)
        }
      }),
    )

    it.effect("finds neither the engine nor the node, its environment or its files", () =>
      Effect.gen(function* () {
        const sandbox = yield* SharedSandbox
        const env = yield* output(sandbox, "env")
        for (const word of ["DATABASE", "DOCKER", "SECRET", "SANDBOX_", "AGENT_IMAGE"])
          assert.notInclude(env, word)
        assert.strictEqual(
          yield* output(
            sandbox,
            "find / -xdev \\( -type s -o -name 'docker*.sock' \\) 2> /dev/null; cat /proc/net/unix | tail -n +2",
          ),
          "",
        )
        assert.strictEqual(yield* output(sandbox, "hostname"), "sandbox\n")
      }),
    )
  })
})

describe("A hostile program", () => {
  it.live("that takes away what its agent needs costs its own sandbox at most, and nothing hangs", () =>
    Effect.gen(function* () {
      const { remove } = yield* Sandboxes
      const neighbour = yield* fresh
      for (const limit of [
        "RLIMIT_NOFILE, (0, 0)",
        "RLIMIT_CPU, (0, 0)",
        "RLIMIT_FSIZE, (0, 0)",
        "RLIMIT_AS, (1, 1)",
      ]) {
        const sandbox = yield* fresh
        yield* Effect.either(run(sandbox, python(`import resource; resource.prlimit(1, resource.${limit})`)))
        for (const call of [
          run(sandbox, line("head -c 100000 /dev/zero | wc -c; true", { timeoutMs: 5000 })),
          sandbox.files.write("/workspace/a", Buffer.from("x")),
          sandbox.files.list("/workspace", 1, 10),
        ] as ReadonlyArray<Effect.Effect<unknown, { readonly _tag: string }>>) {
          const answer = yield* Effect.either(Effect.timeout(call, "15 seconds"))
          if (answer._tag === "Left") {
            assert.include(["SandboxLost", "CommandNotStarted", "FileError"], answer.left._tag, limit)
          }
        }
        assert.strictEqual((yield* run(neighbour, line("true"))).code, 0)
        yield* remove(sandbox.id)
      }
    }).pipe(Effect.provide(SharedSandbox.layerOf({}))),
  )
})
