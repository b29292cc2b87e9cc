"""The process that carried a replication before: two must not. See: proc(5), `stat`.

It ends with its daemon. Where that is frozen, and the lease another's by now, it is ended here; on
another machine it cannot be seen, and who comes after it takes its place in the databases.
"""

import asyncio
import contextlib
import os
import signal
import socket
from pathlib import Path
from typing import Final

from engine.control.resources.replication import Worker

LOOK_SECONDS: Final = 0.05

LOOKS: Final = 40
"""For two seconds: a process whose parent has died ends within milliseconds."""

START_FIELD: Final = 19
"""`starttime` behind the command's name, counted from 0."""


def known(pid: int, run: str) -> Worker:
    """The process with this number, to be known again."""
    return Worker(pid=pid, started=_started(pid), run=run, host=socket.gethostname())


def lives(worker: Worker) -> bool:
    """Whether it runs on this machine. Another machine's cannot be seen from here: those end with
    their own daemon, and ownership in the target keeps two apart."""
    return worker.host == socket.gethostname() and 0.0 < _started(worker.pid) == worker.started


async def gone(worker: Worker | None) -> None:
    """Wait until it has ended, as its parent's death makes it do; it is killed where it does not.
    Nothing durable is lost by that."""
    if worker is None:
        return
    for _ in range(LOOKS):
        if not lives(worker):
            return
        await asyncio.sleep(LOOK_SECONDS)
    with contextlib.suppress(OSError):  # it has ended just now, or is another account's
        os.kill(worker.pid, signal.SIGKILL)
    for _ in range(LOOKS):
        if not lives(worker):
            return
        await asyncio.sleep(LOOK_SECONDS)


def _started(pid: int) -> float:
    """When a process began, in seconds since the machine did; 0 where there is none, it only waits
    to be collected, or the system has no such files."""
    with contextlib.suppress(OSError, IndexError, ValueError):
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        if words[0] != "Z":
            return int(words[START_FIELD]) / os.sysconf("SC_CLK_TCK")
    return 0.0
