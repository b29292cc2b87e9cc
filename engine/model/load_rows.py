"""Rows in the data of a full load."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from engine.model.relation import Format
from engine.model.value import Row


class LoadRows(Protocol):
    """The rows in a chunk's data, one by one, for a chunk that was refused as a whole. One object
    serves one pass over the data."""

    @property
    def format(self) -> Format:
        """What `values` gives."""
        ...

    def feed(self, data: bytes) -> Iterable[bytes]:
        """The rows that are whole by now, each as the form has it."""
        ...

    def finish(self) -> None:
        """The data has ended. Raises ValueError when that was inside a row."""
        ...

    def join(self, rows: Sequence[bytes]) -> bytes:
        """These rows as data that `TargetTransaction.load` takes."""
        ...

    def values(self, row: bytes) -> Row:
        """A row's values, in the order of the relation's columns."""
        ...
