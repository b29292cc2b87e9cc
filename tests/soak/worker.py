"""A worker that says what it is made of when it is asked: `python -m tests.soak.worker ...`.

It is the worker of `penstock run` with one thing more: at SIGUSR1 its loop writes a census into the
file that PENSTOCK_SOAK_CENSUS names, whole or not at all. What is garbage is collected before, so
that only what something still holds is counted; what the interpreter had at the start is not. And
it says how late the loop was since the last census.
"""

import asyncio
import gc
import json
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from engine.worker import Parts, main, system_parts

CENSUS_FILE: Final = "PENSTOCK_SOAK_CENSUS"

PREFIX: Final = "objects "
"""Before the names of types."""

LAG: Final = "loop lag"
"""Milliseconds by which timers came late since the last census, the 99th percentile."""

TICK_SECONDS: Final = 0.02
"""Between two timers. Whatever blocks the loop for longer is met by one."""


class Lag:
    """How late the timers of the running loop are."""

    def __init__(self) -> None:
        self._late: list[float] = []
        self._due = 0.0

    def start(self) -> None:
        """Measure from here on; what was measured is forgotten."""
        self._late.clear()
        loop = asyncio.get_running_loop()
        self._due = loop.time() + TICK_SECONDS
        loop.call_at(self._due, self._tick, self._due)

    def milliseconds(self) -> float:
        """The 99th percentile since `start`."""
        late = sorted(self._late)
        return late[len(late) * 99 // 100] * 1000 if late else 0.0

    def _tick(self, due: float) -> None:
        if due != self._due:
            return  # of a start before the last one
        loop = asyncio.get_running_loop()
        self._late.append(loop.time() - due)
        self._due = loop.time() + TICK_SECONDS
        loop.call_at(self._due, self._tick, self._due)


def census() -> Mapping[str, int]:
    """Tasks of the running loop, threads, memory blocks of the interpreter, objects by type."""
    gc.collect()
    types = Counter([type(thing) for thing in gc.get_objects()])
    objects = Counter[str]()
    for kind, count in types.items():
        objects[f"{PREFIX}{kind.__module__}.{kind.__qualname__}"] += count
    return {
        "tasks": len(asyncio.all_tasks()),
        "threads": threading.active_count(),
        "blocks": sys.getallocatedblocks(),
        **objects,
    }


def _write(path: Path, lag: Lag) -> None:
    late = lag.milliseconds()
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps({**census(), LAG: late}))
    draft.replace(path)
    lag.start()  # the census itself made the loop wait


def counted_parts() -> Parts:
    """The real parts; the pipeline runs beside the handler."""
    parts = system_parts()

    async def pipeline(*arguments: Any, **named: Any) -> object:
        loop = asyncio.get_running_loop()
        lag = Lag()
        lag.start()
        loop.add_signal_handler(signal.SIGUSR1, _write, Path(os.environ[CENSUS_FILE]), lag)
        return await parts.pipeline(*arguments, **named)

    return replace(parts, pipeline=pipeline)


if __name__ == "__main__":
    sys.exit(main(parts=counted_parts))
