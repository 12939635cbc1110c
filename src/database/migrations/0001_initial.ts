/** The tables of sessions, their operations, connections and nodes. Every time in them is the database's. */
import { SqlClient } from "@effect/sql"
import { Effect } from "effect"

export const initial = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`
    CREATE TABLE cluster (
      only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
      id text NOT NULL
    )`
  yield* sql`INSERT INTO cluster (id) VALUES (replace(gen_random_uuid()::text, '-', ''))`

  yield* sql`
    CREATE TABLE node (
      incarnation text PRIMARY KEY,
      id text NOT NULL,
      engine text NOT NULL,
      started_at timestamptz NOT NULL DEFAULT now(),
      seen_at timestamptz NOT NULL DEFAULT now(),
      ended_at timestamptz
    )`

  // epoch fences writes; node, incarnation and container are the binding of its sandbox;
  // used: something ran in it; lost: what ran there is gone and the caller was not told yet.
  yield* sql`
    CREATE TABLE session (
      id text PRIMARY KEY,
      principal text NOT NULL,
      name text,
      lifetime text NOT NULL CHECK (lifetime IN ('connection', 'unnamed', 'named')),
      epoch integer NOT NULL DEFAULT 0,
      node text,
      incarnation text,
      container text,
      used boolean NOT NULL DEFAULT false,
      lost boolean NOT NULL DEFAULT false,
      created_at timestamptz NOT NULL DEFAULT now(),
      active_at timestamptz NOT NULL DEFAULT now(),
      closed_at timestamptz
    )`
  yield* sql`CREATE UNIQUE INDEX session_name ON session (principal, name) WHERE closed_at IS NULL AND name IS NOT NULL`
  yield* sql`CREATE INDEX session_open ON session (principal, created_at) WHERE closed_at IS NULL`
  yield* sql`CREATE INDEX session_active ON session (active_at) WHERE closed_at IS NULL`
  yield* sql`CREATE INDEX session_closed ON session (closed_at) WHERE closed_at IS NOT NULL`
  yield* sql`CREATE INDEX session_binding ON session (incarnation) WHERE container IS NOT NULL`

  // json and not jsonb: what comes from clients and commands may hold U+0000, which jsonb refuses.
  yield* sql`
    CREATE TABLE connection (
      id text PRIMARY KEY,
      principal text NOT NULL,
      session_id text NOT NULL REFERENCES session ON DELETE CASCADE,
      protocol_version text NOT NULL,
      client json NOT NULL,
      capabilities json NOT NULL,
      created_at timestamptz NOT NULL DEFAULT now(),
      seen_at timestamptz NOT NULL DEFAULT now()
    )`
  yield* sql`CREATE INDEX connection_session ON connection (session_id)`
  yield* sql`CREATE INDEX connection_seen ON connection (seen_at)`

  yield* sql`
    CREATE TABLE operation (
      session_id text NOT NULL REFERENCES session ON DELETE CASCADE,
      id text NOT NULL,
      tool text NOT NULL,
      input_hash text NOT NULL,
      state text NOT NULL,
      outcome json,
      started_at timestamptz NOT NULL DEFAULT now(),
      ended_at timestamptz,
      PRIMARY KEY (session_id, id)
    )`
  yield* sql`CREATE INDEX operation_running ON operation (session_id) WHERE state = 'running'`
  yield* sql`CREATE INDEX operation_ended ON operation (ended_at)`
})
