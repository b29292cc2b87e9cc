"""A chunk's rows into a table: by LOAD DATA LOCAL from memory, else by INSERT.

LOAD DATA LOCAL never fails over a row: it clamps, cuts, and leaves out, and counts warnings. So
what it did counts only when every row sent was stored and there was no warning; otherwise the load
is refused, and whoever reads the rows one by one finds out which it was.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final

from connectors._interchange.load_rows import TextRows
from connectors.mysql import load_statement, target_errors
from connectors.mysql.column_plan import NATIVE
from connectors.mysql.plan import TablePlan
from connectors.mysql.result import Result
from connectors.mysql.target_link import ServerError
from engine.errors import RowRejectedError, SchemaMismatchError
from engine.failpoint import hit, register
from engine.model.batch import Run, Written
from engine.model.change import INSERT
from engine.model.load_rows import LoadRows
from engine.model.relation import Format, Relation
from engine.model.value import Row

if TYPE_CHECKING:
    from connectors.mysql.session import MysqlSession

SENDING: Final = register("mysql.load-data", "a chunk's rows are on their way to LOAD DATA")

NATIVE_TEXT: Final = "mysql-text"
"""Rows in the native form: fields apart by tabs, rows ended by newlines, `\\N` for NULL. Inside a
field backslash, tab and newline are a backslash and itself, `t`, `n`; the same may be done to
carriage return (`r`), NUL (`0`) and Control-Z (`Z`)."""

INTERCHANGE_TEXT: Final = "postgres-text"
"""COPY's text format."""

PIECE_ROWS_MAX: Final = 2_000
PIECE_BYTES_MAX: Final = 1_048_576
"""Rows and bytes that are written at once where LOAD DATA is not allowed."""

_ESCAPED: Final = re.compile(rb"\\(.)", re.DOTALL)
_MEANING: Final = {b"0": b"\0", b"b": b"\b", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"Z": b"\x1a"}
_ONLY_POSTGRES: Final = {b"f": b"\f", b"v": b"\v"}
"""Escapes of COPY that LOAD DATA does not know; their characters need none."""


def load_form(relation: Relation) -> str:
    """The form for rows of a source's relation."""
    return NATIVE_TEXT if relation.wire == NATIVE else INTERCHANGE_TEXT


def require_form(relation: Relation, form: str) -> None:
    """Raises SchemaMismatchError for a form that this relation's rows do not have."""
    if form != load_form(relation):
        raise SchemaMismatchError(
            f"{relation.qualified}: its rows cannot be loaded in the form {form}"
        )


def statement(plan: TablePlan) -> bytes:
    """LOAD DATA for all columns of the plan's relation, in its order."""
    named = [(column, column.name) for column in plan.by_index]
    return load_statement.statement(plan.target.sql, named)


class Feed:
    """A chunk's data on its way. `rows` and `bytes` count what came in."""

    def __init__(self, relation: Relation, form: str, data: AsyncIterator[bytes]) -> None:
        self._data = data
        self._translate = form == INTERCHANGE_TEXT
        self.rows = 0
        self.bytes = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        held = b""
        async for piece in self._data:
            self.rows += piece.count(b"\n")
            self.bytes += len(piece)
            if self._translate:
                data = held + piece
                held = b"\\" if _ends_in_escape(data) else b""
                yield _translated(data[:-1] if held else data)
            else:
                yield piece
            hit(SENDING)
        if held:
            yield held


def _ends_in_escape(piece: bytes) -> bool:
    return bool((len(piece) - len(piece.rstrip(b"\\"))) % 2)


def _translated(piece: bytes) -> bytes:
    if rb"\f" not in piece and rb"\v" not in piece:
        return piece
    return _ESCAPED.sub(lambda found: _ONLY_POSTGRES.get(found[1], found[0]), piece)


async def refusal(
    session: "MysqlSession", subject: str, result: Result, sent: int
) -> RowRejectedError:
    """The error for a load that did not store every row as it is."""
    (warnings,) = await session.run(b"SHOW WARNINGS LIMIT 1")
    if warnings.rows:
        _, number, message = [(cell or b"").decode(errors="replace") for cell in warnings.rows[0]]
        errno = int(number)
        state = "23000" if errno in target_errors.CONSTRAINTS else "22000"
        found = target_errors.refusal(ServerError(errno, state, message), subject)
        if isinstance(found, RowRejectedError):
            return found
    return RowRejectedError(
        f"{subject}: the target stored {result.affected} of {sent} rows as they are",
        sqlstate="22000",
        hint="widen the columns on the target, or see what its triggers do",
        context={"warnings": result.warnings},
    )


class NativeRows(TextRows):
    """The native form. See `model.load_rows`."""

    format = Format.TEXT

    def values(self, row: bytes) -> Row:
        return tuple([None if v == rb"\N" else _plain(v) for v in row.split(b"\t")])


def _plain(value: bytes) -> bytes:
    if b"\\" not in value:
        return value
    return _ESCAPED.sub(lambda found: _MEANING.get(found[1], found[1]), value)


def load_rows(relation: Relation, form: str) -> LoadRows:
    """Takes data in one of the forms apart."""
    columns = len(relation.columns)
    return NativeRows(columns) if form == NATIVE_TEXT else TextRows(columns)


async def insert(
    write: Callable[[Sequence[Run]], Awaitable[Written]],
    relation: Relation,
    form: str,
    data: AsyncIterator[bytes],
) -> Written:
    """Write the rows by INSERT, a piece at a time."""
    reader = load_rows(relation, form)
    written = Written()
    rows: list[Row] = []
    size = 0
    async for piece in data:
        written.bytes += len(piece)
        for row in reader.feed(piece):
            rows.append(reader.values(row))
            size += len(row)
            if len(rows) >= PIECE_ROWS_MAX or size >= PIECE_BYTES_MAX:
                written.rows += (await write([Run(INSERT, relation, rows, net=True)])).rows
                rows, size = [], 0
    reader.finish()
    written.rows += (await write([Run(INSERT, relation, rows, net=True)])).rows
    return written
