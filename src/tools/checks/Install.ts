/** The project's own installer. */
import type { CheckedProject } from "./CheckedProject.ts"

/** A line for bash that installs what the project's manifests name; undefined where there is none. */
export const installLine = (project: CheckedProject) => {
  const lines = [
    ...(project.has("package-lock.json") ? ["npm ci --no-audit --no-fund"] : []),
    ...(project.has("requirements.txt")
      ? [
          // With what the image has: its pytest goes on to be found.
          "{ [ -d .venv ] || python3 -m venv --system-site-packages .venv; } && .venv/bin/pip install -r requirements.txt",
        ]
      : []),
  ]
  return lines.length === 0 ? undefined : lines.join(" && ")
}
