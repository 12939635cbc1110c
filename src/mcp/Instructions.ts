/** What a model is told of the server as a whole. */
const common =
  "Each session is an isolated Linux sandbox with a workspace at /workspace. Write and change files with write_file and " +
  "edit_file, find them with search_files, run commands with exec and tests with run_tests (pytest, node --test, git and " +
  "build tools are there; there is no network but what set_network_policy allows, and install_packages uses). A call that " +
  "takes long answers `running`: go on with get_result, or with read_output for what a command wrote, and its " +
  "operation_id. Files and processes stay between calls."

export const instructions = {
  ofConnections: common,
  /** Where there are no connections. */
  sessionless: `${common} Every call names its session: make one with open_session, and pass its session_id.`,
}
