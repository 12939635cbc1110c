/** A node with the fixtures of the conformance suite in place of the product's tools, prompts and resources. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { serveWith } from "../../../src/node/Node.ts"
import * as Fixtures from "./Fixtures.ts"
import * as FixtureTools from "./FixtureTools.ts"

NodeRuntime.runMain(serveWith({ tools: FixtureTools.layer, catalogue: Fixtures.layer }))
