"""Looks now and then whether a single partition was emptied, of which the log tells nothing.

TRUNCATE of a partition is in no publication of the partitioned table and fires no event trigger. It
gives the partition a new file, and so does what writes every row anew. The two are told apart by a
row that was there before: TRUNCATE leaves none, VACUUM FULL and CLUSTER keep them as they are.
Where no such row is found (ALTER TABLE makes all anew) the rows are taken to be gone.

What was found is told as the event triggers tell of schema changes: by a message in the source's
log, behind the change. From there on it cannot be lost, and who reads the log knows by then whether
the transaction was a TRUNCATE of the whole table, which the log does mention.

Between two looks nothing is known, so the source is told no position beyond the last look. After a
restart the slot's `catalog_xmin` then is older than any change that no look has seen.
"""

import json
from dataclasses import dataclass
from typing import Final

from connectors.postgres.ddl_capture import INSUFFICIENT_PRIVILEGE
from connectors.postgres.ddl_capture_sql import END_PREFIX, VERSION
from connectors.postgres.lsn import parse_lsn
from connectors.postgres.slot import Slot
from connectors.postgres.sql import Sql
from engine.errors import SourceConnectionError, SourceError

SURVIVORS_MAX: Final = 10_000
"""Rows of a partition with a new file that are read in search of an old one. VACUUM FULL keeps
their order, so an old row is among the first; more would burden the source."""


@dataclass(frozen=True, slots=True)
class _Partition:
    """A partition as it is now. `file`: of its rows; `touched`: its catalog row is younger than the
    look before; `changed_by`: the transaction that made it, a 32-bit id."""

    root: int
    schema: str
    name: str
    oid: int
    qualified: str
    file: int
    touched: bool
    changed_by: int


class PartitionWatch:
    """One for a replication; remembers the files that it has seen."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql
        self._files: dict[int, int] = {}
        self._horizon: int | None = None
        self.reached: int | None = None
        """End of the log that the source may be told of; None: any, nothing is watched."""

    async def begin(self, roots: list[int], token: bytes | None, slot: Slot) -> None:
        """Look at the beginning of a stream. Raises as `look`."""
        if self._horizon is None:
            self._horizon = slot.catalog_xmin
        await self.look(roots, token)

    async def look(self, roots: list[int], token: bytes | None) -> None:
        """Tell of every one of these tables that has lost a partition's rows since the last look.
        Without a token nothing can be told, and nothing is watched.

        Raises:
            SourceConnectionError.
            SourceError: the role may not write logical messages.
        """
        if token is None or self._horizon is None:
            self.reached = None
            return
        now = (await self._sql.fetch("looking at the log", _NOW))[0]
        partitions = await self._partitions(roots)
        if not partitions:
            self._files, self._horizon, self.reached = {}, now["horizon"], None
            return
        emptied = [one for one in partitions if await self._emptied(one)]
        for root in sorted({one.root for one in emptied}):
            await self._tell(token, [one for one in emptied if one.root == root])
        self._files = {one.oid: one.file for one in partitions}
        self._horizon = now["horizon"]
        self.reached = parse_lsn(now["head"])

    async def _partitions(self, roots: list[int]) -> list[_Partition]:
        rows = await self._sql.fetch("looking at partitions", _PARTITIONS, roots, self._horizon)
        return [_Partition(*row) for row in rows]

    async def _emptied(self, one: _Partition) -> bool:
        seen = self._files.get(one.oid)
        # A new table's file has the number of the table.
        renewed = one.touched and one.file != one.oid if seen is None else one.file != seen
        return renewed and not await self._survived(one)

    async def _survived(self, one: _Partition) -> bool:
        """Whether a row is there that was there at the look before."""
        query = _SURVIVORS.format(table=one.qualified, limit=SURVIVORS_MAX)
        try:
            return bool(await self._sql.value("looking for older rows", query, self._horizon))
        except SourceConnectionError:
            raise
        except SourceError as error:
            if error.context.get("sqlstate") == INSUFFICIENT_PRIVILEGE:
                return False
            raise

    async def _tell(self, token: bytes, emptied: list[_Partition]) -> None:
        first = emptied[0]
        told = {
            "v": VERSION,
            "event": "emptied",
            "oid": first.root,
            "schema": first.schema,
            "name": first.name,
            "by": sorted({one.changed_by for one in emptied}),
        }
        content = token.decode() + json.dumps(told)
        await self._sql.fetch("telling of a truncated partition", _TELL, content)


_NOW: Final = """
SELECT pg_catalog.pg_current_wal_lsn()::text AS head,
  pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::text::int8 AS horizon
"""
"""Comes before the partitions are read: they then show everything that ended before `head`."""

_AGE: Final = "pg_catalog.age(({} & 4294967295)::text::xid)"

_PARTITIONS: Final = f"""
SELECT c.oid::int8, n.nspname::text, c.relname::text, l.oid::int8,
  pg_catalog.format('%I.%I', s.nspname, l.relname), l.relfilenode::int8,
  pg_catalog.age(l.xmin) <= {_AGE.format("$2::int8")}, l.xmin::text::int8
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL pg_catalog.pg_partition_tree(c.oid) t
JOIN pg_catalog.pg_class l ON l.oid = t.relid
JOIN pg_catalog.pg_namespace s ON s.oid = l.relnamespace
WHERE c.oid = ANY ($1::int8[]::oid[]) AND c.relkind = 'p' AND t.isleaf AND l.relkind = 'r'
ORDER BY l.oid
"""

_SURVIVORS: Final = f"""
SELECT EXISTS (SELECT FROM (SELECT r.xmin AS made FROM ONLY {{table}} r LIMIT {{limit}}) f
  WHERE pg_catalog.age(f.made) > {_AGE.format("$1::int8")})
"""

_TELL: Final = f"""
SELECT
  pg_catalog.pg_logical_emit_message(true, 'penstock', pg_catalog.convert_to($1::text, 'UTF8')),
  pg_catalog.pg_logical_emit_message(true, '{END_PREFIX}', ''::text)
"""
