"""How every command ends: an exit code, and what failed as the last line. Never a traceback.

Exit codes, the same for every command: 0 done, equal, nothing blocks; 1 no (differences, blocking
findings, a replication that failed and may succeed when started again); 2 wrong command line or
file; 3 needs a person (another owner, position lost, source identity changed, a comparison that
could not be made).
"""

import gc
import os
import sys
from collections.abc import Callable
from typing import NoReturn

import orjson
import typer

from engine.errors import ConfigError, InvariantError
from engine.observe.places import error_places
from engine.observe.redact import clean
from engine.observe.report import Outcome, leading
from engine.version import VERSION

INTERRUPTED = 1
"""Exit code of a command that Ctrl-C ended before it was done (`run` drains instead: 0)."""


def end_with(command: Callable[[], int]) -> NoReturn:
    """Run a command's body and end with its exit code; an error becomes its message."""
    gc.enable()  # see `engine.control.cli.app.main`
    try:
        code = command()
    except KeyboardInterrupt:
        say_error(Outcome(INTERRUPTED, reason="interrupted", remedy="nothing was left half done"))
        code = INTERRUPTED
    except BrokenPipeError:
        # whoever read our output has gone; Python must not complain about it once more at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except Exception as error:  # noqa: BLE001 - the last line of defence: no traceback for a user
        code = fail(error)
    raise typer.Exit(code)


def fail(error: Exception) -> int:
    """Say what failed; gives the exit code."""
    known = leading(error)
    if known is None or isinstance(known, InvariantError):
        for place in error_places(known or error):
            typer.echo(f"  at {place}", err=True)
        typer.echo(f"  penstock {VERSION}, python {sys.version.split()[0]}", err=True)
    if isinstance(known, ConfigError):
        say_problems(known)
        return known.exit_code
    outcome = Outcome.of(error)
    say_error(outcome)
    return outcome.exit


def say_problems(error: ConfigError) -> None:
    """Every problem of a file or command line, a line each."""
    for problem in error.problems:
        say_error(Outcome.of(problem))


def say_error(outcome: Outcome, log_format: str = "text") -> None:
    """A failure's last line: reason and remedy, on standard error."""
    if log_format == "json":
        line = {"level": "error", "message": clean(outcome.reason), "hint": clean(outcome.remedy)}
        typer.echo(orjson.dumps(line), err=True)
        return
    remedy = f" - {outcome.remedy}" if outcome.remedy else ""
    typer.echo(f"error: {clean(outcome.reason + remedy)}", err=True)


def say_warning(text: str, log_format: str = "text") -> None:
    """Something the user should know, on standard error."""
    if log_format == "json":
        typer.echo(orjson.dumps({"level": "warning", "message": clean(text)}), err=True)
        return
    typer.echo(f"warning: {clean(text)}", err=True)
