"""Where the time of a load goes, counted at its copiers (pure).

A copier waits for the source's rows, or brings them to the target; nothing is counted for a row.
Counts add up what runs side by side, and hold what waits still, as those of the stream do.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from typing import Final

from engine.observe.occupancy import Occupancy, no_time

STAGES: Final = ("load-source", "load-decode", "load-target", "load-idle", "load-finish")
"""What `LoadStages.seconds` tells of."""

SILENT_SECONDS: Final = 20.0
"""How long a source may send nothing to a copier that waits for its rows before that is taken for a
lost link: as long as the stream goes without a heartbeat. Rows of a chunk are found by an index.
"""


class LoadStages:
    """The counts, from one attempt to the next. `now` gives seconds that only grow."""

    def __init__(self, now: Callable[[], float] = no_time) -> None:
        self._now = now
        self.source = Occupancy(now)
        """Copiers that wait for the source's rows, or for us to make them of what it sent."""
        self.decoded: Callable[[], float] = no_time
        """Seconds of that in which we made them."""
        self.copying = Occupancy(now)
        """Copiers at a chunk: they wait for one of the two sides."""
        self.idle = Occupancy(now)
        """Copiers that there should be and that have nothing to do, or no session."""
        self.finish = Occupancy(now)
        """Indexes and keys of loaded tables are being made."""
        self.has_more: Callable[[], bool] = no_chunk
        """Whether there would be a chunk for one more copier."""
        self.patience = SILENT_SECONDS
        """How long the source may be silent. Grows where beginning anew did not help: a server may
        take that long to find the first row."""
        self.came = 0
        """Buffers of rows that the source has given, and ends of chunks."""
        self._waiting: dict[int, tuple[float, str]] = {}
        self._waits = 0

    def seconds(self) -> Mapping[str, float]:
        """Seconds by stage since the process began."""
        copying, source, decode = self.copying.seconds, self.source.seconds, self.decoded()
        return {
            "load-source": max(0.0, source - decode),
            "load-decode": decode,
            "load-target": max(0.0, copying - source),
            "load-idle": self.idle.seconds,
            "load-finish": self.finish.seconds,
        }

    def silent(self) -> tuple[float, str]:
        """The longest that a copier waits for the source now, in seconds, and what it reads."""
        if not self._waiting:
            return 0.0, ""
        since, what = min(self._waiting.values())
        return self._now() - since, what

    def moved(self) -> None:
        """The source has given a whole chunk."""
        self.patience = SILENT_SECONDS

    def staff(self, idle: int) -> None:
        """So many copiers have nothing to do."""
        self.idle.add(idle - self.idle.count)

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """A copier waits for the source. `what`: what it reads, in words."""
        self._waits += 1
        number = self._waits
        self._waiting[number] = self._now(), what
        self.source.add(1)
        try:
            yield
        finally:
            del self._waiting[number]
            self.source.add(-1)

    async def counted(
        self, rows: AsyncGenerator[bytes, None], what: str
    ) -> AsyncGenerator[bytes, None]:
        """The same rows. What is closed early closes them."""
        async with aclosing(rows):
            buffers: AsyncIterator[bytes] = aiter(rows)
            while True:
                with self.waiting(what):
                    buffer = await anext(buffers, None)
                self.came += 1
                if buffer is None:
                    return
                yield buffer


def no_chunk() -> bool:
    """Of a load that is not under way."""
    return False
