"""`penstock compare`: per table row count and content hash on both sides. Writes nothing."""

import asyncio
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Annotated, TypeAlias

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bars

from engine.config.replication import ReplicationConfig
from engine.control.cli.arguments import File, Json, load, parse_table
from engine.control.cli.ending import end_with, say_warning
from engine.control.comparing import compare_replication
from engine.model.relation import TableName
from engine.seams import SystemClock, SystemRandom
from engine.validate.compare import Progress

Only: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--table", metavar="TABLE", help="Compare this table only; may be repeated."),
]

Show: TypeAlias = Callable[[Progress], None]


def compare(file: File, table: Only = None, as_json: Json = False) -> None:
    """Compare every carried table: row counts and content hashes; differing keys are listed.

    Writes nothing. Writers may run: a key that differs is read again until the target has applied
    what the source had when it was first read; when nothing runs, the target is taken as it is.
    Exit code 1 when there are differences, 3 when something could not be compared.
    """
    end_with(lambda: _compare(load(file), [parse_table(t) for t in table or ()], as_json=as_json))


def _compare(config: ReplicationConfig, only: Sequence[TableName], *, as_json: bool) -> int:
    with _progress() as show:
        report = asyncio.run(
            compare_replication(
                config,
                clock=SystemClock(),
                random=SystemRandom(),
                progress=show,
                only=only,
                idle=_say_idle,
            )
        )
    typer.echo(report.json() if as_json else report.text())
    return report.exit_code


def _say_idle() -> None:
    say_warning("no process runs this replication: what it has yet to apply counts as a difference")


def _progress() -> AbstractContextManager[Show]:
    return _TableBar() if sys.stderr.isatty() else nullcontext(lambda _: None)


class _TableBar(AbstractContextManager[Show]):
    """A bar for the table that is being compared, on standard error."""

    def __init__(self) -> None:
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("rows"),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bars.add_task("comparing", total=None)

    def __enter__(self) -> Show:
        self._bars.start()
        return self._show

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def _show(self, progress: Progress) -> None:
        self._bars.update(
            self._task,
            description=escape(str(progress.table)),
            completed=progress.rows,
            total=max(progress.rows_estimated, progress.rows) or None,
        )
