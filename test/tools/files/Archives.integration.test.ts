/** Archives of other programs, in a real sandbox, and ours in theirs. */
import { assert, layer } from "@effect/vitest"
import { Effect, Stream } from "effect"
import * as FakeSandbox from "../../support/FakeSandbox.ts"
import { uploadArchive } from "../../../src/tools/files/UploadArchive.ts"
import { output, run, line, SharedSandbox } from "../../support/SharedSandbox.ts"

const bounds = { maxEntries: 1000, maxBytes: 16 * 1024 * 1024 }

/** The files below a folder, with what they are and hold. */
const shown = (folder: string) =>
  `cd ${folder} && find . -printf '%P %y %m %l\\n' | sort && find . -type f -print0 | sort -z | xargs -0 sha256sum`

const makeProject =
  "mkdir -p from/src/deep && cd from && printf 'a' > src/a.txt && printf '#!/bin/sh\\n' > run.sh && chmod 755 run.sh && " +
  "head -c 200000 /dev/urandom > src/deep/data && ln -s src/a.txt link && mkdir empty && printf x > 'odd \\n é'"

const bytesOf = (path: string) =>
  Effect.flatMap(SharedSandbox, ({ files }) => Effect.map(files.read(path, 0, 4_000_000), ({ data }) => data))

layer(SharedSandbox.layer, { excludeTestServices: true, timeout: "60 seconds" })(
  "archives in a sandbox",
  (it) => {
    it.effect("come from tar and from Python's zipfile, and go to both, as they are", () =>
      Effect.gen(function* () {
        const sandbox = yield* SharedSandbox
        const { files } = sandbox
        yield* output(sandbox, makeProject)
        const given = yield* output(sandbox, shown("from"))
        yield* output(
          sandbox,
          "mkdir made && tar -C from -czf made/gnu.tar.gz . && tar -C from --format=posix -cf made/posix.tar . && " +
            "cd from && python3 -c \"import shutil; shutil.make_archive('../made/py', 'gztar', '.')\"",
        )
        for (const name of ["gnu.tar.gz", "posix.tar", "py.tar.gz"]) {
          const path = `/workspace/out-${name}`
          const reply = yield* files.unpack(
            { path, ...bounds },
            Stream.make(yield* bytesOf(`/workspace/made/${name}`)),
          )
          assert.strictEqual(reply.skippedCount, 0, name)
          assert.strictEqual(yield* output(sandbox, shown(`out-${name}`)), given, name)
        }
        for (const format of ["tar.gz", "zip"] as const) {
          const archive = files.pack(
            { path: "/workspace/from", format, exclude: [], maxEntries: 100 },
            () => {},
          )
          yield* files.write(
            `/workspace/ours.${format}`,
            Buffer.concat([...(yield* Stream.runCollect(archive))]),
          )
        }
        yield* output(sandbox, "mkdir theirs && tar -C theirs -xpzf ours.tar.gz")
        assert.strictEqual(yield* output(sandbox, shown("theirs")), given)
        const script =
          "import zipfile; z = zipfile.ZipFile('ours.zip'); assert z.testzip() is None; z.extractall('unzipped')"
        yield* output(sandbox, `python3 -c "${script}" && cmp unzipped/src/deep/data from/src/deep/data`)
        yield* output(
          sandbox,
          "cd from && rm link && python3 -c \"import shutil; shutil.make_archive('../made/py', 'zip', '.')\"",
        )
        const zip = yield* files.unpack(
          { path: "/workspace/zip", ...bounds },
          Stream.make(yield* bytesOf("/workspace/made/py.zip")),
        )
        assert.deepInclude(zip, { files: 4, skippedCount: 0 })
        yield* output(sandbox, "cmp zip/src/deep/data from/src/deep/data")
      }),
    )

    it.effect(
      "go on beside commands, race folders that become links, and leave nothing of a file that the folder has no room for",
      () =>
        Effect.gen(function* () {
          const sandbox = yield* SharedSandbox
          const call = FakeSandbox.call(Effect.succeed(sandbox))
          yield* output(
            sandbox,
            "mkdir race && cd race && for i in $(seq 300); do mkdir -p d$i && echo $i > d$i/f; done && tar -C /workspace/race -czf /workspace/race.tar.gz .",
          )
          const archive = Buffer.from(yield* bytesOf("/workspace/race.tar.gz"))
          // Whatever the program makes of the folders meanwhile, nothing is put where its links lead.
          const racing = yield* Effect.fork(
            run(
              sandbox,
              line(
                "mkdir -p victim into; end=$((SECONDS+2)); while [ $SECONDS -lt $end ]; do for i in 1 2 3; do rm -rf into/d$i; ln -s ../victim into/d$i 2>/dev/null; rm -f into/d$i; done; done",
              ),
            ),
          )
          for (let round = 0; round < 5; round++) {
            const answer = yield* Effect.either(
              uploadArchive.handler(
                { path: "into", content: archive.toString("base64") },
                { ...call, limits: { ...call.limits, file: 1e7 } },
              ),
            )
            if (answer._tag === "Right") assert.isAbove(answer.right.files ?? 0, 280)
          }
          yield* racing.await
          assert.strictEqual(yield* output(sandbox, "ls victim"), "")
          const large =
            "import tarfile, io; t = tarfile.open('full.tar.gz', 'w:gz'); i = tarfile.TarInfo('z'); i.size = 70 << 20; t.addfile(i, open('/dev/zero', 'rb')); t.close()"
          yield* output(sandbox, `python3 -c "${large}"`)
          const full = yield* Effect.flip(
            sandbox.files.unpack(
              { path: "/workspace/full", maxEntries: 10, maxBytes: 1e9 },
              Stream.make(yield* bytesOf("/workspace/full.tar.gz")),
            ),
          )
          assert.strictEqual("code" in full ? full.code : "", "workspace_full")
          assert.strictEqual(yield* output(sandbox, "ls full"), "")
        }),
    )
  },
)
