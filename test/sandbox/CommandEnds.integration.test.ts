import { assert, describe, layer } from "@effect/vitest"
import { Duration, Effect, Fiber } from "effect"
import { Docker } from "../../src/sandbox/Docker.ts"
import { Sandboxes } from "../../src/sandbox/Sandboxes.ts"
import { fresh, line, output, processes, run, SharedSandbox, shows, start } from "../support/SharedSandbox.ts"
import { unlessGvisor } from "../support/Runtime.ts"
import { until } from "../support/Until.ts"

layer(SharedSandbox.layer, { excludeTestServices: true, timeout: "60 seconds" })("Commands", (it) => {
  it.effect("kills a command that runs out of time, with daemons that left its session and group", () =>
    Effect.gen(function* () {
      const sandbox = yield* SharedSandbox
      const tree = "setsid sleep 7771 & (setsid setsid sleep 7772 &) ; trap '' TERM INT; echo up; sleep 7773"
      const { end, out } = yield* run(sandbox, line(tree, { timeoutMs: 700 }))
      assert.strictEqual(end?._tag, "TimedOut")
      assert.isAtLeast(end?.durationMs ?? 0, 690)
      assert.isBelow(end?.durationMs ?? 0, 10_000)
      assert.strictEqual(out, "up\n")
      assert.strictEqual(yield* processes(sandbox, "sleep 777"), 0)
    }),
  )

  for (const [what, command] of [
    ["ignores SIGTERM and SIGINT", "trap '' TERM INT HUP; echo up; while :; do sleep 4441; done"],
    ["closes its pipes", "echo up; exec 0<&- 1>&- 2>&-; sleep 4441"],
    ["drops its environment", "echo up; exec env -i /bin/sleep 4441"],
    [
      "leaves daemons without environment",
      "env -i setsid /bin/sh -c 'sleep 4441 & sleep 4441' & echo up; wait",
    ],
    ["stops itself", "echo up; kill -STOP $$; sleep 4441"],
    ["leaves its children to another", "(trap '' HUP; (sleep 4441 &) ); echo up; sleep 4441"],
  ] as const) {
    it.effect(`kills a cancelled command that ${what}, at once`, () =>
      Effect.gen(function* () {
        const sandbox = yield* SharedSandbox
        const id = yield* sandbox.start(line(command))
        yield* shows(sandbox, id, "up")
        const [took] = yield* Effect.timed(sandbox.cancel(id))
        assert.isBelow(Duration.toMillis(took), 2000)
        assert.strictEqual((yield* sandbox.read(id, start, 0, "end")).end?._tag, "Cancelled")
        assert.strictEqual(yield* processes(sandbox, "sleep 4441"), 0)
      }),
    )
  }

  it.effect("kills a command that is cancelled, with its daemons, and only that one", () =>
    Effect.gen(function* () {
      const sandbox = yield* SharedSandbox
      const other = yield* sandbox.start(line("sleep 6661"))
      const id = yield* sandbox.start(line("setsid sleep 6662 & echo up; sleep 6663"))
      yield* shows(sandbox, id, "up")
      yield* sandbox.cancel(id)
      const page = yield* sandbox.read(id, start, 5000, "end")
      assert.strictEqual(page.end?._tag, "Cancelled")
      assert.strictEqual(yield* processes(sandbox, "sleep 666[23]"), 0)
      assert.strictEqual(yield* processes(sandbox, "sleep 6661"), 1)
      yield* sandbox.cancel(id)
      yield* sandbox.forget(other)
      assert.strictEqual(yield* processes(sandbox, "sleep 6661"), 0)
    }),
  )

  it.effect("ends a command with its main process, and leaves a server that it started running", () =>
    Effect.gen(function* () {
      const sandbox = yield* SharedSandbox
      yield* output(sandbox, "mkdir -p /workspace/site; echo hello > /workspace/site/index.html")
      const begun = yield* run(
        sandbox,
        line("cd site; python3 -m http.server 8123 --bind 127.0.0.1 & echo started", { timeoutMs: 10_000 }),
      )
      assert.deepInclude(begun.end, { _tag: "Exited", code: 0 })
      assert.include(begun.out, "started")
      assert.isBelow(begun.end?.durationMs ?? 0, 3000)
      const fetched = yield* until(
        run(
          sandbox,
          line(
            "curl -s http://127.0.0.1:8123/ || python3 -c 'import urllib.request as u; print(u.urlopen(\"http://127.0.0.1:8123/\").read().decode())'",
          ),
        ),
        ({ out }) => out.includes("hello"),
      )
      assert.include(fetched.out, "hello")
      yield* run(sandbox, line("pkill -f http.server"))
    }),
  )

  it.effect("sends a signal that the command may handle", () =>
    Effect.gen(function* () {
      const sandbox = yield* SharedSandbox
      const id = yield* sandbox.start(
        line("trap 'echo caught; exit 7' INT; echo up; while :; do sleep 0.05; done"),
      )
      yield* shows(sandbox, id, "up")
      yield* sandbox.signal(id, "SIGINT")
      const page = yield* sandbox.read(id, start, 10_000, "end")
      assert.deepInclude(page.end, { _tag: "Exited", code: 7 })
      assert.include(Buffer.from(page.stdout.data).toString(), "caught")
    }),
  )

  it.effect("forgets a command that still runs by killing it, and dies on an unknown id", () =>
    Effect.gen(function* () {
      const sandbox = yield* SharedSandbox
      const id = yield* sandbox.start(line("sleep 5551"))
      yield* sandbox.forget(id)
      yield* sandbox.forget(id)
      assert.strictEqual(yield* processes(sandbox, "sleep 5551"), 0)
      const exit = yield* Effect.exit(sandbox.read(id, start, 0, "end"))
      assert.strictEqual(exit._tag, "Failure")
    }),
  )

  describe("an attack from inside on", () => {
    const mortal = unlessGvisor(it.effect, "it gives process 1 no immunity from signals")
    for (const [what, attack, test] of [
      ["everything that may be signalled", "kill -9 -1", it.effect],
      ["process 1", "kill -9 1; kill -STOP 1; kill -TERM 1; kill -CHLD 1; kill -SEGV 1", mortal],
      [
        "all that is named like the agent",
        "pkill -9 node; pkill -9 agent; pkill -9 -f ld.so; pkill -9 -f agent; true",
        mortal,
      ],
      ["its own process group and session", "kill -9 0; pkill -9 -s 0", it.effect],
    ] as const) {
      test(`${what} leaves the session as it is, with its files`, () =>
        Effect.gen(function* () {
          const sandbox = yield* SharedSandbox
          yield* output(sandbox, "echo kept > kept")
          yield* run(sandbox, line(attack, { timeoutMs: 10_000 }))
          assert.strictEqual(yield* output(sandbox, "cat kept"), "kept\n")
          assert.strictEqual(yield* output(sandbox, "sh -c 'exit 3' & wait $!; echo $?"), "3\n")
        }))
    }
  })

  describe("when the container is gone", () => {
    it.effect("a running command and every later call fail with SandboxLost", () =>
      Effect.gen(function* () {
        const { remove } = yield* Sandboxes
        const { use } = yield* Docker
        const sandbox = yield* fresh
        const id = yield* sandbox.start(line("echo up; sleep 60"))
        yield* shows(sandbox, id, "up")
        const reading = yield* Effect.fork(Effect.flip(sandbox.read(id, start, 30_000, "end")))
        yield* use("remove", (docker) => docker.getContainer(sandbox.id).kill())
        assert.strictEqual((yield* Fiber.join(reading))._tag, "SandboxLost")
        for (const call of [
          sandbox.start(line("true")),
          sandbox.files.read("/workspace/a", 0, 10),
          sandbox.files.write("/workspace/a", Buffer.from("x")),
          sandbox.files.list("/workspace", 1, 10),
        ] as ReadonlyArray<Effect.Effect<unknown, { readonly _tag: string }>>) {
          assert.strictEqual((yield* Effect.flip(call))._tag, "SandboxLost")
        }
        yield* remove(sandbox.id)
        assert.strictEqual((yield* Effect.flip(sandbox.start(line("true"))))._tag, "SandboxLost")
      }),
    )
  })

  it.effect("a command whose time is over as it starts does not run on", () =>
    Effect.gen(function* () {
      const sandbox = yield* SharedSandbox
      const late = Array.from({ length: 12 }, (_, index) =>
        line("sleep 2; echo >> ran", { timeoutMs: 20 + 5 * index }),
      )
      const ends = yield* Effect.forEach(late, (spec) => run(sandbox, spec), { concurrency: "unbounded" })
      assert.deepStrictEqual([...new Set(ends.map(({ end }) => end?._tag))], ["TimedOut"])
      assert.strictEqual(yield* processes(sandbox, "sleep 2"), 0)
      assert.strictEqual(yield* output(sandbox, "ls ran 2> /dev/null; true"), "")
    }),
  )
})
