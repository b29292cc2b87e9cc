"""The command line: names and help texts of the commands; each lives in a module of its own."""

from typing import Annotated

import typer

from engine.control.cli.check import check
from engine.control.cli.cleanup import cleanup
from engine.control.cli.compare import compare
from engine.control.cli.reload import reload
from engine.control.cli.run import run
from engine.worker import version

EXIT_CODES = (
    "Exit codes: 0 done, equal, nothing blocks. 1 no: differences, blocking findings, or a"
    " replication that failed and may succeed when started again. 2 wrong command line or file."
    " 3 needs a person: another owner, position lost, another source, no comparison possible."
)

app = typer.Typer(
    name="penstock",
    help="Copy a database to another and keep it up to date: full load, then every change.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)

for command in (check, run, compare, reload, cleanup):
    app.command()(command)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"penstock {version()}")
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


def main() -> None:
    """The console script."""
    app(prog_name="penstock")
