/** What a model is told of the server as a whole. */
const common =
  "Each session is an isolated Linux sandbox with a workspace at /workspace. Write files with write_file, run commands " +
  "with exec (pytest, node --test, git and build tools are there; there is no network), read results from its answer. " +
  "A command that takes long answers `running`: go on with read_output and its operation_id. Files and processes stay " +
  "between calls."

export const instructions = {
  ofConnections: common,
  /** Where there are no connections. */
  sessionless: `${common} Every call names its session: make one with open_session, and pass its session_id.`,
}
