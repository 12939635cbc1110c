/** Packs from which pieces have gone are looked at again, and removed like these: condemned first. */
import { SqlClient } from "@effect/sql"
import { Effect } from "effect"

export const compaction = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  // claimed_at: a node began to move what is wanted of it elsewhere.
  yield* sql`
    ALTER TABLE pack
      ADD COLUMN checked boolean NOT NULL DEFAULT false,
      ADD COLUMN claimed_at timestamptz,
      ADD COLUMN condemned_at timestamptz`
  yield* sql`CREATE INDEX pack_unchecked ON pack (created_at) WHERE NOT checked AND condemned_at IS NULL`
  yield* sql`CREATE INDEX pack_condemned ON pack (condemned_at) WHERE condemned_at IS NOT NULL`
  yield* sql`
    CREATE FUNCTION note_piece_gone() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        -- Pieces go where packs are looked at, by one at a time; they move at any time.
        UPDATE pack SET checked = false WHERE id = OLD.pack AND (checked OR TG_OP = 'UPDATE');
        RETURN NULL;
      END
    $$`
  yield* sql`
    CREATE TRIGGER piece_gone AFTER DELETE ON piece FOR EACH ROW EXECUTE FUNCTION note_piece_gone()`
  yield* sql`
    CREATE TRIGGER piece_moved AFTER UPDATE OF pack ON piece
    FOR EACH ROW WHEN (OLD.pack <> NEW.pack) EXECUTE FUNCTION note_piece_gone()`
})
