"""The tables that a replication's publications hold: set, checked, and dropped with it.

No table is ever published whose own UPDATE and DELETE would then be refused.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from connectors.postgres.catalog import Catalog, CatalogTable
from connectors.postgres.config import PostgresSourceConfig
from connectors.postgres.publication import EVERYTHING, INSERTS, Publications, change
from connectors.postgres.sql import Sql
from engine.errors import ReplicaIdentityError, SourceError
from engine.model.relation import Relation, ReplicaIdentity, TableName


class PublishedTables:
    """What the publications of one replication hold together."""

    def __init__(self, sql: Sql, catalog: Catalog, config: PostgresSourceConfig) -> None:
        self._sql = sql
        self._catalog = catalog
        self._config = config
        self._wanted: list[dict[int, TableName]] = []

    @property
    def oids(self) -> list[int]:
        """Of the tables that they were made to hold."""
        return sorted({oid for members in self._wanted for oid in members})

    def name_of(self, oid: int) -> TableName | None:
        """Of a table that they were made to hold."""
        return next((members[oid] for members in self._wanted if oid in members), None)

    async def set(self, streamed: Sequence[TableName], insert_only: Sequence[TableName]) -> bool:
        """Make the publications hold these tables; whether anything had to be changed.

        Raises:
            ReplicaIdentityError: a table of `streamed` has no usable one; nothing was changed.
            SourceConnectionError, SourceError.
        """
        if insert_only and not self._config.insert_only:
            raise SourceError(
                "tables were given to be streamed with their inserts only, which is switched off"
            )
        tables = {TableName(t.schema, t.name): t for t in await self._catalog.tables()}
        main, *rest = self._publications()
        _check_identities([tables[name] for name in streamed if name in tables])
        wanted = [_by_oid(tables, streamed)] + [_by_oid(tables, insert_only)] * len(rest)
        statements = [
            text
            for publication, members in zip((main, *rest), wanted, strict=True)
            for text in await publication.changes(members)
        ]
        if statements:
            await change(self._sql, "changing the source's publications", statements)
        self._wanted = wanted
        return bool(statements)

    async def check_left(self) -> None:
        """Check that the publications are as we left them. Raises SourceError."""
        publications = self._publications()
        wanted = self._wanted or [{}] * len(publications)
        for publication, members in zip(publications, wanted, strict=True):
            await publication.check(members)

    async def check(self) -> None:
        """Check that they are as we left them, and that no published table lost its identity.

        The application's own UPDATE fails on such a table for as long as we publish it: it is taken
        out first, and then the stream stops.

        Raises:
            ReplicaIdentityError, SourceConnectionError, SourceError.
        """
        await self.check_left()
        main = self._publications()[0]
        found = await main.find()
        if found is None or found.replication is None or not found.members:
            return
        tables = {table.oid: table for table in await self._catalog.tables(found.members)}
        hurt = [t for t in tables.values() if t.usable_identity is ReplicaIdentity.NOTHING]
        if hurt:
            kept = found.members.keys() - {table.oid for table in hurt}
            statements = await main.changes({oid: found.members[oid] for oid in sorted(kept)})
            await change(self._sql, "taking tables out of the publication", statements)
            _check_identities(hurt)

    async def marked(self, relations: Sequence[Relation]) -> Sequence[Relation]:
        """The relations, each saying whether a publication that the user named holds it."""
        config = self._config
        if not config.streams or not (
            config.publication_given or config.insert_only_publication_given
        ):
            return relations
        covered = [
            await one.covers() if config.given(name) else None
            for name, one in zip(config.made, self._publications(), strict=False)
        ]
        return [_marked(relation, covered) for relation in relations]

    async def drop(self) -> None:
        """Drop the publications that we made. Idempotent."""
        statements = [text for one in self._publications() for text in await one.drop()]
        if statements:
            await change(self._sql, "dropping the publications", statements)

    async def types(self) -> Sequence[int]:
        """OIDs of the types of every published column."""
        names = list(self._config.publications)
        rows = await self._sql.fetch("reading published types", _PUBLISHED_TYPES, names)
        return [row[0] for row in rows]

    def _publications(self) -> list[Publications]:
        config = self._config
        return [
            Publications(
                self._sql,
                name,
                config.id,
                publishes,
                given=config.given(name),
                slot_given=config.slot_given,
            )
            for name, publishes in zip(config.made, (EVERYTHING, INSERTS), strict=False)
        ]


def _by_oid(
    tables: dict[TableName, CatalogTable], names: Sequence[TableName]
) -> dict[int, TableName]:
    """Those that are still there; of a table that is gone there is nothing to stream."""
    return {tables[name].oid: name for name in names if name in tables}


def _marked(relation: Relation, covered: Sequence[set[TableName] | None]) -> Relation:
    """`covered`: what each publication holds; None for one of ours, which takes what it is given.
    The last is for tables without identity."""
    identified = relation.replica_identity is not ReplicaIdentity.NOTHING
    held = covered[0 if identified else -1]
    return replace(relation, published=held is None or relation.table in held)


def _check_identities(tables: Sequence[CatalogTable]) -> None:
    """Refuse to publish updates of a table whose own UPDATE would then be refused."""
    for table in tables:
        if table.usable_identity is ReplicaIdentity.NOTHING:
            name = f"{table.schema}.{table.name}"
            raise ReplicaIdentityError(
                f"{name} has no usable replica identity: publishing its updates would make the"
                " application's own UPDATE and DELETE fail",
                hint=table.identity_remedy,
            )


_PUBLISHED_TYPES: Final = """
SELECT DISTINCT a.atttypid::int8
FROM pg_catalog.pg_publication_tables p
JOIN pg_catalog.pg_namespace n ON n.nspname = p.schemaname
JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = p.tablename
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid
WHERE p.pubname = ANY ($1::text[]) AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
"""
