"""How often one cause may write a line: the rest is counted, never lost from sight (pure)."""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Final

LINES_PER_SECOND_MAX: Final = 10
"""Lines one cause may write in one second.

A fault that strikes every row would otherwise write as many lines as rows; ten are enough to see
what happens, and the count says how often.
"""

CAUSES_MAX: Final = 1_000
"""Causes remembered at once; a cause is a call site and an error class, so hundreds at most."""

WINDOW_SECONDS: Final = 1.0


@dataclass(slots=True)
class _Window:
    began: float
    written: int = 0
    suppressed: int = 0


class LineLimit:
    """Admits at most `LINES_PER_SECOND_MAX` lines of one cause in any window of a second."""

    def __init__(self) -> None:
        self._windows: dict[Hashable, _Window] = {}
        self._suppressing: set[Hashable] = set()

    def admit(self, cause: Hashable, now: float) -> bool:
        """Tell whether a line of this cause may be written; one that may not is counted."""
        window = self._window(cause, now)
        if window.written >= LINES_PER_SECOND_MAX:
            window.suppressed += 1
            self._suppressing.add(cause)
            return False
        window.written += 1
        return True

    def take_suppressed(self, now: float | None = None) -> Iterator[tuple[Hashable, int]]:
        """Give each cause's count of unwritten lines once its window is over, and forget it.

        Without `now`: all counts, whatever their window.
        """
        if not self._suppressing:
            return
        for cause in sorted(self._suppressing, key=repr):
            window = self._windows[cause]
            if now is None or now - window.began >= WINDOW_SECONDS:
                self._suppressing.discard(cause)
                count, window.suppressed = window.suppressed, 0
                yield cause, count

    def _window(self, cause: Hashable, now: float) -> _Window:
        window = self._windows.get(cause)
        if window is None:
            self._make_room()
            window = self._windows[cause] = _Window(began=now)
        elif now - window.began >= WINDOW_SECONDS:
            window.began = now
            window.written = 0
        return window

    def _make_room(self) -> None:
        if len(self._windows) < CAUSES_MAX:
            return
        for cause in list(self._windows):
            if cause not in self._suppressing:
                del self._windows[cause]
                return
        oldest = next(iter(self._windows))
        self._suppressing.discard(oldest)
        del self._windows[oldest]
