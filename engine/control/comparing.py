"""The tables of a replication, compared on both sides; what `penstock compare` calls."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

import engine.registry as connectors
from engine.comparable import Comparable
from engine.config.problems import nearest
from engine.config.replication import ReplicationConfig
from engine.contracts import ReadSource, Source
from engine.errors import ComparisonError, ConfigError, PenstockError, ReaderUnknownError
from engine.machine import Clock, Random
from engine.model.relation import TableName
from engine.plan.tables import select
from engine.validate.compare import Limits, Progress, TablePair, compare
from engine.validate.report import Report

NOT_RUNNING: Final = ""
"""No replication has this id, so no position is stored under it: the target is taken as it is."""


async def compare_replication(
    config: ReplicationConfig,
    *,
    clock: Clock,
    random: Random,
    limits: Limits | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
    only: Sequence[TableName] = (),
    idle: Callable[[], None] = lambda: None,
) -> Report:
    """Compare every table that the replication carries, or these only. Writes nothing.

    While a process reads the source's log for it, a key that differs is judged only when the target
    has caught up with it. When none does, nothing would ever catch up: the target is taken as it
    is, and `idle` is called.

    Raises:
        ComparisonError: the comparison could not be made.
        ConfigError: the file names a connector that is not there, or `only` a table.
    """
    tables, running = await _look(config, clock, random)
    if not tables:
        raise ComparisonError(
            "the mapping selects no table that can be carried, so nothing was compared",
            hint="`penstock check FILE` names each table and why it is left out",
        )
    unknown = [str(name) for name in only if name not in tables]
    if unknown:
        suggestion = nearest(unknown[0], [str(name) for name in tables])
        raise ConfigError(
            "--table",
            f"this replication carries no table {', '.join(unknown)}",
            hint=f"did you mean {suggestion}?" if suggestion else "",
        )
    if not running:
        idle()
    async with _opened(config, "source") as source, _opened(config, "target") as target:
        return await compare(
            [TablePair(name, name) for name in only or tables],
            source,
            target,
            replication=config.id if running else NOT_RUNNING,
            clock=clock,
            limits=limits,
            progress=progress,
        )


async def _look(
    config: ReplicationConfig, clock: Clock, random: Random
) -> tuple[Sequence[TableName], bool]:
    """The carried tables, and whether a process reads the source's log for this replication."""
    source = connectors.source(config.source.engine)(config, clock, random)
    try:
        await source.open()
        relations = await source.relations()
        running = await _is_read(source)
    except PenstockError as error:
        raise ComparisonError(f"source: {error.message}", hint=error.hint) from error
    finally:
        await source.close()
    identity = config.source.without_identity if config.streams else None
    chosen = select(relations, config.mapping, without_identity=identity).tables
    return [relation.table for relation in chosen], running


async def _is_read(source: Source) -> bool:
    """Whether a replication may run; where that cannot be told, it may."""
    if not isinstance(source, ReadSource):
        return True
    try:
        return await source.reader() is not None
    except ReaderUnknownError:
        return True


@asynccontextmanager
async def _opened(config: ReplicationConfig, side: connectors.Side) -> AsyncIterator[Comparable]:
    comparable = connectors.comparable(config, side)
    try:
        await comparable.open()
        yield comparable
    finally:
        await comparable.close()
