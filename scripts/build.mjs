// Bundles the node and the scripts into .codegen/build. A file is replaced in one step, and only when it
// changed, so that a build beside running scripts disturbs nobody.
import { build } from "esbuild"
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs"
import { basename, dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const out = join(root, ".codegen/build")

const scripts = readdirSync(join(root, "scripts"))
  .filter((name) => name.endsWith(".ts"))
  .map((name) => ({ in: join(root, "scripts", name), out: `scripts/${basename(name, ".ts")}` }))
const node = { in: join(root, "src/main.ts"), out: "main" }

const bridge = { in: join(root, "src/bridge.ts"), out: "bridge/bridge" }

const agent = { in: join(root, "src/agent/main.ts"), out: "agent/agent" }

/** Beside the agent's bundle stands koffi's library alone, without the package that looks for it. */
const koffi = {
  name: "koffi",
  setup: (build) => {
    build.onResolve({ filter: /^koffi$/ }, () => ({ path: "koffi", namespace: "koffi" }))
    build.onLoad({ filter: /.*/, namespace: "koffi" }, () => ({
      contents: `process.dlopen(module, require("node:path").join(__dirname, "koffi.node"))`,
    }))
  },
}

/** Dependencies too; what dockerode needs for ssh alone, and pg for libpq, stays outside. */
const alone = {
  external: ["ssh2", "pg-native"],
  banner: {
    js: `import { createRequire as nodeRequire } from "node:module";const require = nodeRequire(import.meta.url);`,
  },
  legalComments: "none",
}

const common = {
  absWorkingDir: root,
  outdir: out,
  write: false,
  bundle: true,
  format: "esm",
  platform: "node",
  target: "node20",
  sourcemap: true,
  sourcesContent: false,
  logLevel: "warning",
}

const replace = (path, contents) => {
  if (existsSync(path) && Buffer.compare(readFileSync(path), contents) === 0) return
  mkdirSync(dirname(path), { recursive: true })
  const fresh = `${path}.${process.pid}`
  writeFileSync(fresh, contents)
  renameSync(fresh, path)
}

/** Chunks of earlier builds, once nobody can be about to load them. */
const removeStale = (fresh) => {
  const chunks = join(out, "chunks")
  for (const name of readdirSync(chunks)) {
    const path = join(chunks, name)
    if (!fresh.has(name) && Date.now() - statSync(path).mtimeMs > 600_000) rmSync(path, { force: true })
  }
}

try {
  const builds = await Promise.all([
    build({
      ...common,
      entryPoints: [node],
      // A node then loads few files instead of a thousand.
      ...alone,
      // What is imported on demand is a file apart, so that a command loads what it needs.
      splitting: true,
      chunkNames: "chunks/[name]-[hash]",
      // Reading a map of this size would double a node's memory; the bundle keeps its names and lines.
      sourcemap: false,
    }),
    build({ ...common, ...alone, entryPoints: [bridge], sourcemap: false, minify: true }),
    build({
      ...common,
      entryPoints: [agent],
      format: "cjs",
      target: "node22",
      sourcemap: false,
      minifySyntax: true,
      plugins: [koffi],
    }),
    build({ ...common, entryPoints: scripts, packages: "external" }),
  ])
  for (const file of builds.flatMap(({ outputFiles }) => outputFiles))
    replace(file.path, Buffer.from(file.contents))
  removeStale(new Set(builds.flatMap(({ outputFiles }) => outputFiles).map(({ path }) => basename(path))))
} catch {
  console.error("The build failed; what is wrong stands above.")
  process.exitCode = 1
}
