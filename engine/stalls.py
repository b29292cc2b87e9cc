"""Stuck is not idle: a stage that has work and does not move is told apart from one without work.

Reading is stuck when the source has more than was read, or gives no sign of life, and nothing is
read. Applying is stuck when changes wait, other than for a load, and nothing becomes durable. Both
are said within half a minute: in the log with what to do, in `penstock_stuck` and in `/readyz`.

It is watched from the first attempt to the last: an attempt that a silent server holds up before
its stream begins counts as that stage standing still, from the moment at which it last moved. So
does a load: reading is stuck when copiers wait for rows and none come, applying when they bring
rows and none are taken. Beside a stream and a load, a source is stuck when it was asked something
(its tables, their chunks: `engine/observe/questions.py`) and does not answer.

A link to the source on which nothing comes is given up and opened again, which its connector does
by itself when it misses the server's heartbeats. Here it is the last resort, tried at growing
intervals: a server that has a long way to go before it finds something to send must not be begun
anew for ever. Sessions of the target that answer nothing are `engine/silence.py`'s.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Protocol

from engine.apply.backlog import backlog
from engine.apply.lane import Lane
from engine.checkpoint.ownership import SeqSum
from engine.errors import PenstockError, SourceError, TargetBusyError, TargetError
from engine.frozen import Frozen
from engine.machine import Clock
from engine.model.position import Position
from engine.observe.lag import SourceLag
from engine.observe.load_stages import LoadStages
from engine.observe.log import Log
from engine.observe.metrics import Metrics, Stage
from engine.observe.questions import Questions

STUCK_SECONDS: Final = 25.0
"""How long a stage may have work and not move. Longer than a server takes to restart, and shorter
than the half a minute within which it has to be said."""

LOOK_SECONDS: Final = 1.0

BUSY_SECONDS: Final = 60.0
"""How long an attempt that follows one which waited for a lock in vain must go on before the lock
is taken for gone: longer than it would wait for it again."""

REOPEN_SECONDS: Final = 60.0
"""How long nothing may be read before the link to the source is given up; each time in a row that
it helps nothing, twice as long is waited. A connector gives a silent link up after twenty."""

SOURCE_HINT: Final = (
    "see on the source whether its server runs, and the session that sends the log, and what it"
    " waits for; the link is given up and opened again by itself"
)

TARGET_HINT: Final = (
    "see on the target what its sessions of this replication wait for: a lock, a slow trigger, an"
    " index that is missing"
)


class Capture(Protocol):
    """The reader of the source's log."""

    passed: Position
    waits_for_room: bool

    def cut(self, why: str) -> bool:
        """Give the link up and open another, when nothing is in hand; whether it was."""
        ...


class Progress:
    """Since when a stage has not moved; says so once, and when it moves again."""

    def __init__(self, stage: Stage, clock: Clock, metrics: Metrics, log: Log, hint: str) -> None:
        self._stage = stage
        self._clock = clock
        self._metrics = metrics
        self._log = log
        self._hint = hint
        self._told = False
        self.since = clock.monotonic()
        """When it moved last, or had nothing to do."""

    @property
    def seconds(self) -> float:
        return self._clock.monotonic() - self.since

    def moved(self) -> None:
        """It moved, or has nothing to do."""
        if self._told:
            self._log.info(
                "a stage moves again",
                action="stage.moves",
                stage=self._stage.value,
                duration_ms=round(self.seconds * 1000),
            )
        self._told = False
        self.since = self._clock.monotonic()
        self._metrics.stage(self._stage, "")

    def still(self, why: str, waits_for: str = "") -> None:
        """It has work and did not move."""
        if self.seconds < STUCK_SECONDS:
            return
        self._metrics.stage(self._stage, f"{why} for {self.seconds:.0f} s")
        if not self._told:
            self._told = True
            self._log.warning(
                "a stage is stuck",
                action="stage.stuck",
                stage=self._stage.value,
                reason=why,
                duration_ms=round(self.seconds * 1000),
                hint=self._hint,
                **({"waits_for": waits_for} if waits_for else {}),
            )


class Watched:
    """One stream's reader and lanes. `waits_for` says what the target's sessions wait for, as far
    as that is known."""

    def __init__(
        self,
        capture: Capture,
        reading: SourceLag,
        lanes: Callable[[], Sequence[Lane]],
        seqs: SeqSum,
        waits_for: Callable[[], str],
    ) -> None:
        self._capture = capture
        self._reading = reading
        self._lanes = lanes
        self._seqs = seqs
        self._waits_for = waits_for
        self._read = self._reading_now()
        self._applied = self._applying_now()
        self._reopen_after = REOPEN_SECONDS

    def look_at_source(self, progress: Progress) -> bool:
        """Whether it moved, or has no room to."""
        read, self._read = self._read, self._reading_now()
        if self._capture.waits_for_room or read != self._read:
            progress.moved()
            self._reopen_after = REOPEN_SECONDS
            return True
        why = "it has given no sign of life"
        if self._reading.waits:
            why = "it has more, and nothing of it was read"
        progress.still(why)
        if progress.seconds >= self._reopen_after and self._capture.cut(f"the source: {why}"):
            self._reopen_after = 2 * progress.seconds
        return False

    def look_at_target(self, progress: Progress) -> None:
        applied, self._applied = self._applied, self._applying_now()
        if applied != self._applied or not self._to_apply():
            progress.moved()
        else:
            progress.still("changes wait, and none became durable", self._waits_for())

    def _reading_now(self) -> tuple[Position, float | None]:
        """Changes with everything that is read, and with the word that there is nothing."""
        return self._capture.passed, self._reading.drained_at

    def _applying_now(self) -> tuple[int, int]:
        """Changes with every commit, and with every piece of a transaction that is written."""
        return self._seqs.committed, sum([lane.taken_rows for lane in self._lanes()])

    def _to_apply(self) -> bool:
        """Whether anything waits that an applier could make durable now."""
        return any(
            not lane.held and not lane.parked and lane.suspension is None and backlog(lane).rows
            for lane in self._lanes()
        )


class WatchedLoad:
    """The copiers of one load, before the stream."""

    def __init__(self, stages: LoadStages, metrics: Metrics) -> None:
        self._stages = stages
        self._metrics = metrics
        self._moved = self._now()

    def look(self, source: Progress, target: Progress) -> None:
        moved, self._moved = self._moved, self._now()
        waits_for_source = self._stages.source.count
        if moved != self._moved:
            source.moved()
            target.moved()
        elif waits_for_source:
            source.still("copiers wait for its rows, and none came")
        else:
            source.since += LOOK_SECONDS  # nobody asked it for rows
        if self._stages.copying.count <= waits_for_source:
            target.moved()
        else:
            target.still("rows were read, and it takes no more of them")

    def _now(self) -> tuple[int, int]:
        """Changes with every buffer of rows that comes, and with every chunk that is durable."""
        return self._stages.came, self._metrics.load_rows


class Stalls:
    """Watches one replication through all its attempts."""

    def __init__(self, clock: Clock, metrics: Metrics, log: Log) -> None:
        self._clock = clock
        self._metrics = metrics
        self._frozen = Frozen(clock)
        self.questions = Questions(clock.monotonic)
        """Told of what the source is asked beside its log and its rows."""
        self._loaded = 0
        self._progress = {
            Stage.SOURCE: Progress(Stage.SOURCE, clock, metrics, log, SOURCE_HINT),
            Stage.TARGET: Progress(Stage.TARGET, clock, metrics, log, TARGET_HINT),
        }
        self._unanswered = False
        """Whether the source is held for stuck because it does not answer."""
        self._stream: Watched | None = None
        self._load: WatchedLoad | None = None
        self._began = False
        """Whether the present attempt got as far as a stream, or rows of a load."""
        self._broke = False
        """Whether a stream or load has ended with an error that `failed` was not told of yet."""
        self._down: tuple[Stage, str] | None = None
        self._busy = False
        """The last attempt reached both servers, and waited in vain for a lock."""
        self._reached_at: float | None = None
        """When the present attempt had reached both servers; it streams later, if at all."""

    @contextmanager
    def watching(self, stream: Watched) -> Iterator[None]:
        """A stream runs."""
        self._stream, self._down, self._began = stream, None, True
        self._reached_at = None
        try:
            yield
        except BaseException:
            self._broke = True
            raise
        finally:
            self._stream = None

    @contextmanager
    def loading(self, stages: LoadStages) -> Iterator[None]:
        """Copiers are at work. While a stream runs it alone says what stands still."""
        self._load, self._began = WatchedLoad(stages, self._metrics), True
        try:
            yield
        except BaseException:
            self._broke |= self._stream is None  # beside a stream, only that one's end counts
            raise
        finally:
            self._load = None

    def reached(self) -> None:
        """Both servers answer the present attempt. What it does until it streams (tables, rows,
        indexes) is no stage that stands still, if it does not fail soon."""
        self._reached_at = self._clock.monotonic()

    def failed(self, error: PenstockError) -> None:
        """An attempt has ended with this, and another one will be made."""
        began, self._began, self._broke = self._began, False, False
        reached_at, self._reached_at = self._reached_at, None
        self._busy = isinstance(error, TargetBusyError) and reached_at is not None
        if not isinstance(error, TargetError | SourceError):
            self._down = None
            return
        stage = Stage.TARGET if isinstance(error, TargetError) else Stage.SOURCE
        if self._down is None and not began:  # nothing had begun to move
            now = self._clock.monotonic()
            waited = min(now - reached_at, STUCK_SECONDS) if self._busy and reached_at else 0.0
            self._progress[stage].since = now - waited
        self._down = stage, error.message

    async def run(self) -> None:
        """Look every second, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.look()

    def look(self) -> None:
        """Judge both stages by what has moved since the last look."""
        if self._unanswered and self.questions.unanswered() < STUCK_SECONDS:
            self._unanswered = False
            self._progress[Stage.SOURCE].moved()
        frozen = self._frozen.seconds()
        self._leave_out(frozen)
        self.questions.leave_out(frozen)
        loaded, self._loaded = self._loaded, self._metrics.load_rows
        if loaded != self._loaded:
            self._down = None  # rows are copied: both sides are reached
        if self._stream is not None:
            if self._stream.look_at_source(self._progress[Stage.SOURCE]):
                self.questions.heard()
            self._stream.look_at_target(self._progress[Stage.TARGET])
        elif self.questions.silent()[0] >= STUCK_SECONDS:
            self._look_at_question(*self.questions.silent())
        elif self._load is not None:
            self._load.look(self._progress[Stage.SOURCE], self._progress[Stage.TARGET])
        elif self._down is not None:
            self._look_at_attempt(*self._down)
        elif not self._broke:  # closing the sessions of a silent server takes its time
            for progress in self._progress.values():
                progress.moved()  # what an attempt does before its stream is no stage of it

    def _look_at_question(self, seconds: float, what: str) -> None:
        """The source does not answer, so the target is not asked for anything."""
        self._unanswered = True
        source = self._progress[Stage.SOURCE]
        source.since = min(source.since, self._clock.monotonic() - seconds)
        source.still(f"it was asked for {what}, and has not answered")
        self._progress[Stage.TARGET].since += LOOK_SECONDS

    def _look_at_attempt(self, stage: Stage, why: str) -> None:
        """One that follows another which failed, and has not begun to move anything."""
        if self._reached_at is None:
            self._progress[stage].still(f"it is not reached: {why}")
            return
        if self._busy:
            self._progress[stage].still(f"it is held up: {why}")
        else:
            self._leave_out(LOOK_SECONDS)
        patience = BUSY_SECONDS if self._busy else STUCK_SECONDS
        if self._clock.monotonic() - self._reached_at >= patience:
            self._down = None

    def _leave_out(self, seconds: float) -> None:
        """Time that says nothing of either stage."""
        for progress in self._progress.values():
            progress.since += seconds
