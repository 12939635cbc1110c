// Exits 0 when node_modules holds exactly what package-lock.json asks for, by npm's own record of it.
import { existsSync, readFileSync } from "node:fs"

const record = "node_modules/.package-lock.json"

const packages = (file) => Object.entries(JSON.parse(readFileSync(file, "utf8")).packages ?? {})

const matches = () => {
  if (!existsSync(record)) return false
  const installed = new Map(packages(record))
  return packages("package-lock.json").every(([path, wanted]) => {
    const found = installed.get(path)
    if (path === "" || (found === undefined && wanted.optional === true)) return true
    return found !== undefined && found.version === wanted.version && found.integrity === wanted.integrity
  })
}

process.exit(matches() ? 0 : 1)
