/** What a program can do to the agent itself, and to the memory that the agent needs. */
import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { unlessGvisor } from "../support/Runtime.ts"
import { line, output, run, SharedSandbox } from "../support/SharedSandbox.ts"

const python = (program: string) => ({ ...line(""), argv: ["python3", "-c", program] as const })

const libc = "import ctypes\nlibc = ctypes.CDLL(None)\nlibc.shmat.restype = ctypes.c_void_p\n"

/** Each leaves something behind that takes memory, until it is refused, killed or has had more than there is. */
const takers: ReadonlyArray<readonly [what: string, program: string]> = [
  [
    "shared memory that nobody has attached",
    `${libc}
size = 64 << 20
for count in range(16):
  id = libc.shmget(0, size, 0o1600)
  at = libc.shmat(id, None, 0)
  ctypes.memset(at, 1, size)
  libc.shmdt(ctypes.c_void_p(at))`,
  ],
  [
    "messages that nobody takes",
    `${libc}
message = ctypes.create_string_buffer(b"\\1", 8200)
while (id := libc.msgget(0, 0o1600)) >= 0:
  for count in range(2): libc.msgsnd(id, message, 8192, 0o4000)`,
  ],
  [
    "semaphores",
    `${libc}\nwhile libc.semget(0, 32000, 0o1600) >= 0 or libc.semget(0, 250, 0o1600) >= 0: pass`,
  ],
  ...["/workspace", "/home/agent", "/tmp", "/dev/shm"].map(
    (folder) =>
      [
        `empty files in ${folder}`,
        `for number in range(1_000_000): open(f"${folder}/{'x' * 240}{number}", "w").close()`,
      ] as const,
  ),
]

layer(SharedSandbox.layer, { excludeTestServices: true, timeout: "60 seconds" })(
  "A hostile program",
  (it) => {
    describe("that leaves memory behind with no process to kill for it", () => {
      const test = unlessGvisor(
        it.effect,
        "it bounds neither what System V's means keep nor the files of a folder in memory",
      )
      for (const [what, program] of takers) {
        test(`as ${what}, leaves enough for the agent and the next command`, () =>
          Effect.gen(function* () {
            const sandbox = yield* SharedSandbox
            yield* run(sandbox, python(program))
            const { code } = yield* run(sandbox, python("x = bytearray(150_000_000)"))
            assert.strictEqual(code, 0)
            yield* output(
              sandbox,
              "rm -rf /workspace /home/agent /dev/shm /tmp 2> /dev/null; ipcrm --all 2> /dev/null; true",
            )
            yield* sandbox.files.write("/workspace/kept", Buffer.alloc(3_000_000))
          }))
      }
    })

    it.effect("cannot have the agent's Node open itself to a debugger", () =>
      Effect.gen(function* () {
        const sandbox = yield* SharedSandbox
        yield* output(sandbox, "kill -USR1 1; sleep 0.5")
        assert.strictEqual(yield* output(sandbox, listening), "0\n")
      }),
    )

    unlessGvisor(it.effect, "it gives process 1 no immunity from signals")(
      "cannot stop the agent, or have it do anything, by any signal",
      () =>
        Effect.gen(function* () {
          const sandbox = yield* SharedSandbox
          yield* output(sandbox, "for number in $(seq 64); do kill -$number 1; done; sleep 0.5")
          assert.strictEqual(yield* output(sandbox, listening), "0\n")
        }),
    )
  },
)

/** Counts listening sockets. */
const listening = "cat /proc/net/tcp /proc/net/tcp6 | grep -c ' 0A ' || true"
