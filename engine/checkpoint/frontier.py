"""The highest position with no unfinished predecessor (pure).

Transactions begin in log order and finish in any order. A transaction is finished when its end is
known and every piece of it handed to a lane is durable. `position` only grows.
"""

from collections import deque

from engine.model.position import Position
from engine.model.segment import Mark


class Frontier:
    """Who hands pieces out calls `begin`, `hand`, `finish`; who made one durable calls `done`."""

    def __init__(self, start: Position) -> None:
        self.position = start
        self.rows_moved = False
        """Set when a transaction with rows has moved the position; the committer clears it."""
        self._marks: deque[Mark] = deque()

    def begin(self, committed_at_us: int = 0) -> Mark:
        """A transaction starts; call in log order."""
        mark = Mark(committed_at_us=committed_at_us)
        self._marks.append(mark)
        return mark

    def finish(self, mark: Mark, end: Position) -> None:
        """The transaction's end is known and all its pieces have been handed out."""
        mark.end = end
        self._advance()

    def idle(self, position: Position) -> None:
        """Nothing up to `position` is still to come. Call only while no transaction is open."""
        self._marks.append(Mark(end=position))
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

    def _advance(self) -> None:
        marks = self._marks
        while marks and marks[0].pending == 0:
            end = marks[0].end
            if end is None:
                return
            self.position = end
            marks.popleft()
