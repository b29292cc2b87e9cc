"""How far what was read is behind the source, and what still waits of each table (pure).

Reading goes on in commit order, so one moment says it all: the newest one up to which every commit
of the source is known to have been read. It is told by the commit time of what was read last, by
the source saying that nothing is left, and by its head, asked for now and then, once that has been
reached. The lag is the time since that moment, and none while the source has said within
`FRESH_SECONDS` that there was nothing more.

So a source that falls silent, or goes on while nothing of it arrives, never looks idle: its lag
grows. Before anything is known, as just after a start, there is no lag to tell, which is not zero.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from engine.machine import Clock
from engine.model.position import Position

T = TypeVar("T", float, int)

FRESH_SECONDS: Final = 10.0
"""How long the source's word that nothing is left is believed: two looks at its head."""

ARRIVAL_SECONDS: Final = 1.0
"""What the source has at a look may take so long to be read before we count as behind it."""

UNTOLD_SECONDS: Final = 2.5
"""Longest time between two tellings of the lag while a stream runs: one is told every second."""

HEADS_MAX: Final = 1_000
"""Heads remembered that have not been reached: more than an hour of looks. Past that every other
one is forgotten."""


@dataclass(frozen=True, slots=True)
class TableLag:
    """What of a table waits. `seconds` is None while it is not known, and infinite when changes
    were dropped and only a new load makes the table whole; `bytes` and `rows` are None then."""

    seconds: float | None
    bytes: int | None = 0
    rows: int | None = 0


def together(lags: Sequence[TableLag]) -> TableLag:
    """Several tables as one: the highest age, and the sums; None where that of one is not known."""
    return TableLag(
        _total([lag.seconds for lag in lags], max),
        _total([lag.bytes for lag in lags], sum),
        _total([lag.rows for lag in lags], sum),
    )


def _total(values: Sequence[T | None], of: Callable[[Sequence[T]], T]) -> T | None:
    known = [value for value in values if value is not None]
    return of(known) if len(known) == len(values) else None


class SourceLag:
    """Told of everything that says how far reading has come. Times are the monotonic clock's."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heads: deque[tuple[float, Position]] = deque()
        self._committed_us = 0
        self._received_at = 0.0
        self._at_head: float | None = None
        self._drained = False
        self._open_since: float | None = None

    def received(self, committed_us: int, *, drained: bool) -> None:
        """Changes up to this source commit (0: none) were read; `drained`: the source says that
        nothing is left."""
        if committed_us:
            self._committed_us = committed_us
        self._drained = drained
        now = self._clock.monotonic()
        if drained:
            self._at_head = now
        else:
            self._received_at = now

    def head(self, position: Position, asked_at: float) -> None:
        """The source had written up to here when it was asked."""
        if len(self._heads) >= HEADS_MAX:
            self._heads = deque(list(self._heads)[::2])
        self._heads.append((asked_at, position))

    def reached(self, position: Position) -> None:
        """Everything up to here has been read."""
        while self._heads and position.reaches(self._heads[0][1]):
            asked_at, _ = self._heads.popleft()
            self._at_head = asked_at if self._at_head is None else max(self._at_head, asked_at)
            quiet = self._received_at <= asked_at
            self._drained = self._drained or (quiet and not self._heads)

    def open_since(self, at: float | None) -> None:
        """The oldest transaction of the source that has written and is still open began then."""
        self._open_since = at

    @property
    def waits(self) -> bool:
        """Whether the source is known to have more than was read, for longer than reading takes."""
        late = self._clock.monotonic() - ARRIVAL_SECONDS
        return bool(self._heads) and self._heads[0][0] <= late

    @property
    def drained_at(self) -> float | None:
        """The last moment at which all there was is known to have been read."""
        return self._at_head

    @property
    def believed(self) -> bool:
        """Whether the source said lately that nothing was left, and has not said otherwise."""
        if self.waits or self._at_head is None or not self._drained:
            return False
        return self._clock.monotonic() - self._at_head <= FRESH_SECONDS

    @property
    def read_seconds(self) -> float | None:
        """Age of the oldest commit that may not have been read; None while that is not known."""
        if self.believed:
            return 0.0
        ages: list[float] = []
        if self._committed_us:
            ages.append(self._clock.wall() - self._committed_us / 1e6)
        if self._at_head is not None:
            ages.append(self._clock.monotonic() - self._at_head)
        return max(0.0, min(ages)) if ages else None

    @property
    def seconds(self) -> float | None:
        """The same, and of what was written and not committed: the age of its transaction."""
        read = self.read_seconds
        if read is None or self._open_since is None:
            return read
        return max(read, self._clock.monotonic() - self._open_since)


class Unmeasured:
    """Lets what was told of the lag grow while nobody measures it: a stream that is down for want
    of its target has not become any faster. Call `tick` about once a second."""

    def __init__(
        self, told: Callable[[], int], grow: Callable[[float], None], clock: Clock
    ) -> None:
        self._told = told
        self._grow = grow
        self._clock = clock
        self._seen = 0
        self._seen_at = clock.monotonic()

    def tick(self) -> None:
        """Note that the lag was told since the last call, or make up for it."""
        now = self._clock.monotonic()
        if self._told() == self._seen and now - self._seen_at < UNTOLD_SECONDS:
            return
        if self._told() == self._seen:
            self._grow(now - self._seen_at)
        self._seen, self._seen_at = self._told(), now
