"""Row by row: a chunk that the target refused as a whole.

It is read once more and loaded in pieces under savepoints; a refused piece is halved until single
rows are left. A refused row is kept aside and the others are loaded, or the first one ends the pass
and its table is not loaded.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from engine.contracts import TargetTransaction
from engine.errors import RowRejectedError
from engine.model.batch import Written
from engine.model.load_rows import LoadRows
from engine.model.rejected import REJECTED, payload
from engine.model.relation import Relation
from engine.model.state import RejectedRow

PIECE_ROWS_MAX: Final = 1_000
"""Rows of one piece: three round trips each, and ten halvings find a row in it."""

PIECE_BYTES_MAX: Final = 1_048_576
"""Size from which a piece has no further row, in bytes; it stays in memory while it is halved."""

OPERATION: Final = "load"
"""`RejectedRow.operation` of a row that a load brought."""


class FirstRefusalError(Exception):
    """The first refused row, where none may be left out."""

    def __init__(self, row: RejectedRow, error: RowRejectedError) -> None:
        super().__init__(error.message)
        self.row = row
        self.error = error


@dataclass(slots=True)
class RowByRow:
    """One pass over a chunk's data. `leave_out`: refused rows are kept aside, `kept` counts them.
    `lane` and `place`, a position of the log that the chunk was read at, are noted with them.
    `sealed` gives such a row as it may stand in the target."""

    transaction: TargetTransaction
    relation: Relation
    form: str
    rows: LoadRows
    lane: str
    place: str
    leave_out: bool
    sealed: Callable[[RejectedRow], RejectedRow]
    kept: int = 0

    async def load(self, data: AsyncIterator[bytes]) -> Written:
        """Load what is not refused.

        Raises:
            FirstRefusalError: a row is refused and none may be left out.
        """
        written = Written()
        piece: list[bytes] = []
        size = 0
        async for buffer in data:
            for row in self.rows.feed(buffer):
                piece.append(row)
                size += len(row)
                if len(piece) >= PIECE_ROWS_MAX or size >= PIECE_BYTES_MAX:
                    await self._load(piece, written)
                    piece, size = [], 0
        self.rows.finish()
        await self._load(piece, written)
        return written

    async def _load(self, piece: Sequence[bytes], written: Written) -> None:
        if not piece:
            return
        transaction = self.transaction
        await transaction.savepoint()
        try:
            data = _once(self.rows.join(piece))
            loaded = await transaction.load(self.relation, self.form, data)
            await transaction.release_savepoint()
        except RowRejectedError as error:
            await transaction.rollback_to_savepoint()
            if len(piece) == 1:
                await self._refused(piece[0], error)
                return
        else:
            written.rows += loaded.rows
            written.bytes += loaded.bytes
            return
        middle = len(piece) // 2
        await self._load(piece[:middle], written)
        await self._load(piece[middle:], written)

    async def _refused(self, row: bytes, error: RowRejectedError) -> None:
        kept = self._rejected_row(row, error)
        if not self.leave_out:
            raise FirstRefusalError(kept, error)
        await self.transaction.reject(self.sealed(kept))
        self.kept += 1

    def _rejected_row(self, row: bytes, error: RowRejectedError) -> RejectedRow:
        columns = [replace(column, format=self.rows.format) for column in self.relation.columns]
        described = replace(self.relation, columns=tuple(columns))
        return RejectedRow(
            table=self.relation.table,
            lane=self.lane,
            position=self.place,
            operation=OPERATION,
            reason=REJECTED,
            sqlstate=error.sqlstate,
            message=error.message,
            payload=payload(OPERATION, described, self.rows.values(row), None),
        )


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
