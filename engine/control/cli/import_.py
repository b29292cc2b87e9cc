"""`penstock import`: what the AWS CLI prints of DMS, as replication files. Connects to nothing."""

import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Final

import orjson
import typer

from engine.config.problems import shown_file
from engine.control.cli.arguments import Json
from engine.control.cli.ending import end_with
from engine.control.translate.described import TEXT_CHARACTERS_MAX, read_described
from engine.control.translate.importing import Imported, imported
from engine.control.translate.listing import Note
from engine.errors import ConfigError
from engine.observe.redact import clean

STANDARD_INPUT: Final = "-"

INPUT_BYTES_MAX: Final = 4 * TEXT_CHARACTERS_MAX
"""The longest text, where each of its characters takes four bytes."""

Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE...",
        help="JSON that `aws dms describe-endpoints`, `describe-replication-configs`,"
        " `describe-replication-tasks` and `describe-certificates` print, in one file or several;"
        " `-` is standard input.",
    ),
]

Directory = Annotated[
    Path,
    typer.Option(
        "--directory", "-d", metavar="DIR", help="Where the files go; made when it is not there."
    ),
]

Force = Annotated[
    bool, typer.Option("--force", metavar="", help="Write over files that are there.")
]


KeepSlots = Annotated[
    bool,
    typer.Option(
        "--keep-slots",
        metavar="",
        help="Keep the slots that endpoints name (SlotName): once AWS's task is stopped for good.",
    ),
]


def import_(
    files: Inputs,
    directory: Directory = Path(),
    force: Force = False,
    keep_slots: KeepSlots = False,
    as_json: Json = False,
) -> None:
    """Write a replication file for each replication that AWS DMS describes.

    Passwords become references to environment variables. Says what cannot be carried, with why.
    Exit code 1 when something of it has to be decided before it runs.
    """
    end_with(lambda: _import(files, directory, force=force, keep_slots=keep_slots, as_json=as_json))


def _import(
    files: list[str], directory: Path, *, force: bool, keep_slots: bool, as_json: bool
) -> int:
    names = ", ".join(shown_file(name) for name in files)
    described = read_described("\n".join(map(_read, files)), names)
    made = imported(described, keep_slots=keep_slots)
    _write(directory, made.texts, force=force)
    if as_json:
        typer.echo(orjson.dumps(_document(made, directory)))
    else:
        _show(made, directory)
    return int(any(note.blocks for note in made.notes))


def _read(name: str) -> str:
    where = "standard input" if name == STANDARD_INPUT else shown_file(name)
    try:
        if name == STANDARD_INPUT:
            data = sys.stdin.buffer.read(INPUT_BYTES_MAX + 1)
        else:
            with Path(name).open("rb") as file:
                data = file.read(INPUT_BYTES_MAX + 1)
        if len(data) > INPUT_BYTES_MAX:
            raise ConfigError("FILE", f"{where} is larger than {INPUT_BYTES_MAX:,} bytes")
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError("FILE", f"{where} is not UTF-8 text") from None
    except OSError as error:
        reason = error.strerror or "input error"
        raise ConfigError("FILE", f"{where} cannot be read: {reason}") from None
    except ValueError:
        raise ConfigError("FILE", "is not a possible path") from None


def _write(directory: Path, texts: Mapping[str, str], *, force: bool) -> None:
    """Write all files, or none when one of them is there already."""
    there = [shown_file(directory / name) for name in texts if (directory / name).exists()]
    if there and not force:
        raise ConfigError(
            "--directory",
            f"{', '.join(there[:5])} {'is' if len(there) == 1 else 'are'} there already;"
            " nothing was written",
            hint="choose another --directory, or --force to write over",
        )
    parts = {directory / f".{name}.part": directory / name for name in texts}
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for part, text in zip(parts, texts.values(), strict=True):
            part.write_text(text, encoding="utf-8")
        for part, file in parts.items():
            part.replace(file)
    except OSError as error:
        for part in parts:
            with suppress(OSError):  # what failed before is what is told
                part.unlink(missing_ok=True)
        reason = error.strerror or "output error"
        where = shown_file(directory)
        raise ConfigError("--directory", f"cannot write into {where}: {reason}") from None


def _show(made: Imported, directory: Path) -> None:
    for each in made.replications:
        for name in each.texts:
            _line("wrote", typer.colors.GREEN, str(directory / name))
    for name in made.certificates:
        _line("wrote", typer.colors.GREEN, str(directory / name))
    for note in made.notes:
        blocks = note.blocks
        colour = typer.colors.RED if blocks else typer.colors.CYAN
        _line("blocks" if blocks else "tells", colour, f"{note.subject}: {note.message}")
    for variable in made.variables:
        _line("wants", typer.colors.YELLOW, f"{variable.name}: {variable.holds}")
    typer.echo(_summary(made))
    _next(made, directory)


def _line(word: str, colour: str, text: str) -> None:
    typer.echo(f"{typer.style(f'{word:<6}', fg=colour)}  {clean(text)}")


def _summary(made: Imported) -> str:
    written = sum(bool(each.texts) for each in made.replications)
    blocking = sum(note.blocks for note in made.notes)
    parts = [f"{written} of {len(made.replications)} replications written"]
    parts += [f"{blocking} block" + ("s" if blocking == 1 else "")] if blocking else []
    parts += [f"{len(made.notes) - blocking} to know"] if len(made.notes) > blocking else []
    return ", ".join(parts)


def _next(made: Imported, directory: Path) -> None:
    first = next((name for each in made.replications for name in each.texts), "")
    if first:
        typer.echo(f"next: set the variables, then penstock check {clean(str(directory / first))}")


def _document(made: Imported, directory: Path) -> dict[str, object]:
    return {
        "written": [str(directory / name) for name in made.texts],
        "not_carried": [_note(note) for note in made.notes],
        "variables": [{"name": v.name, "holds": v.holds} for v in made.variables],
    }


def _note(note: Note) -> dict[str, object]:
    return {
        "subject": clean(note.subject),
        "message": clean(note.message),
        "blocks": note.blocks,
    }
