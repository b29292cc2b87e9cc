"""`penstock events`: what happened to replications and endpoints."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeAlias

import typer

from engine.config.kind import Duration
from engine.control.cli.durations import moment
from engine.control.cli.ending import end_with
from engine.control.cli.reach import USUAL, As, Output, Url, daemon, document, table
from engine.control.client.faces import face
from engine.control.client.replications import known, one
from engine.control.happenings import SourceType
from engine.errors import ConfigError
from engine.observe.redact import clean
from engine.seams import SystemClock

HEADING: Final = ("TIME", "OF", "ID", "CATEGORY", "MESSAGE")

_SINCE: Final = Duration(60, 3660 * 86_400)

OptionalId: TypeAlias = Annotated[
    str, typer.Argument(metavar="[ID]", help="One replication; without it, everything.")
]

Since: TypeAlias = Annotated[
    str, typer.Option("--since", metavar="DURATION", help="How far back: 90min, 24h, 7d.")
]


def events(
    id: OptionalId = "", since: Since = "24h", output: As = Output.TEXT, url: Url = USUAL
) -> None:
    """List what happened, oldest first: created, started, stopped, failed, changed, deleted."""
    end_with(lambda: _events(id, since, url, output))


def _events(id: str, since: str, url: str, output: Output) -> int:
    asked = daemon(url)
    members: dict[str, object] = {"StartTime": SystemClock().wall() - _seconds(since)}
    if id:
        replication = known(asked, id)
        kind = face(replication).source_type if replication else SourceType.REPLICATION
        name = replication["identifier"] if replication else id  # its events outlive it
        members |= {"SourceIdentifier": name, "SourceType": kind}
    found = list(asked.pages("DescribeEvents", "Events", **members))
    if id and not found:
        one(asked, id)  # refuses one that never was
    if output is Output.JSON:
        document(found)
    elif found:
        for line in table([HEADING, *map(_row, found)]):
            typer.echo(line)
    else:
        typer.echo(f"nothing happened in the last {since}")
    return 0


def _seconds(text: str) -> float:
    try:
        return _SINCE.read(text)
    except ValueError as error:
        raise ConfigError("--since", str(error)) from None


def _row(event: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        moment(float(event["Date"])),
        str(event.get("SourceType", "-")),
        clean(str(event.get("SourceIdentifier", "-"))),
        ", ".join(map(str, event.get("EventCategories", ()))) or "-",
        clean(str(event.get("Message", ""))),
    )
