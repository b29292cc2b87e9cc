"""The publications: made by us with a note of their tables, or given by the user and only checked.

The note (the publication's comment) says whose it is and which tables were put in. A table that is
noted and not a member any more was taken out behind our back: from then on it would be silent, with
no error from the server. A publication without our note is not ours and never altered.
"""

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from connectors._sql.quoting import identifier, literal, qualified
from connectors.postgres.sql import Sql
from engine.errors import SourceConnectionError, SourceError
from engine.model.relation import TableName

EVERYTHING: Final = "insert, update, delete, truncate"
INSERTS: Final = "insert, truncate"

MADE_MEANWHILE: Final = frozenset({"23505", "42710"})
"""A unique violation in the catalog, or an object that is there already."""

LOCK_ATTEMPTS: Final = 20
"""Tries to lock the tables of a change, each at most LOCK_TIMEOUT_SECONDS long."""

LOCK_PAUSE_SECONDS: Final = 0.5
"""Between two of them, so that the application's own statements get through."""

NOTE: Final = "penstock"
"""First key of the note."""


@dataclass(frozen=True, slots=True)
class Publication:
    """`members` by OID. `noted`: the OIDs that our note holds; None when it has no note of ours.
    `altered`: a row filter or column list stands on a member."""

    name: str
    replication: str | None
    noted: frozenset[int] | None
    members: Mapping[int, TableName]
    publishes: frozenset[str]
    via_root: bool
    all_tables: bool
    altered: tuple[TableName, ...]


class Publications:
    """One publication of a replication. `given`: named by the user, so only checked; `slot_given`:
    the slot was named by the user."""

    def __init__(
        self,
        sql: Sql,
        name: str,
        replication: str,
        publishes: str,
        *,
        given: bool,
        slot_given: bool = False,
    ) -> None:
        self._sql = sql
        self._name = name
        self._replication = replication
        self._publishes = publishes
        self._given = given
        self._slot_given = slot_given

    async def find(self) -> Publication | None:
        rows = await self._sql.fetch("reading the publication", _PUBLICATION, self._name)
        return _publication(json.loads(rows[0][0])) if rows else None

    async def changes(self, tables: Mapping[int, TableName]) -> Sequence[str]:
        """Statements after which it holds these tables; one given by the user must hold them.

        Raises:
            SourceError: it is not ours, or a table was taken out of it, or is missing.
        """
        found = await self.find()
        if found is None and self._given:
            raise SourceError(
                f"publication {self._name} does not exist",
                hint=f"CREATE PUBLICATION {identifier(self._name)} FOR TABLE ...",
            )
        if found is None:
            return self._create(tables)
        if self._given:
            await self._check_given(found, tables)
            return ()
        self._check_ours(found)
        await self._check_members(found)
        return self._alter(found, tables)

    async def check(self, tables: Mapping[int, TableName]) -> None:
        """Check that it is still as we left it; one given by the user must hold these tables.

        Raises:
            SourceError: it is gone, or not ours, or a table was taken out of it.
        """
        found = await self.find()
        if found is None:
            raise SourceError(
                f"publication {self._name} is missing, and one made now would be younger than the"
                " slot, which could not see it",
                hint="a slot that is given needs a publication that is older: make it, then the"
                " slot, and name both"
                if self._slot_given
                else "penstock cleanup, then load again",
            )
        if self._given:
            await self._check_given(found, tables)
        else:
            self._check_ours(found)
            await self._check_members(found)

    async def covers(self) -> set[TableName]:
        """The tables whose changes it sends now. Raises SourceConnectionError, SourceError."""
        rows = await self._sql.fetch("reading the publication's tables", _COVERED, self._name)
        return {TableName(*row) for row in rows}

    async def drop(self) -> Sequence[str]:
        """Statements that drop it if it is ours."""
        found = await self.find()
        if found is None or self._given or found.replication != self._replication:
            return ()
        return (f"DROP PUBLICATION {identifier(self._name)}",)

    def _create(self, tables: Mapping[int, TableName]) -> Sequence[str]:
        members = f" FOR TABLE {_list(sorted(tables.values()))}" if tables else ""
        options = f"publish = '{self._publishes}', publish_via_partition_root = true"
        create = f"CREATE PUBLICATION {identifier(self._name)}{members} WITH ({options})"
        return create, self._note(tables)

    def _alter(self, found: Publication, tables: Mapping[int, TableName]) -> Sequence[str]:
        added = sorted(tables[oid] for oid in tables.keys() - found.members.keys())
        removed = sorted(found.members[oid] for oid in found.members.keys() - tables.keys())
        if not added and not removed and found.noted == frozenset(tables):
            return ()
        alter = f"ALTER PUBLICATION {identifier(self._name)}"
        return (
            *[f"{alter} DROP TABLE {_list(removed)}"] * bool(removed),
            *[f"{alter} ADD TABLE {_list(added)}"] * bool(added),
            self._note(tables),
        )

    def _note(self, tables: Iterable[int]) -> str:
        note = json.dumps({NOTE: self._replication, "tables": sorted(tables)})
        return f"COMMENT ON PUBLICATION {identifier(self._name)} IS {literal(note)}"

    def _check_ours(self, found: Publication) -> None:
        if found.replication != self._replication:
            raise SourceError(
                f"publication {self._name} exists and was not made for this replication",
                hint="choose another replication id, or make one for it and name it in [source]",
            )
        wanted = frozenset(self._publishes.split(", "))
        if found.publishes != wanted or not found.via_root or found.altered or found.all_tables:
            raise SourceError(
                f"publication {self._name} was altered: it must publish {self._publishes} via the"
                " partition root, without row filters and column lists",
                hint="undo that, or penstock cleanup and load again",
            )

    async def _check_members(self, found: Publication) -> None:
        missing = (found.noted or frozenset()) - found.members.keys()
        if not missing:
            return
        rows = await self._sql.fetch("looking for tables", _NAMES, sorted(missing))
        if rows:
            names = [TableName(*row) for row in rows]
            alter = f"ALTER PUBLICATION {identifier(self._name)} ADD TABLE {_list(names)}"
            raise SourceError(
                f"publication {self._name} no longer holds {', '.join(map(str, names))}: their"
                " changes since then were not sent",
                hint=f"{alter}; then penstock reload for each",
            )

    async def _check_given(self, found: Publication, tables: Mapping[int, TableName]) -> None:
        wanted = frozenset(self._publishes.split(", "))
        if not found.publishes >= wanted:
            raise SourceError(
                f"publication {self._name} does not publish {', '.join(wanted - found.publishes)}",
                hint=f"ALTER PUBLICATION {identifier(self._name)} SET"
                f" (publish = '{self._publishes}')",
            )
        if not found.via_root and await self._partitioned(tables):
            raise SourceError(
                f"publication {self._name} does not publish partitioned tables by their root",
                hint=f"ALTER PUBLICATION {identifier(self._name)} SET"
                " (publish_via_partition_root = true)",
            )
        cut = sorted(set(found.altered) & set(tables.values()))
        if cut:
            raise SourceError(
                f"publication {self._name} has a row filter or column list on"
                f" {', '.join(map(str, cut))}: the load copies whole tables",
                hint="take it off, or leave these tables out by [mapping]",
            )
        covered = await self.covers()
        there = await self._sql.fetch("looking for tables", _NAMES, sorted(tables))
        missing = sorted({TableName(*row) for row in there} - covered)
        if missing:
            raise SourceError(
                f"publication {self._name} does not hold {', '.join(map(str, missing))}",
                hint=f"ALTER PUBLICATION {identifier(self._name)} ADD TABLE {_list(missing)}",
            )

    async def _partitioned(self, tables: Iterable[int]) -> bool:
        found = await self._sql.value("looking for partitions", _PARTITIONED, sorted(tables))
        return bool(found)


async def change(sql: Sql, doing: str, statements: Sequence[str]) -> None:
    """Run statements that lock tables, in one transaction and in short tries: together they count
    from one moment of the log.

    Raises:
        SourceConnectionError: also when a table stayed locked, or another process of this
            replication did the same.
        SourceError.
    """
    for attempt in range(1, LOCK_ATTEMPTS + 1):
        try:
            await sql.execute(doing, *statements)
        except SourceConnectionError as error:
            if error.context.get("sqlstate") != "55P03" or attempt == LOCK_ATTEMPTS:
                raise
            await asyncio.sleep(LOCK_PAUSE_SECONDS)
        except SourceError as error:
            if error.context.get("sqlstate") in MADE_MEANWHILE:
                raise SourceConnectionError(f"{doing}: one of them was made meanwhile") from error
            raise
        else:
            return


def _publication(row: dict[str, object]) -> Publication:
    note = _read_note(row["note"])
    members = row["members"]
    assert isinstance(members, list)
    return Publication(
        name=str(row["name"]),
        replication=None if note is None else note[0],
        noted=None if note is None else note[1],
        members={m[0]: TableName(m[1], m[2]) for m in members},
        publishes=frozenset(
            word for word in ("insert", "update", "delete", "truncate") if row[word]
        ),
        via_root=bool(row["via_root"]),
        all_tables=bool(row["all_tables"]),
        altered=tuple(TableName(m[1], m[2]) for m in members if m[3]),
    )


def _read_note(text: object) -> tuple[str, frozenset[int]] | None:
    try:
        note = json.loads(str(text))
        return str(note[NOTE]), frozenset([int(oid) for oid in note["tables"]])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None  # a comment of somebody else's


def _list(tables: Iterable[TableName]) -> str:
    return ", ".join(f"ONLY {qualified(table.schema, table.name)}" for table in tables)


_PUBLICATION: Final = """
SELECT pg_catalog.json_build_object(
  'name', p.pubname, 'all_tables', p.puballtables, 'insert', p.pubinsert, 'update', p.pubupdate,
  'delete', p.pubdelete, 'truncate', p.pubtruncate, 'via_root', p.pubviaroot,
  'note', pg_catalog.obj_description(p.oid, 'pg_publication'),
  'members', coalesce((SELECT pg_catalog.json_agg(pg_catalog.json_build_array(
      c.oid::int8, n.nspname, c.relname,
      pg_catalog.to_jsonb(r) ->> 'prqual' IS NOT NULL
        OR pg_catalog.to_jsonb(r) ->> 'prattrs' IS NOT NULL))
    FROM pg_catalog.pg_publication_rel r
    JOIN pg_catalog.pg_class c ON c.oid = r.prrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE r.prpubid = p.oid), '[]'::json))::text
FROM pg_catalog.pg_publication p WHERE p.pubname = $1::text
"""

_NAMES: Final = """
SELECT n.nspname::text, c.relname::text FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = ANY ($1::int8[]::oid[]) AND c.relkind IN ('r', 'p') ORDER BY 1, 2
"""

_PARTITIONED: Final = (
    "SELECT EXISTS (SELECT FROM pg_catalog.pg_class"
    " WHERE oid = ANY ($1::int8[]::oid[]) AND relkind = 'p')"
)

_COVERED: Final = (
    "SELECT schemaname::text, tablename::text FROM pg_catalog.pg_publication_tables"
    " WHERE pubname = $1::text"
)
