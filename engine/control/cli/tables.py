"""`penstock tables`: each table of a replication."""

from collections.abc import Mapping
from typing import Any, Final

import typer

from engine.control.cli.ending import end_with
from engine.control.cli.reach import USUAL, As, Id, Output, Url, daemon, document, table
from engine.control.cli.status import stopped
from engine.control.client.faces import face, which
from engine.control.client.replications import one
from engine.observe.redact import clean

HEADING: Final = ("TABLE", "STATE", "LOADED", "INSERTS", "UPDATES", "DELETES", "DDL")

PAGE: Final = 500
"""Tables of one answer, as many as there may be."""

COUNTS: Final = ("FullLoadRows", "Inserts", "Updates", "Deletes", "Ddls")


def tables(id: Id, output: As = Output.TEXT, url: Url = USUAL) -> None:
    """List the tables of a replication with their state and what was carried of each."""
    end_with(lambda: _tables(id, url, output))


def _tables(id: str, url: str, output: Output) -> int:
    asked = daemon(url)
    found = one(asked, id)
    of = face(found)
    statistics = list(asked.pages(of.statistics, of.tables, **which(found), MaxRecords=PAGE))
    if output is Output.JSON:
        document(statistics)
    elif statistics:
        for line in table([HEADING, *map(_row, statistics)]):
            typer.echo(line)
        for line in stopped(found):
            typer.echo(clean(line))
    else:
        typer.echo(f"none yet: {found['identifier']} has not read its source's catalog")
    return 0


def _row(each: Mapping[str, Any]) -> tuple[str, ...]:
    schema, name = each.get("SchemaName", ""), each.get("TableName", "")
    counts = (f"{each.get(count, 0):,}" for count in COUNTS)
    return clean(f"{schema}.{name}"), clean(str(each.get("TableState", "-"))), *counts
