"""Schema `penstock` on the target: its tables, its functions, and how versions follow. (pure)

One schema per target database serves every replication; rows carry the replication's id. A version
is a list of statements that take the schema from the version before to this one; they are never
edited once released, a change is a new version.
"""

from typing import Final

from connectors.postgres.own_states import (
    FENCE_FAILED,
    ROW_AMBIGUOUS,
    ROW_MISSING,
    SHAPE_CHANGED,
)
from connectors.postgres.target_table import SHAPE

SCHEMA: Final = "penstock"

LOCK_KEY: Final = 0x50454E53544F434B
"""Advisory lock under which the schema is made and migrated ("PENSTOCK")."""

EXISTS: Final = (
    "SELECT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n"
    " ON n.oid = c.relnamespace WHERE n.nspname = 'penstock' AND c.relname = 'version')"
)
"""Whether there is a version. Not `to_regclass`: inside the transaction that waited for the lock it
would answer from before the wait."""
CURRENT: Final = "SELECT coalesce(max(version), 0) FROM penstock.version"
"""The schema's version. Needs no privilege to create anything."""

# Not IF NOT EXISTS: that needs the privilege to create schemas also where the schema is there.
_SCHEMA: Final = (
    "DO $body$ BEGIN IF pg_catalog.to_regnamespace('penstock') IS NULL"
    " THEN CREATE SCHEMA penstock; END IF; END $body$"
)

_TABLES: Final = (
    _SCHEMA,
    (
        "CREATE TABLE penstock.version ("
        "version integer PRIMARY KEY, made_at timestamptz NOT NULL DEFAULT now())"
    ),
    (
        "CREATE TABLE penstock.owner ("
        "replication text PRIMARY KEY, epoch bigint NOT NULL, identity text NOT NULL,"
        " fingerprint text NOT NULL, process text NOT NULL, token text NOT NULL,"
        " session_pids integer[] NOT NULL, session_starts text[] NOT NULL) WITH (fillfactor = 50)"
    ),
    # Every batch updates one row here: free space in the page keeps the update from touching the
    # index and lets the next one clean up after it.
    (
        "CREATE TABLE penstock.checkpoint ("
        "replication text NOT NULL, lane text NOT NULL, epoch bigint NOT NULL, seq bigint NOT NULL,"
        " position text NOT NULL, PRIMARY KEY (replication, lane)) WITH (fillfactor = 10)"
    ),
    (
        "CREATE TABLE penstock.table_state ("
        "replication text NOT NULL, schema_name text NOT NULL, table_name text NOT NULL,"
        " state text NOT NULL, position text NOT NULL, reason text NOT NULL,"
        " relation text NOT NULL, changed_at timestamptz NOT NULL DEFAULT now(),"
        " PRIMARY KEY (replication, schema_name, table_name))"
    ),
    (
        "CREATE TABLE penstock.chunk ("
        "replication text NOT NULL, schema_name text NOT NULL, table_name text NOT NULL,"
        " ordinal bigint NOT NULL, bounded_by text NOT NULL, low text[], high text[],"
        " snapshot text NOT NULL, until text NOT NULL, row_count bigint NOT NULL,"
        " PRIMARY KEY (replication, schema_name, table_name, ordinal))"
    ),
    (
        "CREATE TABLE penstock.quarantine ("
        "id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
        " rejected_at timestamptz NOT NULL DEFAULT now(), replication text NOT NULL,"
        " schema_name text NOT NULL, table_name text NOT NULL, lane text NOT NULL,"
        " position text NOT NULL, operation text NOT NULL, reason text NOT NULL,"
        " sqlstate text NOT NULL, message text NOT NULL, payload text NOT NULL)"
    ),
    "CREATE INDEX ON penstock.quarantine (replication, schema_name, table_name)",
)


def _function(signature: str, returns: str, body: str) -> str:
    return (
        f"CREATE FUNCTION penstock.{signature} RETURNS {returns} LANGUAGE plpgsql"
        f" SET search_path = pg_catalog AS $body$ {body} $body$"
    )


def _plain_function(signature: str, returns: str, body: str) -> str:
    """Without a setting of its own: that would cost as much as the function itself. Every name in
    the body is qualified."""
    return (
        f"CREATE FUNCTION penstock.{signature} RETURNS {returns} LANGUAGE plpgsql"
        f" AS $body$ {body} $body$"
    )


_FUNCTIONS: Final = (
    _plain_function(
        "advance(r text, l text, e bigint, s bigint, p text)",
        "void",
        "BEGIN UPDATE penstock.checkpoint SET seq = seq OPERATOR(pg_catalog.+) 1, position = p"
        " WHERE replication OPERATOR(pg_catalog.=) r AND lane OPERATOR(pg_catalog.=) l"
        " AND epoch OPERATOR(pg_catalog.=) e AND seq OPERATOR(pg_catalog.=) s;"
        f" IF NOT FOUND THEN RAISE EXCEPTION 'fence failed' USING ERRCODE = '{FENCE_FAILED}';"
        " END IF; END",
    ),
    _function(
        "miscounted(changed bigint, sent bigint)",
        "void",
        "BEGIN RAISE EXCEPTION '% of % rows', changed, sent USING ERRCODE ="
        f" CASE WHEN changed < sent THEN '{ROW_MISSING}' ELSE '{ROW_AMBIGUOUS}' END; END",
    ),
    _plain_function(
        "same_shape(tables oid[], shapes text[])",
        "void",
        "BEGIN FOR n IN 1 .. pg_catalog.cardinality(tables) LOOP"
        f" IF ({SHAPE.format(oid='tables[n]')}) IS DISTINCT FROM shapes[n]"
        f" THEN RAISE EXCEPTION 'a table was altered' USING ERRCODE = '{SHAPE_CHANGED}';"
        " END IF; END LOOP; END",
    ),
)

_RELOAD_REQUESTS: Final = (
    (
        "ALTER TABLE penstock.table_state ADD COLUMN asked bigint NOT NULL DEFAULT 0,"
        " ADD COLUMN answered bigint NOT NULL DEFAULT 0"
    ),
    # Until now a request was the state itself, which a change of the table could write over.
    (
        "UPDATE penstock.table_state SET asked = 1"
        " WHERE state = 'needs-reload' AND reason = 'requested'"
    ),
)

VERSIONS: Final[tuple[tuple[str, ...], ...]] = ((*_TABLES, *_FUNCTIONS), _RELOAD_REQUESTS)
"""Statements of version 1, 2, ..."""

VERSION: Final = len(VERSIONS)
"""The version this code works with."""


def migration(found: int) -> str:
    """Statements from version `found` (0: nothing there) to the current one."""
    steps: list[str] = []
    for number, statements in enumerate(VERSIONS[found:], found + 1):
        steps += statements
        steps.append(f"INSERT INTO penstock.version (version) VALUES ({number})")
    return ";".join(steps)
