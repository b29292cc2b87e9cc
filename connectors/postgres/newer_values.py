"""Values of newer servers that an older one takes for others and says nothing. (pure)

Most of what a server does not know it refuses. Two things it does not: the binary form of an
infinite interval (PostgreSQL 17 and later) is that of a finite one before, and the text form of a
`"char"` beyond ASCII, which is octal from 16 on, is read as a backslash before. A row with one of
them is refused here, where the target is the older server.

Source: timestamp.h (INTERVAL_NOBEGIN, INTERVAL_NOEND), interval_send and charout of the servers.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from engine.errors import RowRejectedError
from engine.model.batch import Run
from engine.model.change import DELETE
from engine.model.relation import Column, Format, Relation
from engine.model.value import Row

INFINITE_INTERVALS_FROM: Final = 170000
"""Server version that has infinite intervals."""

OCTAL_CHARS_FROM: Final = 160000
"""Server version that writes and reads a `"char"` beyond ASCII in octal."""

FEATURE_NOT_SUPPORTED: Final = "0A000"

_INTERVAL: Final = re.compile(r"\binterval\b")
_CHAR: Final = re.compile(r'"char"')

_INFINITE: Final = re.compile(
    rb"\x7f\xff{7}\x7f\xff{3}\x7f\xff{3}|\x80\0{7}\x80\0{3}\x80\0{3}", re.DOTALL
)
_OCTAL: Final = re.compile(rb"\\[0-3][0-7]{2}")


class Misread(NamedTuple):
    """A column, by its place, whose values the target may misread: those with `pattern` in them."""

    place: int
    pattern: re.Pattern[bytes]
    what: str


def misread_columns(relation: Relation, version: int) -> tuple[Misread, ...]:
    """The columns to look at before a server of this version gets their values."""
    return tuple(_misread(relation.columns, version))


def misread_in_text(relation: Relation, version: int) -> tuple[Misread, ...]:
    """The same for a load in text form."""
    return tuple(_misread([replace(c, format=Format.TEXT) for c in relation.columns], version))


def holds_intervals(column: Column) -> bool:
    """Whether it is of type interval or has a part that is."""
    return _mentions(column, _INTERVAL)


def refuse_misread(columns: Sequence[Misread], run: Run) -> None:
    """Raises RowRejectedError for a run with a value that the target would take for another."""
    if run.kind == DELETE:
        return
    for row in run.rows:
        refuse_misread_row(columns, run.relation, row)


def refuse_misread_row(columns: Sequence[Misread], relation: Relation, row: Row) -> None:
    """The same for a single row."""
    for place, pattern, what in columns:
        value = row[place]
        if isinstance(value, bytes) and pattern.search(value):
            raise _refused(relation, place, what)


def _misread(columns: Sequence[Column], version: int) -> Iterable[Misread]:
    for index, column in enumerate(columns):
        binary = column.format is Format.BINARY
        if binary and version < INFINITE_INTERVALS_FROM and holds_intervals(column):
            yield Misread(index, _INFINITE, "an infinite interval")
        if not binary and version < OCTAL_CHARS_FROM and _mentions(column, _CHAR):
            yield Misread(index, _OCTAL, 'a "char" beyond ASCII')


def _mentions(column: Column, type_name: re.Pattern[str]) -> bool:
    return bool(type_name.search(column.type.name) or type_name.search(column.type.definition))


def _refused(relation: Relation, place: int, what: str) -> RowRejectedError:
    return RowRejectedError(
        f"{relation.qualified}: column {relation.columns[place].name} holds {what}, which this"
        f" version of the target takes for another value",
        sqlstate=FEATURE_NOT_SUPPORTED,
        hint="give the row another value on the source, or take a newer server as the target",
        context={"table": relation.qualified},
    )
