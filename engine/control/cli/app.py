"""The command line: names and help texts of the commands. Each lives in a module of its own, which
is imported when it is called."""

from importlib import import_module
from keyword import iskeyword
from typing import Annotated, Any, Final, NoReturn

import typer
from typer.core import TyperGroup

from engine.leaving import leave
from engine.version import VERSION

COMMANDS: Final = ("check", "run", "compare", "reload", "cleanup", "autoscale", "import")
"""Each is a function of that name, or a group of commands, in the module of that name beside this
one; a name that is a word of Python's own has a `_` behind it there."""

EXIT_CODES = (
    "Exit codes: 0 done, equal, nothing blocks. 1 no: differences, blocking findings, or a"
    " replication that failed and may succeed when started again. 2 wrong command line or file."
    " 3 needs a person: another owner, position lost, another source, no comparison possible."
)


class Commands(TyperGroup):
    """The group of all commands."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        names: Any = dict.fromkeys(COMMANDS)
        self.commands = names

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        name = f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name
        command = getattr(import_module(f"engine.control.cli.{name}"), name)
        if isinstance(command, typer.Typer):
            return typer.main.get_command(command)
        alone = typer.Typer(add_completion=False, rich_markup_mode="markdown")
        alone.command(cmd_name)(command)
        return typer.main.get_command(alone)


app = typer.Typer(
    name="penstock",
    cls=Commands,
    help="Copy a database to another and keep it up to date: full load, then every change.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
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
    try:
        app(prog_name="penstock")
    except SystemExit as end:
        leave(end.code if isinstance(end.code, int) else int(end.code is not None))
    leave(0)
