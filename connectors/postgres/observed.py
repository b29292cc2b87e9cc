"""What a PostgreSQL server does for sessions of ours, and which tables cost it a scan a row.

See: PostgreSQL manual, "The Statistics Collector", `pg_stat_activity` and its wait events.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from connectors._sql.quoting import qualified
from connectors.postgres.sql import Sql
from engine.model.activity import Activity
from engine.model.relation import Relation, TableName

_ACTIVITY: Final = """
SELECT coalesce(wait_event_type, '') AS waits, coalesce(wait_event, '') AS event
FROM pg_catalog.pg_stat_activity WHERE pid = ANY($1::int4[]) AND state = 'active'
"""

_UNINDEXED: Final = """
SELECT w.name FROM unnest($1::text[], $2::text[]) AS w(name, columns)
WHERE to_regclass(w.name) IS NOT NULL AND NOT EXISTS (
  SELECT FROM pg_catalog.pg_index i
  LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
  WHERE i.indrelid = to_regclass(w.name) AND i.indisvalid AND i.indpred IS NULL
    AND (w.columns = '{}' OR a.attname = ANY(w.columns::text[])))
"""
"""An index leads to the rows of a key when its first column is one of the key's."""


async def activity(sql: Sql, sessions: Sequence[tuple[int, str]]) -> Activity:
    """See `abilities.ObservedTarget.activity`. A session that waits for its client, as in the
    middle of a COPY, is one that waits for us."""
    pids = [pid for pid, _ in sessions]
    rows = await sql.fetch("asking what the target does", _ACTIVITY, pids)
    kinds = Counter(_kind(row["waits"], row["event"]) for row in rows)
    return Activity(
        working=sum(kinds.values()) - kinds["us"],
        locked=kinds["locked"],
        disk=kinds["disk"],
        sleeping=kinds["sleeping"],
    )


def _kind(waits: str, event: str) -> str:
    if event == "PgSleep":
        return "sleeping"
    return {"Client": "us", "Lock": "locked", "IO": "disk"}.get(waits, "working")


async def unindexed(sql: Sql, relations: Sequence[Relation]) -> Sequence[TableName]:
    """See `abilities.ObservedTarget.unindexed`. One question, whatever the number of tables."""
    by_name = {qualified(r.schema, r.name): r for r in relations}
    columns = [_array([r.columns[index].name for index in r.key]) for r in by_name.values()]
    rows = await sql.fetch("looking for indexes", _UNINDEXED, list(by_name), columns)
    return sorted(by_name[row["name"]].table for row in rows)


def _array(names: Sequence[str]) -> str:
    """An array of texts as a text: arrays of arrays must have one length."""
    quoted = [name.replace("\\", "\\\\").replace('"', '\\"') for name in names]
    return "{" + ",".join(f'"{name}"' for name in quoted) + "}"
