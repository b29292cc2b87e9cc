"""Rows that a replication kept aside in its target: read there, told, and shown to who has the key.

They go by no log, no event and no file: from the target through the pipe of a process of ours to
who asked (`line`, `row_of`), or from the target to a command's standard output.
"""

import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

import orjson

from engine.abilities import QuarantineTarget
from engine.config.quantity import format_size
from engine.contracts import Target
from engine.errors import ConfigError
from engine.model.relation import TableName
from engine.model.state import QuarantinedRow, RejectedRow
from engine.quarantine import Opener, QuarantineError

ROWS_MAX: Final = 100
"""Of one page."""

BYTES_MAX: Final = 4 << 20
"""Of the payloads of one page; its last row may be larger."""

LINE_BYTES_MAX: Final = 32 << 20
"""Of one row on its way to who asked: a larger one is told without its values, so that those behind
it are read."""

SEALED: Final = "sealed"
"""In the place of a row's values: why they cannot be shown."""


LARGE: Final = "they stand in penstock.quarantine of the target, under its number"


@contextlib.asynccontextmanager
async def opened(target: Target) -> AsyncIterator[QuarantineTarget]:
    """The target, opened, of which kept rows can be read; closed with the context.

    Raises ConfigError where it keeps none; TargetError where it cannot be reached.
    """
    if not isinstance(target, QuarantineTarget):
        raise ConfigError("target.engine", "keeps no rows aside, so there are none to be read")
    try:
        await target.open()
        yield target
    finally:
        await target.close()


async def every(target: QuarantineTarget) -> AsyncIterator[QuarantinedRow]:
    """All of an opened target, oldest first, a page in memory at a time."""
    after = 0
    while page := await target.quarantined(after, ROWS_MAX, BYTES_MAX):
        for each in page:
            yield each
        after = page[-1].number


def line(row: QuarantinedRow) -> bytes:
    """A row as it is kept, for `row_of`; one that is too large, without what is kept of it."""
    text = orjson.dumps(row)
    if len(text) > LINE_BYTES_MAX:
        text = orjson.dumps(replace(row, row=replace(row.row, payload="")))
    return text + b"\n"


def row_of(text: bytes) -> QuarantinedRow:
    """What `line` wrote."""
    document = orjson.loads(text)
    inner = document["row"]
    row = RejectedRow(**{**inner, "table": TableName(**inner["table"])})
    return QuarantinedRow(document["number"], document["at"], row)


def rows_of(text: bytes) -> Iterator[QuarantinedRow]:
    """All that was written."""
    return map(row_of, text.splitlines())


def shown(kept: QuarantinedRow, opener: Opener) -> dict[str, Any]:
    """A kept row with its values, for who may see them; with `SEALED`, why, in the place of values
    that no key here opens."""
    row = kept.row
    return {
        "number": kept.number,
        "at": kept.at,
        "table": {"schema": row.table.schema, "name": row.table.name},
        "lane": row.lane,
        "position": row.position,
        "operation": row.operation,
        "reason": row.reason,
        "sqlstate": row.sqlstate,
        "message": row.message,
        **_values(row, opener),
    }


def _values(row: RejectedRow, opener: Opener) -> Mapping[str, Any]:
    if not row.payload:
        return {SEALED: f"the values are larger than {format_size(LINE_BYTES_MAX)}", "hint": LARGE}
    try:
        kept = opener.opened(row)
    except QuarantineError as error:
        return {SEALED: error.message, "hint": error.hint}
    return {name: kept.get(name) for name in ("wire", "columns", "new", "old")}
