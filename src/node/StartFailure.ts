/** Why a node could not start, in one sentence with the remedy: never a stack trace. */
import { HttpServerError, SocketServer } from "@effect/platform"
import { Cause, ConfigError, Option, Schema } from "effect"

/** The command line asks for something that there is not. */
export class UsageError extends Schema.TaggedError<UsageError>()("UsageError", { problem: Schema.String }) {
  override get message() {
    return `${this.problem} See codegen-mcp --help.`
  }
}

export const explain = (cause: Cause.Cause<unknown>): string => {
  const error = Option.getOrElse(Cause.failureOption(cause), () => Cause.squash(cause))
  if (ConfigError.isConfigError(error)) return `${settingProblem(error)} See codegen-mcp --help.`
  if (error instanceof HttpServerError.ServeError) return portProblem(error.cause, "HTTP_HOST", "HTTP_PORT")
  if (error instanceof SocketServer.SocketServerError)
    return portProblem(error.cause, "RUNNER_HOST", "RUNNER_PORT")
  return error instanceof Error ? error.message.replace(/\s+/g, " ") : String(error)
}

/** Why an address could not be listened on, naming the settings that choose it. */
export const portProblem = (cause: unknown, host: string, port: string) => {
  const { code, address, port: number } = cause as { code?: string; address?: string; port?: number }
  const where = `${address ?? ""}:${number ?? ""}`
  if (code === "EADDRINUSE") return `Port ${where} is taken by another process. Set ${port} to a free one.`
  if (code === "EACCES") return `Port ${where} may not be used by this user. Set ${port} to one above 1023.`
  return `The address ${where} cannot be served (${code ?? String(cause)}). Check ${host} and ${port}.`
}

const settingProblem = (error: ConfigError.ConfigError): string => {
  switch (error._op) {
    case "And":
    case "Or":
      return settingProblem(error.left)
    case "MissingData":
      return `${error.path.join("_")} must be set.`
    default:
      // A schema says it as a tree of several lines, of which a script would show the last alone.
      return `${error.path.join("_")}: ${error.message.replace(/\s*\n[\s│]*[├└]─ /g, ": ")}.`
  }
}
