"""(pure) Rows of the control tables, read back.

Nobody but us writes them; what cannot be read is another program's doing or damage, and stops.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypeAlias, TypeVar

from engine.errors import StateError
from engine.model.chunk import ChunkDone
from engine.model.relation import TableName
from engine.model.state import LaneRow, Owner, QuarantinedRow, RejectedRow, TableRecord, TableState

Cells: TypeAlias = Sequence[str | None]
"""A row's values as the server writes them in text."""

Read = TypeVar("Read")

_MISREAD: Final = (ValueError, KeyError, TypeError, RecursionError)


def owner(row: Cells) -> Owner:
    """Raises StateError, as all here do."""
    return _read("owner", _owner, row)


def lanes(rows: Iterable[Cells]) -> Mapping[str, LaneRow]:
    return dict([_read("checkpoint", _lane, row) for row in rows])


def table(row: Cells) -> TableRecord:
    return _read("table_state", _table, row)


def chunk(row: Cells) -> ChunkDone:
    return _read("chunk", _chunk, row)


def quarantined(row: Cells) -> QuarantinedRow:
    return _read("quarantine", _quarantined, row)


def _read(name: str, read: Callable[[Cells], Read], row: Cells) -> Read:
    try:
        return read(row)
    except _MISREAD as error:
        raise StateError(
            f"a row of penstock.{name} on the target was not understood",
            hint=f"restore penstock.{name}, or remove the replication and load again",
        ) from error


def _owner(row: Cells) -> Owner:
    epoch, identity, fingerprint, process, token, pids, starts = (cell or "" for cell in row)
    sessions = zip(json.loads(pids), _texts(starts), strict=True)
    return Owner(
        int(epoch), identity, fingerprint, process, token,
        tuple([(int(pid), start) for pid, start in sessions]),
    )  # fmt: skip


def _lane(row: Cells) -> tuple[str, LaneRow]:
    lane, epoch, seq, position = row
    return lane or "", LaneRow(int(epoch or 0), int(seq or 0), position or "")


def _table(row: Cells) -> TableRecord:
    schema, name, state, position, reason, relation, asked, answered = (cell or "" for cell in row)
    return TableRecord(
        TableName(schema, name), TableState(state), position, reason, relation,
        int(asked), int(answered),
    )  # fmt: skip


def _chunk(row: Cells) -> ChunkDone:
    schema, name, ordinal, by, _, _, snapshot, until, count = (cell or "" for cell in row)
    low, high = [None if text is None else _texts(text) for text in row[4:6]]
    if low == () or high == ():
        raise ValueError("a bound without a value")
    return ChunkDone(
        TableName(schema, name), int(ordinal), by, low, high, snapshot, until, int(count)
    )


def _quarantined(row: Cells) -> QuarantinedRow:
    number, at, schema, name, *texts = (cell or "" for cell in row)
    lane, position, operation, reason, sqlstate, message, payload = texts
    return QuarantinedRow(
        int(number), at,
        RejectedRow(
            TableName(schema, name), lane, position, operation, reason, sqlstate, message, payload
        ),
    )  # fmt: skip


def _texts(text: str) -> tuple[str, ...]:
    texts = json.loads(text)
    if type(texts) is not list or any(type(one) is not str for one in texts):
        raise TypeError("not a list of texts")
    return tuple(texts)
