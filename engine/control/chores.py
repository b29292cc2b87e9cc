"""A process that changes what a replication left at its databases, for the daemon, while no worker
of it runs: `python -m engine.control.chores --chore=CHORE FILE`.

- `clean`: drop what it made (`penstock cleanup`)
- `anew`: the same, and empty the target tables that it has loaded, so that a load into them begins
  where the first one did; the file's own `[load] prepare` does that where it is not `do-nothing`
- `kept`: tell how much log its source keeps for it (`kept` {bytes}), and let that go where
  `wal_retained_policy` says so
- `quarantine`, with `--after=NUMBER`: write a page of the rows that were kept aside to standard
  output, as they stand there, a line each (`kept_rows.line`); a worker may run
- `reload`, with `--table` for each: note that tables are to be loaded again; a worker may run

It tells its outcome, as a worker does (`engine/observe/report.py`). Each may be done again
after it was killed at any moment.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import engine.registry as connectors
from engine import addresses
from engine.config.load import load_replication
from engine.config.replication import Prepare, ReplicationConfig
from engine.contracts import SchemaTarget, SnapshotSource, Source, Target
from engine.control import kept_rows
from engine.control.cleaning import clean, refuse_running
from engine.control.control_rows import control_session, owner_locked
from engine.control.reload_request import request_reload
from engine.leaving import leave
from engine.model.relation import TableName
from engine.observe.log import Log
from engine.observe.report import Outcome, ReportPipe
from engine.parent import die_with
from engine.registry import connect
from engine.retention import Retention, SlotGivenUpError
from engine.seams import SystemClock, SystemRandom

KEPT: Final = "kept"

KEPT_NICENESS: Final = 10
"""Nobody waits for that look, which is made for each replication at rest every few minutes: some
hundred of them must not slow what runs, nor who asks for it."""

QUARANTINE: Final = "quarantine"

CHORES: Final = ("clean", "anew", "reload", KEPT, QUARANTINE)

MODULE: Final = "engine.control.chores"
"""For `errand.run`."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do it, tell the outcome, and end; the exit code is that of the outcome."""
    given = _parser().parse_args(arguments)
    die_with(given.parent)
    reports = ReportPipe(given.report)
    try:
        addresses.arm(os.environ.get(addresses.VARIABLE, ""))
        config = load_replication(given.file, os.environ)
        if given.chore == KEPT:
            os.nice(KEPT_NICENESS)
            asyncio.run(_measure(config, reports))
        elif given.chore == QUARANTINE:
            asyncio.run(_quarantined(config, given.after))
        else:
            asyncio.run(_do(given.chore, config, given.table))
        outcome = Outcome(0)
    except Exception as error:  # noqa: BLE001 - the process ends here: everything is reported
        outcome = Outcome.of(error)
    reports.finish(outcome)
    return outcome.exit


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m engine.control.chores")
    parser.add_argument("file", type=Path)
    parser.add_argument("--chore", choices=CHORES, required=True)
    parser.add_argument("--table", action="append", default=[], help="schema.table")
    parser.add_argument("--after", type=int, default=0, help="number of the last row seen")
    parser.add_argument("--report", type=int, required=True, help="descriptor of the pipe")
    parser.add_argument("--parent", type=int, help="process id of who started this")
    return parser


async def _do(chore: str, config: ReplicationConfig, tables: Sequence[str]) -> None:
    source, target = connect(config, SystemClock(), SystemRandom())
    if chore == "reload":
        await request_reload(target, *tables)
        return
    if chore == "anew" and config.load.prepare is Prepare.DO_NOTHING:
        await empty(source, target)
    await clean(config, source, target, agree=lambda _: True)


async def _measure(config: ReplicationConfig, reports: ReportPipe) -> None:
    clock = SystemClock()
    source, _ = connect(config, clock, SystemRandom())
    try:
        await source.open()
        retained = await source.retained()
        reports.send(KEPT, {"bytes": retained.bytes})
        try:
            Retention(config.source, Log(lambda _: None, clock)).judge(retained)
        except SlotGivenUpError:
            await refuse_running(source)
            await source.detach()
            raise
    finally:
        await source.close()


async def _quarantined(config: ReplicationConfig, after: int) -> None:
    target = connectors.target(config.target.engine)(config, SystemClock(), SystemRandom())
    async with kept_rows.opened(target) as keeping:
        for row in await keeping.quarantined(after, kept_rows.ROWS_MAX, kept_rows.BYTES_MAX):
            sys.stdout.buffer.write(kept_rows.line(row))
    sys.stdout.flush()


async def empty(source: Source, target: Target) -> None:
    """Empty the target tables that control rows name, as far as their source tables are there."""
    if not isinstance(source, SnapshotSource) or not isinstance(target, SchemaTarget):
        return
    tables = await _known(target)
    if not tables:
        return
    try:
        await source.open()
        await refuse_running(source)
        definitions = await source.definitions(tables)
    finally:
        await source.close()
    # Cut from here on, whoever goes on loads them again: nobody takes an empty table for a whole.
    await request_reload(target, *map(str, tables))
    try:
        await target.open()
        await target.ensure(definitions, Prepare.TRUNCATE.value)
    finally:
        await target.close()


async def _known(target: Target) -> list[TableName]:
    async with control_session(target) as session, owner_locked(session) as transaction:
        return [record.table for record in await transaction.tables()]


if __name__ == "__main__":
    leave(main())
