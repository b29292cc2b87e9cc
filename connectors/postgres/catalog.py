"""Tables as the catalog has them now, and Relation messages completed from it.

The log speaks of "then", the catalog of "now": only columns whose name and type agree are completed
from it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import asyncpg

from connectors._sql.quoting import qualified
from connectors.postgres.relation_message import IDENTITIES, MessageColumn, RelationMessage
from connectors.postgres.sql import Sql
from connectors.postgres.type_facts import TypeFacts, type_query
from engine.model.relation import Column, ColumnType, Format, Relation, ReplicaIdentity

WIRE: Final = "postgres"
"""`Relation.wire` of everything that comes from here."""

WIRE_TEXT: Final = "postgres-text"
"""The same for a target that takes no binary values."""

CONTROL_SCHEMA: Final = "penstock"
"""Our own schema on a target, never part of a selection: a target may be a source too."""

_KEYED: Final = frozenset({ReplicaIdentity.DEFAULT, ReplicaIdentity.INDEX})


@dataclass(frozen=True, slots=True)
class CatalogColumn:
    name: str
    type_oid: int
    modifier: int
    nullable: bool
    number: int


@dataclass(frozen=True, slots=True)
class CatalogTable:
    """A table now. `identity_key` are the columns of its replica identity index, `primary_key`
    those of the primary key, in index order. `unsent`: generated columns that the identity needs
    and the log does not have; `unsent_in_full`: those that REPLICA IDENTITY FULL would need.
    `leaves_agree`: every partition logs old rows in a way that is good enough for the root's
    identity."""

    oid: int
    schema: str
    name: str
    partitioned: bool
    replica_identity: ReplicaIdentity
    columns: tuple[CatalogColumn, ...]
    primary_key: tuple[str, ...]
    identity_key: tuple[str, ...]
    unsent: tuple[str, ...]
    unsent_in_full: tuple[str, ...]
    leaves_agree: bool

    @property
    def usable_identity(self) -> ReplicaIdentity:
        """What its UPDATE and DELETE can really be told by; NOTHING when they cannot."""
        if self.unsent or not self.leaves_agree:
            return ReplicaIdentity.NOTHING
        if self.replica_identity in _KEYED and not self.identity_key:
            return ReplicaIdentity.NOTHING
        return self.replica_identity

    @property
    def identity_remedy(self) -> str:
        """What gives it a usable one; for a table whose `usable_identity` is NOTHING."""
        table = qualified(self.schema, self.name)
        ways = [f"ALTER TABLE {table} ADD PRIMARY KEY (...)"]
        if self.unsent or (self.unsent_in_full and self.primary_key):
            ways[0] = (
                f"CREATE UNIQUE INDEX ... ON {table} (columns that are NOT NULL and not generated),"
                f" then ALTER TABLE {table} REPLICA IDENTITY USING INDEX ..."
            )
        if not self.unsent_in_full:
            ways.append(f"ALTER TABLE {table} REPLICA IDENTITY FULL")
        return ", or ".join(ways) + " (on every partition too)" * self.partitioned

    @property
    def message(self) -> RelationMessage:
        """The Relation message that the stream would bring for it now."""
        identity = self.usable_identity
        sent = set(self.identity_key) if identity in _KEYED else set[str]()
        full = identity is ReplicaIdentity.FULL
        columns = [
            MessageColumn(c.name, c.type_oid, c.modifier, full or c.name in sent)
            for c in self.columns
        ]
        return RelationMessage(self.oid, self.schema, self.name, identity, tuple(columns))


class Catalog:
    """Reads tables and types. `text_mode` is asked for each relation: all columns in text form."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql
        self.text_mode = False

    async def tables(self, oids: Iterable[int] | None = None) -> Sequence[CatalogTable]:
        """User tables sorted by name: all that can be streamed, or these only."""
        wanted = None if oids is None else list(oids)
        rows = await self._sql.fetch("reading the catalog", _TABLES, wanted, CONTROL_SCHEMA)
        return [_table(row) for row in rows]

    async def relations(self) -> Sequence[Relation]:
        """A relation for every user table now."""
        tables = await self.tables()
        facts = await self.types(c.type_oid for table in tables for c in table.columns)
        names = await self._type_names(c for table in tables for c in table.columns)
        return [self._relation(table.message, table, facts, names) for table in tables]

    async def describe(
        self, message: RelationMessage, *, numbered: bool = True
    ) -> tuple[Relation, TypeFacts]:
        """The relation that a message describes, completed, and its types. `numbered`: with the
        attribute numbers that stand now at the places of its columns."""
        tables = await self.tables([message.oid])
        facts = await self.types(column.type_oid for column in message.columns)
        names = await self._type_names(message.columns)
        table = tables[0] if tables else None
        relation = self._relation(message, table, facts, names)
        return (relation if numbered else relation.unnumbered), facts

    async def types(self, oids: Iterable[int]) -> TypeFacts:
        """These types with everything they are made of."""
        facts = TypeFacts(oids)
        while missing := facts.missing():
            rows = await self._sql.fetch("reading types", type_query(missing))
            facts.add(row[0] for row in rows)
        return facts

    async def _type_names(
        self, columns: Iterable[CatalogColumn | MessageColumn]
    ) -> Mapping[tuple[int, int], str]:
        pairs = sorted({(column.type_oid, column.modifier) for column in columns})
        oids, modifiers = [oid for oid, _ in pairs], [modifier for _, modifier in pairs]
        rows = await self._sql.fetch("reading type names", _NAMES, oids, modifiers)
        return {pair: row[0] for pair, row in zip(pairs, rows, strict=True)}

    def _relation(
        self,
        message: RelationMessage,
        table: CatalogTable | None,
        facts: TypeFacts,
        names: Mapping[tuple[int, int], str],
    ) -> Relation:
        message = _usable(message, table)
        known = () if table is None else table.columns
        nullable = {(column.name, column.type_oid): column.nullable for column in known}
        columns = [
            Column(
                column.name,
                ColumnType(
                    names[column.type_oid, column.modifier],
                    column.type_oid,
                    column.modifier,
                    facts.definition(column.type_oid),
                ),
                self._format(facts, column.type_oid),
                nullable.get((column.name, column.type_oid), True),
                column.identity,
                number,
            )
            for column, number in zip(message.columns, _numbers(message, table), strict=True)
        ]
        return Relation(
            message.oid, message.schema, message.name, tuple(columns), _key(message, table),
            message.replica_identity, WIRE,
        )  # fmt: skip

    def _format(self, facts: TypeFacts, oid: int) -> Format:
        return Format.TEXT if self.text_mode or not facts.has_send(oid) else Format.BINARY


def _numbers(message: RelationMessage, table: CatalogTable | None) -> Sequence[int]:
    """The attribute numbers that stand now at the places of the columns then; both are in the order
    of their numbers. 0 when their counts differ. Whoever reads them must judge what they prove."""
    if table is None or len(table.columns) != len(message.columns):
        return [0] * len(message.columns)
    return [column.number for column in table.columns]


def _usable(message: RelationMessage, table: CatalogTable | None) -> RelationMessage:
    """The message without an identity that says more than the rows will hold."""
    keyed = any(column.identity for column in message.columns)
    agrees = table is None or (table.leaves_agree and not table.unsent)
    if agrees and (keyed or message.replica_identity is ReplicaIdentity.FULL):
        return message
    columns = tuple(MessageColumn(c.name, c.type_oid, c.modifier, False) for c in message.columns)
    nothing = ReplicaIdentity.NOTHING
    return RelationMessage(message.oid, message.schema, message.name, nothing, columns)


def _key(message: RelationMessage, table: CatalogTable | None) -> tuple[int, ...]:
    """Column indexes of the key, in the order of its index where the catalog still has it."""
    places = {column.name: i for i, column in enumerate(message.columns)}
    if message.replica_identity is ReplicaIdentity.FULL:
        names = table.primary_key if table is not None else ()
        return tuple(places[name] for name in names) if places.keys() >= set(names) else ()
    sent = {column.name for column in message.columns if column.identity}
    if table is not None and set(table.identity_key) == sent:
        return tuple(places[name] for name in table.identity_key)
    return tuple(sorted(places[name] for name in sent))


def _table(row: asyncpg.Record) -> CatalogTable:
    return CatalogTable(
        oid=row["oid"],
        schema=row["schema"],
        name=row["name"],
        partitioned=row["partitioned"],
        replica_identity=IDENTITIES[row["identity"]],
        columns=tuple(
            CatalogColumn(*values)
            for values in zip(
                row["names"],
                row["types"],
                row["modifiers"],
                row["nullables"],
                row["numbers"],
                strict=True,
            )
        ),
        primary_key=tuple(row["primary_key"] or ()),
        identity_key=tuple(row["identity_key"] or ()),
        unsent=tuple(row["unsent"] or ()),
        unsent_in_full=tuple(row["unsent_in_full"] or ()),
        leaves_agree=row["leaves_agree"],
    )


_INDEX_COLUMNS: Final = """
  SELECT array_agg(a.attname::text ORDER BY k.place)
  FROM pg_catalog.pg_index i
  CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, place)
  JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
  WHERE i.indrelid = {table} AND i.indisvalid AND k.place <= i.indnkeyatts AND {which}"""

_PRIMARY: Final = "i.indisprimary"
_IDENTITY: Final = (
    "i.indimmediate AND CASE {letter} WHEN 'd' THEN i.indisprimary"
    " WHEN 'i' THEN i.indisreplident ELSE false END"
)
_ROOT_KEY: Final = _INDEX_COLUMNS.format(
    table="c.oid", which=_IDENTITY.format(letter="c.relreplident")
)
_LEAF_KEY: Final = _INDEX_COLUMNS.format(
    table="l.oid", which=_IDENTITY.format(letter="l.relreplident")
)

_UNSENT: Final = """
  SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_catalog.pg_attribute a
  WHERE a.attrelid = {table} AND NOT a.attisdropped AND a.attgenerated <> ''
    AND CASE {letter}
      WHEN 'f' THEN pg_catalog.current_setting('server_version_num')::int4 >= 180000
      ELSE a.attname = ANY (({key})::text[]) END"""
"""Generated columns that stand in the identity. The log has none of their values; from 18 on the
server itself refuses UPDATE and DELETE of such a table once it is published, and counts every
generated column into REPLICA IDENTITY FULL."""

_ROOT_UNSENT: Final = _UNSENT.format(table="c.oid", letter="c.relreplident", key=_ROOT_KEY)
_UNSENT_IN_FULL: Final = _UNSENT.format(table="c.oid", letter="'f'", key=_ROOT_KEY)
_LEAF_UNSENT: Final = _UNSENT.format(table="l.oid", letter="l.relreplident", key=_LEAF_KEY)

WITHOUT_LOG: Final = """
  FROM pg_catalog.pg_partition_tree(c.oid) p
  JOIN pg_catalog.pg_class l ON l.oid = p.relid
  WHERE p.isleaf AND (l.relpersistence <> 'p' OR l.relkind = 'f')"""
"""Partitions `l` of `c` whose changes are in no log: unlogged ones, and those on other servers.
Without them the partitioned table would not be whole."""

_TABLES: Final = f"""
SELECT c.oid::int8 AS oid, n.nspname::text AS schema, c.relname::text AS name,
  c.relkind = 'p' AS partitioned, c.relreplident::text AS identity,
  t.names, t.types, t.modifiers, t.nullables, t.numbers,
  ({_INDEX_COLUMNS.format(table="c.oid", which=_PRIMARY)}) AS primary_key,
  ({_ROOT_KEY}) AS identity_key,
  ({_ROOT_UNSENT}) AS unsent, ({_UNSENT_IN_FULL}) AS unsent_in_full,
  c.relkind <> 'p' OR NOT EXISTS (
    SELECT FROM pg_catalog.pg_partition_tree(c.oid) p
    JOIN pg_catalog.pg_class l ON l.oid = p.relid
    WHERE p.isleaf AND (({_LEAF_UNSENT}) IS NOT NULL OR l.relreplident <> 'f'
      AND (c.relreplident = 'f' OR NOT coalesce(({_LEAF_KEY}) @> ({_ROOT_KEY}), false)))
  ) AS leaves_agree
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (
  SELECT coalesce(array_agg(a.attname::text ORDER BY a.attnum), '{{}}') AS names,
    coalesce(array_agg(a.atttypid::int8 ORDER BY a.attnum), '{{}}') AS types,
    coalesce(array_agg(a.atttypmod ORDER BY a.attnum), '{{}}') AS modifiers,
    coalesce(array_agg(NOT a.attnotnull ORDER BY a.attnum), '{{}}') AS nullables,
    coalesce(array_agg(a.attnum::int4 ORDER BY a.attnum), '{{}}') AS numbers
  FROM pg_catalog.pg_attribute a
  WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
) t
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence = 'p'
  AND (c.relkind <> 'p' OR NOT EXISTS (SELECT {WITHOUT_LOG}))
  AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname NOT IN ('information_schema', $2::text)
  AND ($1::int8[] IS NULL OR c.oid = ANY ($1::int8[]::oid[]))
ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C"
"""

_NAMES: Final = """
SELECT coalesce(pg_catalog.format_type(w.oid::oid, w.modifier), '???')
FROM unnest($1::int8[], $2::int4[]) WITH ORDINALITY AS w(oid, modifier, place)
ORDER BY w.place
"""
