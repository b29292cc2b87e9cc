"""The command line: names and help texts of the commands. Each lives in a module of its own, which
is imported when it is called: the list of all commands needs none of them."""

import gc
import sys
from collections.abc import Mapping
from importlib import import_module
from keyword import iskeyword
from typing import Annotated, Any, Final, Literal, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from engine.leaving import leave
from engine.version import VERSION

COMMANDS: Final[Mapping[str, str]] = {
    "check": "Look at both databases and tell what stands in the way, with the statement that mends"
    " it.",
    "run": "Copy what is there, then carry every change, until stopped.",
    "serve": "Run the daemon: AWS DMS's API on a port, and every replication in a process of its"
    " own.",
    "rotate": "Seal everything in the daemon's store under a new key, and take the old one out.",
    "compare": "Compare every carried table: row counts and content hashes; differing keys are"
    " listed.",
    "reload": "Copy tables again, while the others go on.",
    "cleanup": "Drop what the replication made: slot and publications on the source, control rows"
    " in the target.",
    "autoscale": "The law of capacity: recompute what it decided, or see what it would do.",
    "apply": "Make the daemon's replications what replication files say.",
    "status": "How replications are: status, lag, size, rows of the newest start, since when.",
    "logs": "Show the log of a replication: of the orchestrator, and of the engine's newest start.",
    "start": "Start a replication: from the beginning the first time, later where it was.",
    "stop": "Stop a replication, which can be started again where it was.",
    "tables": "List the tables of a replication with their state and what was carried of each.",
    "quarantine": "Show the rows that a replication could not apply, with their values.",
    "events": "List what happened, oldest first: created, started, stopped, failed, changed,"
    " deleted.",
    "delete": "Delete a replication that is not running: also its slot, publications and control"
    " rows.",
    "import": "Write a replication file for each replication that AWS DMS describes.",
}
"""Each is a function of that name, or a group of commands, in the module of that name beside this
one, with the first sentence of its help; a name that is a word of Python's own has a `_` behind it
there."""

MARKUP: Final[Literal["markdown"] | None] = "markdown" if sys.stdout.isatty() else None
"""How help and complaints look: with boxes and colours for a person, plain in a pipe or a file,
which does without the library for them (0.15 s)."""

EXIT_CODES = (
    "Exit codes: 0 done, equal, nothing blocks. 1 no: differences, blocking findings, a daemon that"
    " does not answer, or a replication that failed and may succeed when started again. 2 wrong"
    " command line or file, or what the daemon refuses."
    " 3 needs a person: another owner, position lost, another source, no comparison possible."
)


class Command(TyperCommand):
    """A command by its name and the first sentence of its help, until it is called."""

    def make_context(self, info_name: Any, args: Any, parent: Any = None, **extra: Any) -> Any:
        return self._imported().make_context(info_name, args, parent, **extra)

    def _imported(self) -> Any:
        name = f"{self.name}_" if iskeyword(str(self.name)) else str(self.name)
        command = getattr(import_module(f"engine.control.cli.{name}"), name)
        if isinstance(command, typer.Typer):
            return typer.main.get_command(command)
        alone = typer.Typer(add_completion=False, rich_markup_mode=MARKUP)
        alone.command(self.name)(command)
        return typer.main.get_command(alone)


class Commands(TyperGroup):
    """The group of all commands."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.commands = {name: Command(name, short_help=text) for name, text in COMMANDS.items()}


app = typer.Typer(
    name="penstock",
    cls=Commands,
    help="Copy a database to another and keep it up to date: full load, then every change.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=MARKUP,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"penstock {VERSION}")
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[
        bool,
        typer.Option(
            "--version",
            metavar="",
            callback=_show_version,
            is_eager=True,
            help="Print the version.",
        ),
    ] = False,
) -> None:
    """Copy a database to another and keep it up to date: full load, then every change."""


def main() -> NoReturn:
    """The console script."""
    gc.disable()  # until the command is loaded, which leaves little to collect
    try:
        app(prog_name="penstock")
    except SystemExit as end:
        leave(end.code if isinstance(end.code, int) else int(end.code is not None))
    leave(0)
