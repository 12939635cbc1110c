/** A node with the product's tools, and one that asks its client. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Layer } from "effect"
import { Catalogue } from "../../../src/mcp/Catalogue.ts"
import { serveWith } from "../../../src/node/Node.ts"
import * as Registry from "../../../src/tools/Registry.ts"
import { fileContent, filePaths } from "../../../src/tools/files/WorkspaceResources.ts"
import { interview } from "./Interview.ts"

const tools = Registry.of([...Registry.standard.listed, interview], [fileContent, filePaths])

NodeRuntime.runMain(serveWith({ tools: Layer.succeed(Registry.Registry, tools), catalogue: Catalogue.layer }))
