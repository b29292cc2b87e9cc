"""The size a replication should begin with: what its source is asked for, before a row moves."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from engine.capacity.predict import Prediction, TableSize, predict
from engine.config.replication import ReplicationConfig
from engine.contracts import SnapshotSource, Source
from engine.errors import SourceConnectionError, SourceError
from engine.machine import Clock
from engine.model.position import Position
from engine.model.relation import Column, Relation
from engine.model.table import TableDefinition

UNLIMITED: Final = frozenset(
    {"text", "bytea", "json", "jsonb", "xml", "tsvector", "hstore", "geometry", "geography"}
    | {f"{size}{kind}" for size in ("medium", "long") for kind in ("text", "blob")}
    | {"blob", "character varying", "varchar", "bit varying", "numeric"}
)
"""Names of types without a limit of their own; one written behind the name limits them."""


BEGIN_SECONDS: Final = 2.0
"""How long a start waits for what it is reckoned by. A source with very many tables may take longer
to tell of them; then a replication begins with its smallest size and grows."""

SHORTEST_SECONDS: Final = 0.25
"""Between two looks at the end of a log, while other things are done: what is written in less time
than that says too little."""

Begin: TypeAlias = Callable[[int, str], None]
"""Takes a size, and how it was reckoned."""


class Growth:
    """How fast a source's log grows: two looks at its end, between which other things are done."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._before: Position | None = None
        self._looked_at = 0.0

    async def look(self, source: Source) -> None:
        """The first look. Raises SourceError, SourceConnectionError."""
        self._before = await source.head()
        self._looked_at = self._clock.monotonic()

    async def rate(self, source: Source) -> float | None:
        """Bytes a second since then, at the second look, which waits until there is something to
        say. None without a first one, or where positions do not tell how far they are apart.

        Raises:
            SourceError, SourceConnectionError.
        """
        if self._before is None:
            return None
        passed = self._clock.monotonic() - self._looked_at
        if passed < SHORTEST_SECONDS:
            await asyncio.sleep(SHORTEST_SECONDS - passed)
        grown = self._before.distance(await source.head())
        seconds = self._clock.monotonic() - self._looked_at
        return None if grown is None else max(0.0, grown / seconds)


async def first_size(
    config: ReplicationConfig, source: Source, tables: Sequence[Relation], log: Growth
) -> Prediction:
    """Predict it from the catalog and from how fast the log grows. What a source does not tell is
    left out.

    Raises:
        SourceError, SourceConnectionError.
    """
    return await _predicted(config, source, tables, await log.rate(source))


class FirstStart:
    """The same for a start, which does not wait for it: between two looks at the log it does what
    it has to do in any case. `begin` is None where a size was decided before."""

    def __init__(self, config: ReplicationConfig, clock: Clock, begin: Begin | None) -> None:
        self._config = config
        self._begin = begin
        self._log = Growth(clock)

    async def look(self, source: Source) -> None:
        """The first look. Raises SourceConnectionError."""
        if self._begin is None or not self._config.streams:
            return
        try:
            async with asyncio.timeout(BEGIN_SECONDS):
                await self._log.look(source)
        except (SourceError, TimeoutError) as error:
            self._without(error)

    async def settle(self, source: Source, tables: Sequence[Relation]) -> None:
        """The second one; the size is decided when this returns. A source that does not tell has
        the smallest. Raises SourceConnectionError: the next attempt asks again."""
        if self._begin is None:
            return
        try:
            async with asyncio.timeout(BEGIN_SECONDS):
                found = await first_size(self._config, source, tables, self._log)
        except (SourceError, TimeoutError) as error:
            self._without(error)
        else:
            self._decide(found.units, "; ".join(found.arithmetic))

    def _without(self, error: BaseException) -> None:
        if isinstance(error, SourceConnectionError):
            raise error
        told = error.message if isinstance(error, SourceError) else "it takes too long to tell"
        units = self._config.capacity.units_min
        self._decide(units, f"the source does not tell what speaks for another size: {told}")

    def _decide(self, units: int, reason: str) -> None:
        if self._begin is not None:
            self._begin(units, reason)
        self._begin = None


async def _predicted(
    config: ReplicationConfig, source: Source, tables: Sequence[Relation], rate: float | None
) -> Prediction:
    definitions: Sequence[TableDefinition] = ()
    if isinstance(source, SnapshotSource):
        definitions = await source.definitions([relation.table for relation in tables])
    sizes = [_size(definition) for definition in definitions]
    found = [_with(config, units, sizes, rate) for units in config.capacity.ladder]
    fitting = zip(config.capacity.ladder, found, strict=True)
    return next((each for units, each in fitting if each.units <= units), found[-1])


def _with(
    config: ReplicationConfig, units: int, sizes: Sequence[TableSize], rate: float | None
) -> Prediction:
    """What is needed with the copiers that a size would have."""
    copiers = min(config.budget(units).copiers, len(sizes)) if config.loads else 0
    return predict(config.capacity, sizes, copiers=copiers, log_bytes_a_second=rate)


def _size(definition: TableDefinition) -> TableSize:
    return TableSize(
        table=str(definition.table),
        rows=definition.rows_estimated,
        bytes=definition.bytes_estimated,
        lobs=sum(_is_unlimited(column) for column in definition.relation.columns),
    )


def _is_unlimited(column: Column) -> bool:
    return (column.native or column.type.name).lower() in UNLIMITED
