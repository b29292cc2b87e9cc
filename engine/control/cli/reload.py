"""`penstock reload`: asks for one table to be copied again.

The request is a row in the target's control tables, so it needs no connection to a running worker:
one that runs sees it within seconds, the next one that is started sees it then.
"""

import asyncio
from collections.abc import Sequence
from typing import Annotated, TypeAlias

import typer

from engine.config.problems import nearest
from engine.config.replication import ReplicationConfig
from engine.contracts import Target
from engine.control.cli.arguments import File, load, parse_table
from engine.control.cli.control_rows import control_session, owner_locked
from engine.control.cli.ending import end_with
from engine.errors import ConfigError
from engine.model.relation import TableName
from engine.model.state import TableRecord
from engine.registry import target
from engine.seams import SystemClock, SystemRandom

Table: TypeAlias = Annotated[
    str, typer.Argument(metavar="TABLE", help="The table on the source: schema.table.")
]


def reload(file: File, table: Table) -> None:
    """Copy one table again, while the others go on.

    A running replication begins within seconds; otherwise the next `penstock run` does. Also the
    way back for a table that was stopped or needs a reload.
    """
    end_with(lambda: _reload(load(file), parse_table(table)))


def _reload(config: ReplicationConfig, table: TableName) -> int:
    if not config.loads:
        raise ConfigError("replication.type", "is cdc: there is no full load to repeat")
    end = target(config.target.engine)(config, SystemClock(), SystemRandom())
    asyncio.run(request_reload(end, table))
    typer.echo(
        f"{table} will be copied again: a running replication begins within seconds,"
        " otherwise the next `penstock run`"
    )
    return 0


async def request_reload(end: Target, table: TableName) -> None:
    """Note the request beside the table's state, where nothing but a load takes it away.

    Raises:
        ConfigError: the replication does not know the table, or has never run.
    """
    async with control_session(end) as session, owner_locked(session) as transaction:
        record = _record(await transaction.tables(), table)
        await transaction.request_reload(record.table)
        await transaction.commit()


def _record(records: Sequence[TableRecord], table: TableName) -> TableRecord:
    known = {str(record.table): record for record in records}
    if (record := known.get(str(table))) is not None and record.table == table:
        return record
    if not known:
        raise ConfigError("TABLE", "this replication has not run yet, so nothing can be reloaded")
    suggestion = nearest(str(table), tuple(known))
    raise ConfigError(
        "TABLE",
        f"this replication carries no table {table}",
        hint=f"did you mean {suggestion}?" if suggestion else "",
    )
