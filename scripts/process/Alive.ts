/** Whether a process is there. */
import { Either } from "effect"
import { existsSync, readFileSync } from "node:fs"

/** Whether any process has this id. */
export const isAlive = (pid: number): boolean =>
  Number.isInteger(pid) &&
  pid > 0 &&
  Either.match(
    Either.try({ try: () => process.kill(pid, 0), catch: (error) => (error as NodeJS.ErrnoException).code }),
    { onLeft: (code) => code === "EPERM", onRight: () => true },
  )

/** Whether the process of this id was started with `word` on its command line; ids are used again. */
export const runs = (pid: number, word: string): boolean => {
  const file = `/proc/${pid}/cmdline`
  if (process.platform !== "linux") return isAlive(pid)
  return existsSync(file) && readFileSync(file, "utf8").split("\0").includes(word)
}
