"""`penstock compare`: per table row count and content hash on both sides. Writes nothing."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

import engine.validate.compare as validation
from engine.config.replication import ReplicationConfig
from engine.contracts import Comparable
from engine.control.cli.arguments import File, Json, load
from engine.control.cli.ending import as_comparison_failure, end_with, say_error
from engine.errors import ConfigError, PenstockError
from engine.model.relation import TableName
from engine.plan.tables import select
from engine.registry import comparable, source
from engine.seams import SystemClock, SystemRandom
from engine.validate.report import Report


def compare(file: File, as_json: Json = False) -> None:
    """Compare every carried table: row counts and content hashes; differing keys are listed.

    Writes nothing. Writers may run: a key that differs is read again until the target has applied
    what the source had when it was first read. Exit code 1 when there are differences, 3 when
    something could not be compared.
    """
    end_with(lambda: _compare(load(file), as_json=as_json))


def _compare(config: ReplicationConfig, *, as_json: bool) -> int:
    try:
        with _progress() as shown:
            report = asyncio.run(_report(config, shown))
    except ConfigError:
        raise
    except PenstockError as error:
        outcome = as_comparison_failure(error)
        say_error(outcome)
        return outcome.exit
    typer.echo(report.json() if as_json else report.text())
    return report.exit_code


async def _report(
    config: ReplicationConfig, shown: "Callable[[validation.Progress], None]"
) -> Report:
    tables = await _tables(config)
    ends = comparable(config, "source"), comparable(config, "target")
    async with _opened(ends[0]), _opened(ends[1]):
        return await validation.compare(
            [validation.TablePair(table, table) for table in tables],
            *ends,
            replication=config.id,
            clock=SystemClock(),
            progress=shown,
        )


async def _tables(config: ReplicationConfig) -> list[TableName]:
    """The carried tables, by name."""
    end = source(config.source.engine)(config, SystemClock(), SystemRandom())
    try:
        await end.open()
        relations = await end.relations()
    finally:
        await end.close()
    policy = config.source.without_identity if config.streams else None
    selection = select(relations, config.mapping, without_identity=policy)
    if not selection.tables:
        raise ConfigError("mapping", "selects no table that can be carried")
    return sorted(relation.table for relation in selection.tables)


@asynccontextmanager
async def _opened(end: Comparable) -> AsyncIterator[None]:
    try:
        await end.open()
        yield
    finally:
        await end.close()


def _progress() -> "AbstractContextManager[Callable[[validation.Progress], None]]":
    return _Bars() if sys.stderr.isatty() else nullcontext(lambda _: None)


class _Bars(AbstractContextManager["Callable[[validation.Progress], None]"]):
    """A bar for the table that is being compared, on standard error."""

    def __init__(self) -> None:
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("rows"),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bars.add_task("comparing", total=None)

    def __enter__(self) -> "Callable[[validation.Progress], None]":
        self._bars.start()
        return self._show

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def _show(self, progress: validation.Progress) -> None:
        self._bars.update(
            self._task,
            description=escape(str(progress.table)),
            completed=progress.rows,
            total=max(progress.rows_estimated, progress.rows) or None,
        )
