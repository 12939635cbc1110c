/** Which Python runs a project's tests, and how our reporters are asked. */
import type { Selection } from "../Runner.ts"

/** The project's own environment first. `$2` is the program, `$3` what it is asked. */
export const python = `
for python in .venv/bin/python venv/bin/python /workspace/.venv/bin/python "$(command -v python3 || command -v python)"; do
  [ -x "$python" ] && exec "$python" -c "$2" "$1/report" "$3"
done
exit 127
`

export const pythonRequest = ({ args, name, only, path }: Selection) =>
  JSON.stringify({ args, name: name ?? "", only, paths: path === undefined ? [] : [path] })
