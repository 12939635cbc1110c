/** Where programs are. */
import { accessSync, constants, statSync } from "node:fs"
import { isAbsolute, join } from "node:path"

/** Where they are looked for, where nothing else is said. */
export const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/** The program's path, found as a shell finds it. */
export const find = (name: string, cwd: string, path: string) => {
  const candidates = name.includes("/")
    ? [isAbsolute(name) ? name : join(cwd, name)]
    : path.split(":").map((folder) => join(isAbsolute(folder) ? folder : join(cwd, folder), name))
  return (
    candidates.find((candidate) => isFile(candidate) && isExecutable(candidate)) ?? candidates.find(isFile)
  )
}

export const isFolder = (path: string) => statOf(path)?.isDirectory() === true

const isFile = (path: string) => statOf(path)?.isFile() === true

const statOf = (path: string) => {
  try {
    return statSync(path, { throwIfNoEntry: false })
  } catch {
    return undefined
  }
}

const isExecutable = (path: string) => {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
