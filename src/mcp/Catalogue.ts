/** What this server shows to clients: its tools, prompts and resources. */
import type {
  CompleteRequest,
  CompleteResult,
  GetPromptResult,
  ListResourcesResult,
  Prompt,
  ReadResourceResult,
  ResourceTemplate,
  Tool,
} from "@modelcontextprotocol/sdk/types.js"
import { Context, Effect, Layer } from "effect"
import type { Explained } from "../domain/Failure.ts"
import { Registry } from "../tools/Registry.ts"
import type { ToolNames } from "../tools/ToolNames.ts"
import { instructions } from "./Instructions.ts"
import { listingOf } from "./Presentation.ts"
import * as Prompts from "./Prompts.ts"
import * as Resources from "./Resources.ts"

export interface PromptShelf {
  readonly listing: ReadonlyArray<Prompt>
  /** Throws the protocol's error for an unknown one, or a missing argument. */
  readonly get: (name: string, given?: Readonly<Record<string, string>>) => GetPromptResult
}

/** Each asks the owner of the session whose resources they are. */
export interface ResourceShelf {
  readonly templates: ReadonlyArray<ResourceTemplate>
  readonly list: (
    ask: Resources.AskOwner,
    cursor: string | undefined,
  ) => Effect.Effect<ListResourcesResult, Explained>
  readonly read: (ask: Resources.AskOwner, uri: string) => Effect.Effect<ReadResourceResult, Explained>
  readonly complete: (
    ask: Resources.AskOwner,
    ref: CompleteRequest["params"]["ref"],
    begin: string,
  ) => Effect.Effect<CompleteResult, Explained>
  /** Whether it names something whose changes can be told. */
  readonly isResource: (uri: string) => boolean
}

export class Catalogue extends Context.Tag("codegen-mcp/mcp/Catalogue")<
  Catalogue,
  {
    /** What a model is told of the server as a whole, with connections and without. */
    readonly instructions: { readonly ofConnections: string; readonly sessionless: string }
    /** What its own words call tools. */
    readonly names: ToolNames
    /** On one page, in a fixed order. */
    readonly tools: ReadonlyArray<Tool>
    readonly prompts: PromptShelf
    readonly resources: ResourceShelf
  }
>() {
  static readonly layer = Layer.effect(
    Catalogue,
    Effect.map(Registry, ({ listed, names }) => ({
      instructions: {
        ofConnections: names.inText(instructions.ofConnections),
        sessionless: names.inText(instructions.sessionless),
      },
      names,
      tools: listingOf(listed, names),
      prompts: {
        listing: Prompts.listing,
        get: (name, given) => Prompts.get(name, given, names),
      },
      resources: {
        templates: Resources.templates,
        list: (ask, cursor) => Resources.list(ask, cursor, names),
        read: Resources.read,
        complete: Resources.complete,
        isResource: Resources.isResource,
      },
    })),
  )
}
