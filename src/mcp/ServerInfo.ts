/** Who this is, as `initialize` and `--version` say it. Apart, so that the command line need not load a server. */
export const serverInfo = { name: "codegen-mcp", title: "CodeGen MCP", version: "0.1.0" }
