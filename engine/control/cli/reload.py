"""`penstock reload`: asks for tables to be copied again.

Of a replication file the request is a row in the target's control tables, so it needs no connection
to a running worker: one that runs sees it within seconds, the next one that is started sees it
then. Of a replication of the daemon's it is an operation of the API.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from engine.control.cli.arguments import load, parse_table
from engine.control.cli.ending import end_with
from engine.control.cli.reach import USUAL, As, Output, Url, daemon, document, say
from engine.control.client.faces import face, which
from engine.control.client.replications import one
from engine.errors import ConfigError
from engine.model.relation import TableName

Of: TypeAlias = Annotated[
    str,
    typer.Argument(
        metavar="FILE|ID",
        help="The replication file, TOML; or the identifier of a replication of the daemon's.",
    ),
]

Tables: TypeAlias = Annotated[
    list[str], typer.Argument(metavar="TABLE...", help="Tables on the source: schema.table.")
]


def reload(of: Of, tables: Tables, output: As = Output.TEXT, url: Url = USUAL) -> None:
    """Copy tables again, while the others go on.

    A running replication begins within seconds; otherwise the next `penstock run` does. Also the
    way back for a table that was stopped or needs a reload.
    """
    end_with(lambda: _reload(of, [parse_table(table) for table in tables], url, output))


def _reload(of: str, tables: Sequence[TableName], url: str, output: Output) -> int:
    if is_file(of):
        _of_file(Path(of), tables)
        told = "a running replication begins within seconds, otherwise the next `penstock run`"
    else:
        _of_daemon(of, tables, url)
        told = "the daemon begins within seconds"
    names = [str(table) for table in tables]
    say(f"{', '.join(names)} will be copied again: {told}", output)
    if output is Output.JSON:
        document({"tables": names})
    return 0


def is_file(text: str) -> bool:
    """Whether an argument means a file: there is one, or no identifier looks like it."""
    return "/" in text or text.endswith(".toml") or Path(text).is_file()


def _of_file(file: Path, tables: Sequence[TableName]) -> None:
    import asyncio  # what knows databases is for files only

    from engine.control.reload_request import request_reload
    from engine.registry import target
    from engine.seams import SystemClock, SystemRandom

    config = load(file)
    if not config.loads:
        raise ConfigError("replication.type", "is cdc: there is no full load to repeat")
    end = target(config.target.engine)(config, SystemClock(), SystemRandom())
    asyncio.run(request_reload(end, *map(str, tables)))


def _of_daemon(name: str, tables: Sequence[TableName], url: str) -> None:
    asked = daemon(url)
    found = one(asked, name)
    asked.call(
        face(found).reload,
        **which(found),
        TablesToReload=[{"SchemaName": table.schema, "TableName": table.name} for table in tables],
    )
