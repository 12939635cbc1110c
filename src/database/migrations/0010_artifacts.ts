/** Files that are kept beside the workspace: artifacts, and archives on their way in or out. */
import { SqlClient } from "@effect/sql"
import { Effect } from "effect"

export const artifacts = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  // It outlives its session: ended_at is when that was seen to be over. pieces are hashes, one after the other.
  yield* sql`
    CREATE TABLE object (
      id text PRIMARY KEY,
      principal text NOT NULL,
      session_id text NOT NULL,
      kind text NOT NULL CHECK (kind IN ('artifact', 'archive', 'upload')),
      name text NOT NULL,
      mime text NOT NULL,
      size bigint NOT NULL,
      sha256 bytea NOT NULL,
      pieces bytea NOT NULL,
      created_at timestamptz NOT NULL DEFAULT now(),
      ended_at timestamptz
    )`
  yield* sql`ALTER TABLE object ALTER COLUMN pieces SET STORAGE EXTERNAL`
  yield* sql`CREATE INDEX object_of ON object (principal, session_id)`
  yield* sql`CREATE INDEX object_ended ON object (ended_at)`
  yield* sql`CREATE INDEX object_passing ON object (created_at) WHERE kind <> 'artifact'`

  // Its pieces are in use as those of a base are, whose number is 0, and let go in the same way.
  yield* sql`
    CREATE FUNCTION note_object_gone() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        INSERT INTO base_gone VALUES (OLD.id, 0);
        RETURN OLD;
      END
    $$`
  yield* sql`
    CREATE TRIGGER object_gone AFTER DELETE ON object FOR EACH ROW EXECUTE FUNCTION note_object_gone()`

  // What URLs are signed with where CLUSTER_SECRET is not set.
  yield* sql`ALTER TABLE cluster ADD COLUMN url_secret text`
  yield* sql`
    UPDATE cluster SET url_secret = replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '')`
})
