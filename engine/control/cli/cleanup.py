"""`penstock cleanup`: drops what a replication made on the source, and its control rows."""

import asyncio
import sys
from collections.abc import Sequence
from typing import Annotated, TypeAlias

import typer

from engine.abilities import MakingSource
from engine.config.replication import ReplicationConfig
from engine.contracts import Source
from engine.control.cleaning import ControlRows, clean
from engine.control.cli.arguments import File, load
from engine.control.cli.ending import end_with
from engine.errors import ConfigError
from engine.registry import connect
from engine.seams import SystemClock, SystemRandom

Yes: TypeAlias = Annotated[bool, typer.Option("--yes", "-y", metavar="", help="Do not ask.")]

DECLINED = 1


def cleanup(file: File, yes: Yes = False) -> None:
    """Drop what the replication made: slot and publications on the source, control rows in the
    target.

    Copied tables and their rows stay. Slot and publications that were named in the file stay too.
    Lists what goes and asks, unless --yes is given. Afterwards `penstock run` begins anew.
    """
    end_with(lambda: _cleanup(load(file), yes=yes))


def _cleanup(config: ReplicationConfig, *, yes: bool) -> int:
    source, target = connect(config, SystemClock(), SystemRandom())

    def agree(rows: ControlRows) -> bool:
        return _agree(what_goes(config, source, rows), yes=yes)

    agreed = asyncio.run(clean(config, source, target, agree=agree))
    typer.echo("done" if agreed else "nothing was dropped")
    return 0 if agreed else DECLINED


def _agree(lines: Sequence[str], *, yes: bool) -> bool:
    for line in lines:
        typer.echo(line)
    if yes:
        return True
    if not sys.stdin.isatty():
        raise ConfigError("--yes", "is needed where nobody can be asked")
    return typer.confirm("Drop these?", default=False)


def what_goes(config: ReplicationConfig, source: Source, rows: ControlRows) -> list[str]:
    """What would be dropped, a line each."""
    made = source.made() if isinstance(source, MakingSource) else ()
    if not made:
        made = ("nothing was made there",)
    lines = [f"source: {what}" for what in made]
    lines.append(
        f"target: control rows of {config.id}: {rows.lanes} lanes, {rows.tables} tables,"
        f" {rows.chunks} finished chunks" + ("" if rows.owned else " (it has never run here)")
    )
    return lines
