import { assert, layer } from "@effect/vitest"
import { Config, Context, Effect, Layer } from "effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Docker } from "../../src/sandbox/Docker.ts"
import type { Sandbox } from "../../src/sandbox/Sandbox.ts"
import { Sandboxes } from "../../src/sandbox/Sandboxes.ts"
import { Templates } from "../../src/sandbox/Templates.ts"
import { run } from "../support/SharedSandbox.ts"
import * as TestNode from "../support/TestNode.ts"

/** Prints its arguments, its environment and who it is, and nothing else is in the image. */
const program = String.raw`
#include <stdio.h>
#include <unistd.h>
extern char **environ;
int main(int argc, char **argv) {
  printf("uid %d\n", getuid());
  for (int i = 1; i < argc; i++) printf("argument %s\n", argv[i]);
  for (char **e = environ; *e; e++) printf("%s\n", *e);
  return 0;
}`

const dockerfile = (sandbox: string) => `
FROM ${sandbox} AS parts
COPY program.c /
RUN gcc -static -o /program /program.c
FROM scratch
COPY --from=parts /program /program
ENV LD_PRELOAD=/nowhere.so NODE_OPTIONS=--require=/nowhere OWN=kept
VOLUME /data
HEALTHCHECK CMD ["/program"]
USER 7
ENTRYPOINT ["/program", "entry"]
`

const name = `codegen-mcp-test-foreign:${process.pid}`

/** A sandbox of an image that holds one static program, and asks for much that a sandbox must not have. */
class Foreign extends Context.Tag("codegen-mcp/test/Foreign")<Foreign, Sandbox>() {
  static readonly layer = Layer.scoped(
    Foreign,
    Effect.gen(function* () {
      const { use } = yield* Docker
      const sandbox = yield* Config.string("SANDBOX_IMAGE")
      const context = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "codegen-mcp-foreign-"))),
        (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true })),
      )
      writeFileSync(join(context, "Dockerfile"), dockerfile(sandbox))
      writeFileSync(join(context, "program.c"), program)
      yield* Effect.acquireRelease(
        use("create", async (docker) => {
          const progress = await docker.buildImage(
            { context, src: ["Dockerfile", "program.c"] },
            { t: name, rm: true, forcerm: true },
          )
          await new Promise((done) => docker.modem.followProgress(progress, done))
          return docker.getImage(name).inspect()
        }),
        () => Effect.ignore(use("remove", (docker) => docker.getImage(name).remove({ force: true }))),
      )
      const { make, remove } = yield* Sandboxes
      const template = { ...(yield* Templates).standard, name: "foreign", image: name, env: { GIVEN: "too" } }
      return yield* Effect.acquireRelease(make(template), ({ id }) => remove(id))
    }),
  ).pipe(Layer.provideMerge(TestNode.engine()))
}

layer(Foreign.layer, { excludeTestServices: true, timeout: "60 seconds" })("A foreign image", (it) => {
  const spec = {
    argv: ["/program", "one", "two words"],
    cwd: "/",
    env: {},
    stdin: "none",
    tty: false,
    timeoutMs: 10_000,
  } as const

  it.effect("runs programs although it has no shell, no libraries and no Node", () =>
    Effect.gen(function* () {
      const { out, code } = yield* run(yield* Foreign, spec)
      assert.strictEqual(code, 0)
      assert.include(out, "argument one\nargument two words\n")
      assert.match(out, /^uid 2\d{4}$/m)
    }),
  )

  it.effect("gives its programs its environment, which the agent does without", () =>
    Effect.gen(function* () {
      const { out } = yield* run(yield* Foreign, spec)
      for (const variable of ["LD_PRELOAD=/nowhere.so", "OWN=kept", "GIVEN=too", "HOME=/home/agent"]) {
        assert.include(out, `${variable}\n`)
      }
    }),
  )

  it.effect("has files, but no volume, no health check and no entry point of its own", () =>
    Effect.gen(function* () {
      const { id, files } = yield* Foreign
      const { use } = yield* Docker
      yield* files.write("/workspace/a/b", Buffer.from("kept"))
      assert.strictEqual(Buffer.from((yield* files.read("/workspace/a/b", 0, 10)).data).toString(), "kept")
      const { Mounts, Config, State } = yield* use("inspect", (docker) => docker.getContainer(id).inspect())
      assert.lengthOf(
        Mounts.filter(({ Type }) => Type === "volume"),
        1,
      )
      assert.deepStrictEqual(Config.Healthcheck?.Test, ["NONE"])
      assert.isUndefined(State.Health)
      assert.notInclude(Config.Entrypoint, "/program")
    }),
  )
})
