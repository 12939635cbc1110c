import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { type Explained, failureOf } from "../../../src/domain/Failure.ts"
import { OperationId } from "../../../src/domain/Identity.ts"
import { argumentsOf } from "../../../src/mcp/Presentation.ts"
import { applyPatch } from "../../../src/tools/files/ApplyPatch.ts"
import { gitCommit } from "../../../src/tools/git/GitCommit.ts"
import { gitDiff } from "../../../src/tools/git/GitDiff.ts"
import { gitStatus } from "../../../src/tools/git/GitStatus.ts"
import type { OwnerCall } from "../../../src/tools/Tool.ts"
import * as FakeSandbox from "../../support/FakeSandbox.ts"
import { output, SharedSandbox } from "../../support/SharedSandbox.ts"

interface Handler<I, A> {
  readonly handler: (input: I, call: OwnerCall) => Effect.Effect<A, Explained>
}

const use = <I, A>(tool: Handler<I, A>, input: I) =>
  Effect.flatMap(SharedSandbox, (sandbox) =>
    tool.handler(input, {
      ...FakeSandbox.call(Effect.succeed(sandbox)),
      limits: { ...FakeSandbox.limits, file: 8 * 1024 * 1024 },
    }),
  )

const refused = <I, A>(tool: Handler<I, A>, input: I) => Effect.map(Effect.flip(use(tool, input)), failureOf)

const shell = (command: string) => Effect.flatMap(SharedSandbox, (sandbox) => output(sandbox, command))

layer(SharedSandbox.layer, { excludeTestServices: true, timeout: "60 seconds" })("Git tools", (it) => {
  it.effect("commit, and tell how the files stand beside the last commit", () =>
    Effect.gen(function* () {
      const repository = "plain"
      yield* shell("mkdir plain; cd plain; git init -qb main; seq 9 > a; seq 9 > b; seq 9 > c; echo x > gone")
      assert.deepStrictEqual(yield* use(gitStatus, { repository }), {
        branch: "main",
        commit: null,
        clean: false,
        staged: [],
        unstaged: [],
        untracked: ["a", "b", "c", "gone"],
        conflicted: [],
        truncated: false,
      })
      assert.deepInclude(yield* refused(gitCommit, { repository, message: "first" }), {
        code: "nothing_to_commit",
      })
      const first = yield* use(gitCommit, { repository, message: "-m\n\n# not a comment", all: true })
      assert.deepInclude(first, { status: "committed", branch: "main", files: 4, added: 28, removed: 0 })
      assert.strictEqual(
        yield* shell("cd plain; git log -1 --format='%H|%an|%ce|%B'"),
        `${first.commit}|CodeGen MCP|codegen-mcp@localhost|-m\n\n# not a comment\n\n`,
      )
      yield* shell(
        "cd plain; sed -i s/5/five/ a; git mv b d; git add -A; echo 10 >> a; rm gone; mkdir new; touch new/f -- -x",
      )
      const status = yield* use(gitStatus, { repository })
      assert.deepStrictEqual(status, {
        branch: "main",
        commit: first.commit ?? "",
        clean: false,
        staged: [
          { path: "a", change: "modified" },
          { path: "d", change: "renamed", from: "b" },
        ],
        unstaged: [
          { path: "a", change: "modified" },
          { path: "gone", change: "deleted" },
        ],
        untracked: ["-x", "new/"],
        conflicted: [],
        truncated: false,
      })
      const staged = yield* use(gitDiff, { repository, staged: true })
      assert.deepStrictEqual(staged.files, [
        { path: "a", added: 1, removed: 1 },
        { from: "b", path: "d", added: 0, removed: 0 },
      ])
      assert.include(staged.diff, "-5\n+five\n")
      assert.include(staged.diff, "rename from b\nrename to d\n")
      assert.include((yield* use(gitDiff, { repository, paths: ["a"] })).diff, " 9\n+10\n")
      const second = yield* use(gitCommit, { repository, message: "second", paths: ["a", "-x", "gone"] })
      assert.deepInclude(second, { files: 4, added: 2, removed: 2 })
      assert.strictEqual(yield* shell("cd plain; git status --porcelain"), "?? new/\n")
      const between = yield* use(gitDiff, { repository, from: "HEAD~1", to: "HEAD", paths: ["a"] })
      assert.deepStrictEqual([between.added, between.removed, between.truncated], [2, 1, false])
    }),
  )

  it.effect("commit one after another where two are asked at once, each its own", () =>
    Effect.gen(function* () {
      yield* shell("mkdir twice; cd twice; git init -qb main; echo 1 > a; echo 2 > b")
      const call = FakeSandbox.call(Effect.succeed(yield* SharedSandbox))
      const commits = yield* Effect.forEach(
        ["a", "b"],
        (path) =>
          gitCommit.handler(
            { repository: "twice", message: path, paths: [path] },
            { ...call, operation: OperationId.make(path) },
          ),
        { concurrency: "unbounded" },
      )
      for (const commit of commits) assert.deepInclude(commit, { status: "committed", files: 1 })
      assert.strictEqual(
        yield* shell("cd twice; git log --reverse --format=%s --name-only | tr -d '\\n'"),
        "aabb",
      )
    }),
  )

  it.effect("show a diff that apply_patch takes, and as much of a long one as an answer holds", () =>
    Effect.gen(function* () {
      yield* shell(
        "git init -q; git config core.pager 'sleep 1000'; git config diff.noprefix true; git config diff.external false; " +
          "git config color.ui always; printf 'a\\nb' > 'odd \"name\"'; seq 9000 > long; git add -A; git -c user.name=a -c user.email=b commit -qm 1; " +
          "printf 'a\\nc\\n' > 'odd \"name\"'; cp 'odd \"name\"' /tmp/after",
      )
      const { diff } = yield* use(gitDiff, {})
      yield* shell("git checkout -q .")
      yield* use(applyPatch, { patch: diff })
      yield* shell("cmp 'odd \"name\"' /tmp/after; rm /tmp/after; seq 9000 -1 1 > long")
      const long = yield* use(gitDiff, { from: "HEAD" })
      assert.isTrue(long.truncated)
      assert.strictEqual(long.files.length, 2)
      assert.isAbove(long.diff.length, 15_000)
      assert.isBelow(JSON.stringify(long).length, 40_000)
      assert.isTrue(long.diff.endsWith("\n"))
      yield* shell("rm -rf long odd* .git")
    }),
  )

  it.effect(
    "wait for nobody: not for an editor, a signature, or a hook that asks; and say what a hook says",
    () =>
      Effect.gen(function* () {
        const repository = "hooks"
        yield* shell(
          "mkdir hooks; cd hooks; git init -q; git config core.editor 'sleep 1000'; git config user.name Me; git config user.email me@here; touch a; " +
            "printf '#!/bin/sh\\nread answer\\necho \"no: $answer\"\\nexit 1\\n' > .git/hooks/pre-commit; chmod +x .git/hooks/pre-commit",
        )
        const failure = yield* refused(gitCommit, { repository, message: "x", all: true })
        assert.strictEqual(failure.code, "git_failed")
        assert.include(failure.message, "no:")
        yield* shell("rm hooks/.git/hooks/pre-commit; git -C hooks config commit.gpgsign true")
        assert.deepInclude(yield* refused(gitCommit, { repository, message: "x" }), { code: "git_failed" })
        yield* shell("git -C hooks config commit.gpgsign false")
        yield* use(gitCommit, { repository, message: "x" })
        assert.strictEqual(yield* shell("git -C hooks log -1 --format=%an:%ae"), "Me:me@here\n")
      }),
  )

  it.effect("take no option for a revision or a path, and no other place for a repository", () =>
    Effect.gen(function* () {
      const repository = "options"
      yield* shell(
        "mkdir options; cd options; git init -q; touch a; git add a; git -c user.name=a -c user.email=b commit -qm 1; echo x > a",
      )
      for (const from of ["--output=/tmp/taken", "-O", "a b", ""])
        assert.property(argumentsOf(gitDiff, { repository, from }), "failure", from)
      assert.deepInclude(yield* refused(gitDiff, { repository, from: "none" }), { code: "git_failed" })
      const { files } = yield* use(gitDiff, { repository, paths: ["--output=/tmp/taken", "*"] })
      assert.deepStrictEqual(files, [])
      assert.deepInclude(yield* refused(gitDiff, { repository, to: "HEAD" }), { code: "invalid_arguments" })
      assert.strictEqual(yield* shell("ls /tmp"), "")
      yield* shell("mkdir bare")
      const none = yield* refused(gitStatus, { repository: "bare" })
      assert.deepInclude(none, { code: "git_failed" })
      assert.include(none.message, "not a git repository")
      assert.deepInclude(yield* refused(gitStatus, { repository: "missing" }), {
        code: "command_not_started",
      })
    }),
  )

  it.effect("keep their answers short among many files with odd names, and show conflicts first", () =>
    Effect.gen(function* () {
      const repository = "many"
      yield* shell(
        "mkdir many; cd many; git init -qb main; git config user.name a; git config user.email b; echo 1 > f; git add f; git commit -qm 1; " +
          "git checkout -qb other; echo 2 > f; git commit -qam 2; git checkout -q main; echo 3 > f; git commit -qam 3; git merge -q other >/dev/null || true; " +
          "touch \"$(printf 'line\\nbreak')\" \"$(printf 'byte\\377')\"; seq -f 'a-file-with-a-rather-long-name-%g' 3000 | xargs touch",
      )
      const status = yield* use(gitStatus, { repository })
      assert.deepStrictEqual([status.conflicted, status.truncated], [["f"], true])
      assert.isAbove(status.untracked.length, 300)
      assert.isBelow(JSON.stringify(status).length, 40_000)
      yield* shell("cd many; rm a-file*")
      assert.sameMembers(
        [...(yield* use(gitStatus, { repository })).untracked],
        ["line\nbreak", "byte\uf7ff"],
      )
    }),
  )
})
