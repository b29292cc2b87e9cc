"""A table that stopped: its changes wait on disk until it is mended, or until there is no room.

It has left the frontier by a durable record, so it holds no log on the source. Its failing row and
position are kept. From time to time what waits is tried again; when all of it has been applied the
table is back in the stream. When the disk budget is used up the changes are dropped, and only
loading the table again makes it whole.
"""

from collections.abc import Callable

from engine.model.segment import Mark, Segment
from engine.spool import Spool, SpoolFullError


class Suspension:
    """`dropped` is called once, when changes had to be dropped."""

    def __init__(self, spool: Spool, dropped: Callable[[], None]) -> None:
        self._spool = spool
        self._dropped = dropped
        self.due = False
        """Whether it is time to try again."""
        self.lost = False
        """Whether changes were dropped."""

    def take_in(self, segment: Segment) -> None:
        """Keep a segment; drop everything when there is no room."""
        if self.lost:
            return
        try:
            for piece in segment.pieces():
                self._spool.put(piece.transaction, piece.events, piece.ordinals, piece.end)
        except SpoolFullError:
            self.lost = True
            self._spool.clear()
            self._dropped()

    def oldest(self) -> Segment | None:
        """The oldest segment that waits; it stays until `drop`."""
        if not len(self._spool):
            return None
        spooled = self._spool.peek()
        end = spooled.tag
        return Segment(
            Mark(),
            spooled.transaction,
            spooled.events,
            spooled.ordinals,
            0,
            end,  # type: ignore[arg-type]
        )

    def drop(self) -> None:
        """The oldest segment is durable in the target."""
        self._spool.drop()

    def clear(self) -> None:
        """The table is loaded again: nothing of this is needed."""
        self._spool.clear()
