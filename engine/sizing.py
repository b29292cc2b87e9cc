"""The size a replication should begin with: what its source is asked for, before a row moves."""

import asyncio
from collections.abc import Sequence
from typing import Final

from engine.capacity.predict import Prediction, TableSize, predict
from engine.config.replication import ReplicationConfig
from engine.contracts import SnapshotSource, Source
from engine.model.relation import Column, Relation
from engine.model.table import TableDefinition

LOOK_SECONDS: Final = 1.0
"""Between two looks at the end of the source's log."""

UNLIMITED: Final = frozenset(
    {"text", "bytea", "json", "jsonb", "xml", "tsvector", "hstore", "geometry", "geography"}
    | {f"{size}{kind}" for size in ("medium", "long") for kind in ("text", "blob")}
    | {"blob", "character varying", "varchar", "bit varying", "numeric"}
)
"""Names of types without a limit of their own; one written behind the name limits them."""


async def first_size(
    config: ReplicationConfig, source: Source, tables: Sequence[Relation]
) -> Prediction:
    """Predict it from the catalog and from how fast the log grows now; takes a second where changes
    are carried. What a source does not tell is left out.

    Raises:
        SourceError, SourceConnectionError.
    """
    definitions: Sequence[TableDefinition] = ()
    if isinstance(source, SnapshotSource):
        definitions = await source.definitions([relation.table for relation in tables])
    return predict(
        config.capacity,
        [_size(definition) for definition in definitions],
        copiers=min(config.load.parallel_tables, len(definitions)) if config.loads else 0,
        log_bytes_a_second=await _log_rate(source) if config.streams else None,
    )


async def _log_rate(source: Source) -> float | None:
    before = await source.head()
    await asyncio.sleep(LOOK_SECONDS)
    grown = before.distance(await source.head())
    return None if grown is None else grown / LOOK_SECONDS


def _size(definition: TableDefinition) -> TableSize:
    return TableSize(
        table=str(definition.table),
        rows=definition.rows_estimated,
        bytes=definition.bytes_estimated,
        lobs=sum(_is_unlimited(column) for column in definition.relation.columns),
    )


def _is_unlimited(column: Column) -> bool:
    return (column.native or column.type.name).lower() in UNLIMITED
