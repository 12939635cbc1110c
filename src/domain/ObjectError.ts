/** Why a file beside the workspace is not kept, or not given. */
import { Schema } from "effect"
import { ObjectId } from "./Identity.ts"

/** No artifact of this id belongs to the caller; it may have been deleted, or its time be over. */
export class ArtifactNotFound extends Schema.TaggedError<ArtifactNotFound>()("ArtifactNotFound", {
  id: Schema.String,
}) {
  override get message() {
    return `There is no artifact ${this.id.slice(0, 80)}.`
  }
  readonly next = "Look with list_artifacts, or save the file again with save_artifact."
}

/** The principal, or the session, has as much as it may. */
export class TooManyArtifacts extends Schema.TaggedError<TooManyArtifacts>()("TooManyArtifacts", {
  what: Schema.String,
  limit: Schema.Number,
  setting: Schema.String,
}) {
  override get message() {
    return `Artifacts and archives of ${this.what} would pass ${this.limit}, which is the limit (${this.setting}).`
  }
  readonly next = "Delete those that are not needed (delete_artifact); list_artifacts shows them."
}

/** The file is larger than any that is kept. */
export class TransferTooLarge extends Schema.TaggedError<TransferTooLarge>()("TransferTooLarge", {
  limit: Schema.Number,
}) {
  override get message() {
    return `It has more than ${this.limit} bytes, which is the limit (MAX_TRANSFER).`
  }
  readonly next = "Leave out what is not needed (`exclude`), or take a part of it."
}

/** The store did not take it, or does not give it as it took it. */
export class StoreUnavailable extends Schema.TaggedError<StoreUnavailable>()("StoreUnavailable", {
  reason: Schema.String,
}) {
  override get message() {
    return `The workspace store failed: ${this.reason}.`
  }
  readonly next = "Try again; if it stays so, the operator must look at the workspace store."
}

/** Something was sent by this URL before. */
export class UrlUsed extends Schema.TaggedError<UrlUsed>()("UrlUsed", { object: ObjectId }) {
  override get message() {
    return "An archive was sent by this URL before."
  }
  readonly next = "Ask for another URL with upload_archive."
}

/** The URL allows nothing, or nothing any more. */
export class UrlRefused extends Schema.TaggedError<UrlRefused>()("UrlRefused", {
  why: Schema.Literal("invalid", "method", "expired", "ended"),
}) {
  override get message() {
    return whys[this.why]
  }
  readonly next = "Ask for a new URL: get_artifact, download_archive or upload_archive."
}

const whys = {
  invalid: "This URL is not one of this server's, or is not whole.",
  method: "This URL is for another method.",
  expired: "This URL has expired.",
  ended: "The session of this URL has ended, and the URL with it.",
}
