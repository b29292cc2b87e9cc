"""`penstock quarantine`: rows that a replication could not apply, with their values.

Of a replication file they are read in the target, and opened with the key file that `penstock run`
was given; of a replication of the daemon's the daemon reads and opens them.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
import typer

from engine.control.cli.arguments import load
from engine.control.cli.ending import end_with, say_error
from engine.control.cli.reach import USUAL, As, Output, Url, daemon, say
from engine.control.cli.reload import Of, is_file
from engine.control.client.replications import one
from engine.control.kept_rows import SEALED
from engine.control.value_text import value_text
from engine.observe.redact import clean
from engine.observe.report import Outcome
from engine.quarantine import QuarantineError

IMAGES: Final = {"new": "", "old": "before: "}
"""Of a change: the row, and what it was before."""


def quarantine(of: Of, output: As = Output.TEXT, url: Url = USUAL) -> None:
    """Show the rows that a replication could not apply, with their values.

    Oldest first; values go to standard output and nowhere else. They are sealed where Penstock has
    a key: of a file with the key file that `penstock run` is given (PENSTOCK_KEY_FILE), of a
    replication of the daemon's with the daemon's own, which shows them to access keys with the role
    admin. JSON: a document a line. Exit code 3 where the key of some is not there.
    """
    end_with(lambda: _quarantine(of, url, output))


def _quarantine(of: str, url: str, output: Output) -> int:
    shown = _Shown(output)
    if is_file(of):
        _of_file(Path(of), shown)
    else:
        _of_daemon(of, url, shown)
    return shown.end()


@dataclass
class _Shown:
    """Rows on standard output, one after the other."""

    output: Output
    rows: int = 0
    refused: Mapping[str, Any] | None = None
    """The first whose values no key here opens."""

    def row(self, row: Mapping[str, Any]) -> None:
        self.rows += 1
        if SEALED in row:
            self.refused = self.refused or row
        typer.echo(orjson.dumps(row) if self.output is Output.JSON else "\n".join(_lines(row)))

    def end(self) -> int:
        """The exit code, with what is to be said beside the rows."""
        if not self.rows:
            say("none was kept aside", self.output)
        if self.refused is None:
            return 0
        code, reason = QuarantineError.exit_code, str(self.refused[SEALED])
        say_error(Outcome(code, reason=reason, remedy=str(self.refused["hint"])))
        return code


def _of_daemon(name: str, url: str, shown: _Shown) -> None:
    asked = daemon(url)
    arn = str(one(asked, name)["arn"])
    after = 0
    while True:
        answer = asked.get("replications", arn, "quarantine", after=after)
        for row in answer["rows"]:
            shown.row(row)
        if "after" not in answer:
            return
        after = answer["after"]


def _of_file(file: Path, shown: _Shown) -> None:
    import asyncio  # what knows databases is for files only

    from engine.control import kept_rows, quarantine_keys
    from engine.quarantine import Opener
    from engine.registry import target
    from engine.seams import SystemClock, SystemRandom

    config = load(file)
    opener = Opener(config.id, quarantine_keys.given(os.environ))
    end = target(config.target.engine)(config, SystemClock(), SystemRandom())

    async def show() -> None:
        async with kept_rows.opened(end) as keeping:
            async for each in kept_rows.every(keeping):
                shown.row(kept_rows.shown(each, opener))

    asyncio.run(show())


def _lines(row: Mapping[str, Any]) -> Iterator[str]:
    """A row for people: where it was refused and why, then its values, a line each."""
    table = row["table"]
    yield clean(
        f"{row['number']}  {row['at']}  {table['schema']}.{table['name']}  {row['operation']} at"
        f" {row['position']}"
    )
    yield clean(f"  {row['reason']}: {row['message']}")
    if SEALED in row:
        yield clean(f"  {row[SEALED]}")
        return
    for image, before in IMAGES.items():
        values = row[image] or {}
        for column in row["columns"]:
            if column["name"] in values:
                shown = value_text(column, values[column["name"]])
                yield f"    {clean(before + column['name'])} = {_printable(shown)}"


def _printable(text: str | bytes | None) -> str:
    """Nothing that a terminal would act on, and texts told apart from other values."""
    if text is None:
        return "NULL"
    if isinstance(text, bytes):
        return f"\\x{text.hex()}"
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(each if each.isprintable() else f"\\u{ord(each):04x}" for each in quoted)
