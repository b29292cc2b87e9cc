"""The machine's own clock behind the engine's seam."""

import time


class SystemClock:
    """Implements `engine.machine.Clock`."""

    def monotonic(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.time()
