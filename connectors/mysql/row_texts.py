"""Rows as SQL constants, and as lines of LOAD DATA, a piece at a time. (pure)

Where the loops in C are there (`compiled.py`) they take the place of the loop over rows, which then
only sees what is not as expected, and says what it is.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from connectors._interchange import compiled
from connectors.mysql import literals
from connectors.mysql.column_plan import ColumnPlan
from connectors.mysql.literals import Encode, UnfitError, rejected
from engine.errors import SchemaMismatchError
from engine.model.value import Row, Value

PIECE_BYTES_MAX: Final = 1_048_576
"""Size from which a piece takes no further row, in bytes; below every server's default of
max_allowed_packet, and far beyond where longer statements would be faster."""

PIECE_ROWS_MAX: Final = 5_000
"""Rows of one piece."""

_CALLED: Final = 0
_KINDS: Final[dict[Encode, int]] = {literals.number: 1, literals.text: 2, literals.raw: 3}
"""What `_accelerated.c` writes without calling `encode`."""
_FIELD: Final = 4


class RowTexts:
    """Writes some columns of rows. `subject` is the table's name for messages."""

    def __init__(self, subject: str, columns: Sequence[ColumnPlan], width: int) -> None:
        """`width`: values of a row, written or not."""
        self._subject = subject
        self._columns = tuple(columns)
        self._width = width
        self._indexes = tuple([column.index for column in columns])
        self._encodes = tuple([column.encode for column in columns])
        self._kinds = bytes([_KINDS.get(column.encode, _CALLED) for column in columns])
        self._fields = bytes([_FIELD]) * len(columns)

    def constants(self, rows: Sequence[Row]) -> Iterator[tuple[bytes, int]]:
        """What stands behind VALUES, each piece with its number of rows.

        Raises:
            RowRejectedError: a value has no form in the target's column.
            SchemaMismatchError: a value that is needed was not sent.
        """
        return self._pieces(rows, lines=False)

    def lines(self, rows: Sequence[Row]) -> Iterator[tuple[bytes, int]]:
        """Lines for LOAD DATA: fields apart by tabs; in a field tab, newline and backslash stand
        behind a backslash. Raises SchemaMismatchError."""
        return self._pieces(rows, lines=True)

    def _pieces(self, rows: Sequence[Row], *, lines: bool) -> Iterator[tuple[bytes, int]]:
        given = rows if isinstance(rows, list) else list(rows)
        start = 0
        while start < len(given):
            text, stop = self._written(given, start, lines=lines)
            yield text, stop - start
            start = stop

    def _written(self, rows: list[Row], start: int, *, lines: bool) -> tuple[bytes, int]:
        """Rows from `start` on as far as a piece goes, and where the next one starts."""
        if compiled.LOOPS is not None:
            kinds = self._fields if lines else self._kinds
            try:
                found = compiled.LOOPS.write_texts(
                    lines, kinds, self._indexes, self._encodes, self._width, rows, start,
                    PIECE_BYTES_MAX, PIECE_ROWS_MAX,
                )  # fmt: skip
            except UnfitError:
                found = None
            if found is not None:
                return found
        return self._written_plainly(rows, start, lines=lines)

    def _written_plainly(self, rows: list[Row], start: int, *, lines: bool) -> tuple[bytes, int]:
        texts: list[bytes] = []
        size = 0
        for row in rows[start : start + PIECE_ROWS_MAX]:
            text = self._line(row) if lines else b"(" + b",".join(self._constants(row)) + b")"
            comma = not lines and bool(texts)
            if texts and size + comma + len(text) > PIECE_BYTES_MAX:
                break
            texts.append(text)
            size += comma + len(text)
        return (b"" if lines else b",").join(texts), start + len(texts)

    def _constants(self, row: Row) -> list[bytes]:
        return constants(self._subject, self._columns, row)

    def _line(self, row: Row) -> bytes:
        values = [_sent(self._subject, column, row[column.index]) for column in self._columns]
        return b"\t".join([rb"\N" if v is None else literals.field(v) for v in values]) + b"\n"


def constants(subject: str, columns: Sequence[ColumnPlan], row: Row) -> list[bytes]:
    """The constants of one row. Raises as `RowTexts.constants`."""
    found: list[bytes] = []
    for column in columns:
        value = _sent(subject, column, row[column.index])
        try:
            found.append(b"NULL" if value is None else column.encode(value))
        except UnfitError as error:
            raise rejected(error, subject, column.plain) from None
    return found


def _sent(subject: str, column: ColumnPlan, value: Value) -> bytes | None:
    if value is not None and not isinstance(value, bytes):
        raise SchemaMismatchError(
            f"{subject}: a value of column {column.plain} that is needed was not sent"
        )
    return value
