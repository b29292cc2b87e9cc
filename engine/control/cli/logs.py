"""`penstock logs`: AWS's two streams of a replication, as the daemon keeps them."""

import contextlib
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, Final, TypeAlias

import typer

from engine.control.cli.ending import end_with
from engine.control.cli.reach import USUAL, As, Id, Output, Url, daemon, document, say
from engine.control.client.daemon import Daemon
from engine.control.client.replications import one
from engine.control.logs.following import LINES_MAX, WAIT_SECONDS_MAX
from engine.observe.redact import clean

LINES: Final = 100
"""Last lines of each stream without being asked."""


class Which(StrEnum):
    """Streams."""

    BOTH = "both"
    ORCHESTRATOR = "orchestrator"
    ENGINE = "engine"


Follow: TypeAlias = Annotated[
    bool, typer.Option("--follow", "-f", metavar="", help="Go on with what comes, until Ctrl-C.")
]

Lines: TypeAlias = Annotated[
    int,
    typer.Option(
        "--lines", "-n", metavar="N", min=0, max=LINES_MAX, help="Last lines of each stream."
    ),
]

Stream: TypeAlias = Annotated[
    Which,
    typer.Option(
        "--stream",
        help="orchestrator tells how it comes to run; engine what its worker says, which needs"
        " Logging.EnableLogging in its settings.",
    ),
]


def logs(
    id: Id,
    follow: Follow = False,
    lines: Lines = LINES,
    stream: Stream = Which.BOTH,
    output: As = Output.TEXT,
    url: Url = USUAL,
) -> None:
    """Show the log of a replication: of the orchestrator, and of the engine's newest start."""
    end_with(lambda: _logs(id, url, lines, stream, output, follow=follow))


def _logs(id: str, url: str, lines: int, stream: Which, output: Output, *, follow: bool) -> int:
    asked = daemon(url)
    found = one(asked, id)
    name, arn = str(found["identifier"]), str(found["arn"])
    query: dict[str, object] = {} if stream is Which.BOTH else {"stream": stream}
    read = asked.get("replications", arn, "logs", lines=lines, **query)
    shown = _Shown(output)
    shown.add(read["streams"])
    if not follow:
        if not read["streams"]:
            say(f"nothing yet: {name} has not been started, or its log was deleted", output)
        return 0
    with contextlib.suppress(KeyboardInterrupt):  # how it ends
        while True:
            read = _next(asked, arn, read["after"], query)
            shown.add(read["streams"])
    return 0


def _next(asked: Daemon, arn: str, after: str, query: Mapping[str, object]) -> dict[str, Any]:
    return asked.get("replications", arn, "logs", after=after, wait=WAIT_SECONDS_MAX, **query)


class _Shown:
    """Prints lines, with a heading where another stream goes on, as `tail -f` does."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._stream = ""

    def add(self, streams: Mapping[str, Sequence[str]]) -> None:
        for stream, lines in streams.items():
            for line in lines:
                self._line(stream, line)

    def _line(self, stream: str, line: str) -> None:
        if self._output is Output.JSON:
            document({"stream": stream, "line": line})
            return
        if stream != self._stream:
            typer.echo(f"{'' if not self._stream else chr(10)}==> {clean(stream)} <==")
            self._stream = stream
        typer.echo(clean(line))
