"""`penstock cleanup`: drops what a replication made on the source, and its control rows."""

import asyncio
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, TypeAlias

import typer

from engine.abilities import MakingSource
from engine.config.replication import ReplicationConfig
from engine.contracts import OriginTarget, ReadSource, Source, Target, TargetSession
from engine.control.cli.arguments import File, load
from engine.control.cli.control_rows import control_session, owner_locked
from engine.control.cli.ending import end_with
from engine.errors import ConfigError, FencedError, ReaderUnknownError
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


@dataclass(frozen=True, slots=True)
class ControlRows:
    """How many control rows a replication has in its target."""

    owned: bool
    lanes: int
    tables: int
    chunks: int


async def clean(
    config: ReplicationConfig,
    source: Source,
    target: Target,
    *,
    agree: Callable[[ControlRows], bool],
) -> bool:
    """Count, ask `agree`, drop. False when it did not agree; then nothing was dropped.

    The source's part goes first: a slot left behind would keep its log for ever, control rows left
    behind only make the next `cleanup` repeat itself.

    Raises:
        FencedError: the replication runs.
    """
    try:
        await source.open()
        await _refuse_running(source)
        async with control_session(target) as session:
            if not agree(await _count(session)):
                return False
            if config.streams:
                await source.detach()
            async with owner_locked(session) as transaction:
                await transaction.remove_replication()
                await transaction.commit()
            if isinstance(target, OriginTarget):
                await target.drop_origins()
        return True
    finally:
        await source.close()


async def _refuse_running(source: Source) -> None:
    if not isinstance(source, ReadSource):
        return
    try:
        reader = await source.reader()
    except ReaderUnknownError:
        return  # of one that runs after all, each transaction fails: its checkpoints are gone
    if reader is not None:
        raise FencedError(f"the replication runs: {reader}", hint="stop it first")


async def _count(session: TargetSession) -> ControlRows:
    async with owner_locked(session) as transaction:
        owner = await transaction.lock_owner()
        lanes = await transaction.lanes()
        tables = await transaction.tables()
        chunks = await transaction.chunks()
        return ControlRows(owner is not None, len(lanes), len(tables), len(chunks))


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
