"""`penstock reload`: asks for one table to be copied again.

The request is a row in the target's control tables, so it needs no connection to a running worker:
one that runs sees it within seconds, the next one that is started sees it then.
"""

import asyncio
from typing import Annotated, TypeAlias

import typer

from engine.config.replication import ReplicationConfig
from engine.control.cli.arguments import File, load, parse_table
from engine.control.cli.ending import end_with
from engine.control.reload_request import request_reload
from engine.errors import ConfigError
from engine.model.relation import TableName
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
    asyncio.run(request_reload(end, str(table)))
    typer.echo(
        f"{table} will be copied again: a running replication begins within seconds,"
        " otherwise the next `penstock run`"
    )
    return 0
