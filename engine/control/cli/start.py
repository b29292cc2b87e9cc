"""`penstock start`: a replication begins, or goes on where it was."""

from typing import Annotated, TypeAlias

import typer

from engine.control.cli.ending import end_with
from engine.control.cli.reach import USUAL, As, Id, NoWait, Output, Url, daemon, document, say
from engine.control.client.faces import face, which
from engine.control.client.replications import REST, one, wait
from engine.control.lifecycle import STARTING, StartType, Status
from engine.errors import ConfigError

Reload: TypeAlias = Annotated[
    bool, typer.Option("--reload", metavar="", help="Load every table again, then go on.")
]

Resume: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--resume", metavar="", help="Go on where it was: what a start does anyway, if it ran."
    ),
]


def start(
    id: Id,
    reload: Reload = False,
    resume: Resume = False,
    no_wait: NoWait = False,
    output: As = Output.TEXT,
    url: Url = USUAL,
) -> None:
    """Start a replication: from the beginning the first time, later where it was.

    Waits until it runs, and tells what it passes through. Exit code 1 when it fails.
    """
    end_with(lambda: _start(id, url, output, _kind(reload, resume), no_wait=no_wait))


def _kind(reload: bool, resume: bool) -> StartType | None:
    if reload and resume:
        raise ConfigError("--reload", "and --resume exclude each other")
    if reload:
        return StartType.RELOAD
    return StartType.RESUME if resume else None


def _start(id: str, url: str, output: Output, kind: StartType | None, *, no_wait: bool) -> int:
    asked = daemon(url)
    found = one(asked, id)
    name, arn, of = str(found["identifier"]), str(found["arn"]), face(found)
    if kind is None:
        first = found["status"] == Status.CREATED
        kind = StartType.START if first else StartType.RESUME
    runs = found["status"] == Status.RUNNING and kind is not StartType.RELOAD
    if runs:
        say(f"{name} is running already", output)
    elif found["status"] not in STARTING:
        asked.call(of.start, **which(found), **{of.start_type: kind})
    if not (runs or no_wait):
        wait(asked, arn, _runs, lambda status: say(f"{name}  {status}", output))
    if output is Output.JSON:
        document(one(asked, arn))
    return 0


def _runs(status: str) -> bool:
    """Whether it runs; or ran and is through with it already."""
    return status == Status.RUNNING or (status in REST and status != Status.FAILED)
