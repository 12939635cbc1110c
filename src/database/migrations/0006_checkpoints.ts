/** Checkpoints of sessions' files: what they say, the pieces of files that they name, and the packs those are in. */
import { SqlClient } from "@effect/sql"
import { Effect } from "effect"

export const checkpoints = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  // head: the newest checkpoint; unsaved: something was acknowledged that it does not hold.
  yield* sql`
    ALTER TABLE session
      ADD COLUMN head integer,
      ADD COLUMN unsaved boolean NOT NULL DEFAULT false`
  // Until now nothing was saved.
  yield* sql`UPDATE session SET unsaved = used`

  // The id of the folder that packs are in, where the cluster has one.
  yield* sql`ALTER TABLE cluster ADD COLUMN store text`

  // Of one that was interrupted: the checkpoint that its session went on with.
  yield* sql`ALTER TABLE operation ADD COLUMN checkpoint integer`

  yield* sql`
    CREATE TABLE pack (
      id text PRIMARY KEY,
      size integer NOT NULL,
      created_at timestamptz NOT NULL DEFAULT now(),
      data bytea
    )`
  // It is compressed already, where that helps.
  yield* sql`ALTER TABLE pack ALTER COLUMN data SET STORAGE EXTERNAL`

  yield* sql`
    CREATE TABLE piece (
      principal text NOT NULL,
      hash bytea NOT NULL,
      pack text NOT NULL REFERENCES pack,
      at integer NOT NULL,
      stored integer NOT NULL,
      size integer NOT NULL,
      deflated boolean NOT NULL,
      condemned_at timestamptz,
      PRIMARY KEY (principal, hash)
    )`
  yield* sql`CREATE INDEX piece_pack ON piece (pack)`
  yield* sql`CREATE INDEX piece_condemned ON piece (condemned_at) WHERE condemned_at IS NOT NULL`

  // changes is encoded by workspace/Manifest.ts; base is the checkpoint that they begin at.
  yield* sql`
    CREATE TABLE checkpoint (
      session_id text NOT NULL REFERENCES session ON DELETE CASCADE,
      number integer NOT NULL,
      base integer NOT NULL,
      token text NOT NULL,
      changes bytea NOT NULL,
      created_at timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (session_id, number)
    )`

  // The pieces that the checkpoints of one base name.
  yield* sql`
    CREATE TABLE piece_use (
      session_id text NOT NULL,
      base integer NOT NULL,
      principal text NOT NULL,
      hash bytea NOT NULL,
      PRIMARY KEY (session_id, base, hash)
    )`
  yield* sql`CREATE INDEX piece_use_of ON piece_use (principal, hash)`

  // Bases that are gone, whoever removed them: nothing names their pieces any more.
  yield* sql`CREATE TABLE base_gone (session_id text NOT NULL, base integer NOT NULL)`
  yield* sql`
    CREATE FUNCTION note_base_gone() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        INSERT INTO base_gone VALUES (OLD.session_id, OLD.base);
        RETURN OLD;
      END
    $$`
  yield* sql`
    CREATE TRIGGER checkpoint_base_gone AFTER DELETE ON checkpoint
    FOR EACH ROW WHEN (OLD.number = OLD.base) EXECUTE FUNCTION note_base_gone()`
})
