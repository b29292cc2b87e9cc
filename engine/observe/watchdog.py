"""Notices an event loop that stands still, from a thread, while it stands.

Keepalives, feedback to the source and probes all live in one loop. When something blocks it, the
log says so at once and names the lines of code it stands on, never their variables. A loop that
does not come back ends its process: its parent starts another.
"""

import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from engine.machine import Clock
from engine.observe.health import LOOP_LAG_SECONDS_MAX
from engine.observe.log import Log
from engine.observe.places import places

CHECK_SECONDS: Final = 0.5
"""How often the thread looks; a block is reported this much after it has become one."""

BLOCKED_SECONDS_MAX: Final = 25.0
"""How long a loop may stand still before its process is ended: within it a probe has failed, the
source may have given us up, and no lock is waited for so long in this thread. Only time in which
this thread itself ran counts, so a process that was frozen is not ended when it goes on."""


class Watchdog:
    """Watches the thread that made it. `log` must not be shared with another thread. `give_up` is
    called from the watching thread when the loop has stood still for `blocked_seconds_max`."""

    def __init__(
        self,
        log: Log,
        clock: Clock,
        give_up: Callable[[], None],
        blocked_seconds_max: float = BLOCKED_SECONDS_MAX,
    ) -> None:
        self._log = log
        self._clock = clock
        self._watched = threading.get_ident()
        self._beat_at = clock.monotonic()
        self._reported = False
        self._give_up = give_up
        self._checks = 0
        """Looks in a row that found the loop blocked."""
        self._checks_max = round(blocked_seconds_max / CHECK_SECONDS)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="loop watchdog", daemon=True)

    def beat(self) -> None:
        """Tell that the loop runs. Call at least every second, from the loop."""
        self._beat_at = self._clock.monotonic()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(CHECK_SECONDS):
            self._check()

    def _check(self) -> None:
        still = self._clock.monotonic() - self._beat_at
        if still < LOOP_LAG_SECONDS_MAX:
            self._reported = False
            self._checks = 0
            return
        self._checks += 1
        if not self._reported:
            self._reported = True
            self._tell(self._log.warning, "the event loop is blocked", still)
        elif self._checks == self._checks_max:
            self._tell(self._log.error, "the event loop does not come back: a new worker", still)
        elif self._checks > self._checks_max:
            self._give_up()  # one look later, so that the line has been written

    def _tell(self, say: Callable[..., None], message: str, still: float) -> None:
        say(
            message,
            action="worker.blocked",
            duration_ms=round(still * 1000),
            frames=places(sys._current_frames().get(self._watched)),  # noqa: SLF001 - documented
        )
