"""Options of the commands that ask the daemon, and how they print."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, TypeAlias

import orjson
import typer

from engine.control.client.address import DEFAULT, ENDPOINT, credentials, parse_address
from engine.control.client.daemon import Daemon
from engine.errors import ConfigError
from engine.observe.redact import clean
from engine.seams import SystemClock


class Output(StrEnum):
    """How results look."""

    TEXT = "text"
    JSON = "json"


Url: TypeAlias = Annotated[
    str,
    typer.Option(
        "--endpoint-url",
        metavar="URL",
        envvar=ENDPOINT,
        show_envvar=False,
        help=f"The daemon's; without it that of {ENDPOINT}. Access keys come from the environment:"
        " PENSTOCK_ACCESS_KEY_ID and PENSTOCK_SECRET_ACCESS_KEY.",
    ),
]

As: TypeAlias = Annotated[
    Output, typer.Option("--output", help="Text for people, or JSON for programs.")
]

Id: TypeAlias = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        help="Identifier of a replication or task, letter case aside; or its ARN.",
    ),
]

Yes: TypeAlias = Annotated[bool, typer.Option("--yes", "-y", metavar="", help="Do not ask.")]

NoWait: TypeAlias = Annotated[
    bool, typer.Option("--no-wait", metavar="", help="End as soon as the daemon has taken it on.")
]

USUAL: str = DEFAULT
"""Of `--endpoint-url`."""


def daemon(url: str) -> Daemon:
    """The daemon at a URL, under the environment's key. Raises ConfigError."""
    return Daemon(parse_address(url), credentials(os.environ), SystemClock())


def agreed(question: str, *, yes: bool) -> bool:
    """Whether a person says so. Raises ConfigError where there is none to ask."""
    if yes:
        return True
    if not on_terminal():
        raise ConfigError(
            "--yes", "is missing: there is no terminal to ask on", hint="nothing was changed"
        )
    return typer.confirm(question)


def on_terminal() -> bool:
    """Whether there is a person to ask."""
    return sys.stdin.isatty()


def say(text: str, output: Output = Output.TEXT) -> None:
    """A line for people."""
    if output is Output.TEXT:
        typer.echo(clean(text))


def document(value: Mapping[str, Any] | Sequence[Any]) -> None:
    """JSON for programs, on one line."""
    typer.echo(orjson.dumps(value))


def table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines with their columns under each other; the first row is the heading."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()
