"""Decisions in the state directory: what was decided outlives the process, and so does its size.

One line of JSON a decision, its checksum before it, in numbered files of which the newest two are
kept. A line that a crash tore or a disk spoiled is left out and counted; none is worth an end of
the replication, as the law finds its size again within minutes.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from zlib import crc32

import orjson

from engine.config.capacity import UNITS
from engine.errors import StateError
from engine.machine import Disk

PREFIX: Final = "capacity-"
"""Beginning of the names of all its files; their number follows."""

FILE_RECORDS_MAX: Final = 500
"""About 200 KiB. With one decision every ten minutes, a file is three days."""

FILES_MAX: Final = 2

SUM_CHARS: Final = 8

Record = Mapping[str, Any]


class History:
    """Appends records, and reads back those of before. `damaged` counts what `read` left out."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._number = 0
        self._in_file = 0
        self.damaged = 0

    def read(self) -> Sequence[Record]:
        """What is there, the oldest first; comes before the first `add`. Never raises: a file that
        cannot be read counts as damaged."""
        found: list[Record] = []
        for number in self._numbers():
            records = self._records(number)
            self._number, self._in_file = number, len(records)
            found += records
        return found

    def add(self, record: Record) -> None:
        """Append a record. Raises StateError when it cannot be stored."""
        if self._in_file >= FILE_RECORDS_MAX:
            self._number, self._in_file = self._number + 1, 0
            for number in self._numbers()[: -(FILES_MAX - 1)]:
                self._disk.remove(_name(number))
        text = orjson.dumps(record)
        # the line break comes first: what a crash tore off ends with the next record
        self._disk.append(_name(self._number), b"\n%b %b" % (_sum(text), text))
        self._in_file += 1

    def _numbers(self) -> Sequence[int]:
        texts = [name.removeprefix(PREFIX) for name in self._names()]
        return sorted(int(text) for text in texts if text.isdecimal())

    def _names(self) -> Sequence[str]:
        return [name for name in self._disk.names() if name.startswith(PREFIX)]

    def _records(self, number: int) -> Sequence[Record]:
        name = _name(number)
        try:
            data = self._disk.read(name, 0, self._disk.size(name))
        except StateError:
            self.damaged += 1
            return []
        parsed = [_parse(line) for line in data.split(b"\n") if line]
        records = [record for record in parsed if record is not None]
        self.damaged += len(parsed) - len(records)
        return records


def last_units(records: Sequence[Record]) -> int | None:
    """The size that was decided last; None when nothing tells."""
    decided = [record.get("units_to") for record in records]
    return next((units for units in reversed(decided) if units in UNITS), None)


def _name(number: int) -> str:
    return f"{PREFIX}{number}"


def _sum(text: bytes) -> bytes:
    return b"%08x" % crc32(text)


def _parse(line: bytes) -> Record | None:
    text = line[SUM_CHARS + 1 :]
    if line[:SUM_CHARS] != _sum(text):
        return None
    try:
        record = orjson.loads(text)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None
