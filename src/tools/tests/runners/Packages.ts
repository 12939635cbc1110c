/** Runners that stand in node_modules, of the project or of a folder above, also of the image's root. */

/** Sets `$program` to a file of a package, and `$dir` to the run's folder, in which it leaves our reporter, `$2`. */
export const packageScript = (program: string, reporter: string) => `
dir=$1
at=$PWD
while [ ! -f "$at/node_modules/${program}" ]; do
  [ -n "$at" ] || exit 127
  at=\${at%/*}
done
program=$at/node_modules/${program}
command -v node >/dev/null || exit 127
printf %s "$2" >"$dir/${reporter}"
shift 2
`

/** A regular expression for exactly this text. */
export const literal = (text: string) => text.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&")

/**
 * The files of tests, and a pattern for their names within: a test's id is file > suite > … > name, and that of all
 * tests of a file is its path. One pattern is for all files, so that it may fit a test of that name in another.
 */
export const partsOf = (ids: ReadonlyArray<string>) => {
  const parts = ids.map((id) => id.split(" > "))
  const names = [...new Set(parts.map((part) => part.slice(1).join(" ")))]
  return {
    files: [...new Set(parts.map(([file = ""]) => file))],
    pattern: names.length === 0 || names.includes("") ? undefined : `^(${names.map(literal).join("|")})$`,
  }
}

/** An option for runners, where it has a value. */
export const option = (name: string, value: string | undefined) =>
  value === undefined ? [] : [`${name}=${value}`]
