"""The highest position with no unfinished predecessor (pure).

Transactions begin in log order and finish in any order. A transaction is finished when its end is
known and every piece of it handed to a lane is durable. `position` only grows.

While one lane is held, the others go on: finished neighbours are joined now and then, so memory
holds no more marks than some multiple of the unfinished transactions.
"""

from collections import deque
from typing import Final

from engine.model.position import Position
from engine.model.segment import Mark

MARKS_KEPT: Final = 1024
"""Fewest marks worth joining; from there on each joining has as many new marks as it looks at."""


class Frontier:
    """Who hands pieces out calls `begin`, `hand`, `finish`; who made one durable calls `done`."""

    def __init__(self, start: Position) -> None:
        self.position = start
        self.rows_moved = False
        """Set when a transaction with rows has moved the position; the committer clears it."""
        self._marks: deque[Mark] = deque()
        self._join_at = MARKS_KEPT

    def begin(self, committed_at_us: int = 0) -> Mark:
        """A transaction starts; call in log order."""
        mark = Mark(committed_at_us=committed_at_us)
        self._append(mark)
        return mark

    def finish(self, mark: Mark, end: Position) -> None:
        """The transaction's end is known and all its pieces have been handed out."""
        mark.end = end
        self._advance()

    def idle(self, position: Position) -> None:
        """Nothing up to `position` is still to come. Call only while no transaction is open."""
        self._append(Mark(end=position))
        self._advance()

    def done(self, mark: Mark) -> None:
        """One piece handed out (`mark.pending += 1`) is durable."""
        mark.pending -= 1
        self.rows_moved = True
        if mark.pending == 0 and mark.end is not None:
            self._advance()

    @property
    def oldest_us(self) -> int:
        """Source commit time of the oldest transaction that is not durable; 0 when none is."""
        return self._marks[0].committed_at_us if self._marks else 0

    @property
    def open_transactions(self) -> int:
        return len(self._marks)

    def _append(self, mark: Mark) -> None:
        if len(self._marks) >= self._join_at:
            self._join()
        self._marks.append(mark)

    def _join(self) -> None:
        """Leave of finished neighbours only the last."""
        kept: deque[Mark] = deque()
        for mark in self._marks:
            if kept and _finished(mark) and _finished(kept[-1]):
                kept.pop()
            kept.append(mark)
        self._marks = kept
        self._join_at = max(MARKS_KEPT, 2 * len(kept))

    def _advance(self) -> None:
        marks = self._marks
        while marks and marks[0].pending == 0:
            end = marks[0].end
            if end is None:
                return
            self.position = end
            marks.popleft()


def _finished(mark: Mark) -> bool:
    return mark.pending == 0 and mark.end is not None
