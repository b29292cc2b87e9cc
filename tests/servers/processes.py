"""The processes of a server: found in Linux's /proc, ended, and watched over."""

import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

GONE_TIMEOUT_SECONDS: Final = 60.0
"""A killed process is gone within a second; a machine short of memory takes longer."""

POLL_SECONDS: Final = 0.01

WATCHDOG: Final = """
read -r _ && exit 0
pid=$(head -n 1 "$1/$2" 2>/dev/null)
if [ -n "$pid" ]; then
  kill -QUIT "$pid"; kill -CONT "$pid"
  for _ in 1 2 3 4 5 6 7 8 9 10; do kill -0 "$pid" || break; sleep 1; done
  kill -KILL "$pid"
fi 2>/dev/null
rm -rf "$1"
"""
"""Ends the server when its pipe closes without a line, that is: when the test process is gone."""


class Startable(ABC):
    """A server that runs for as long as its context."""

    @abstractmethod
    def start(self) -> None:
        """Start and wait until it answers."""

    @abstractmethod
    def destroy(self) -> None:
        """Stop and remove everything. Idempotent."""

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.destroy()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.destroy()


class Watchdog:
    """A shell that outlives the test process just long enough to end a server of its.

    `pid_file` stands in `directory`; its first line is the server's process id. The directory goes
    with the server.
    """

    def __init__(self, directory: Path, pid_file: str) -> None:
        self._shell = subprocess.Popen(
            ["/bin/sh", "-c", WATCHDOG, "watchdog", str(directory), pid_file],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def watching(self) -> bool:
        return self._shell.stdin is not None and not self._shell.stdin.closed

    def dismiss(self) -> None:
        """End it: the server and its directory are the caller's to remove, or removed."""
        self._shell.communicate(b"done\n")


def children(parent: int) -> Sequence[int]:
    """The ids of a process's direct children."""
    return [pid for pid, ppid in _processes() if ppid == parent]


def kill(pid: int, what: signal.Signals) -> None:
    """Send a signal to a process that may be gone."""
    try:
        os.kill(pid, what)
    except ProcessLookupError:
        return  # it ended by itself, which is what every caller wants or can bear


def await_gone(pids: Sequence[int]) -> None:
    """Wait for orphans that init has to reap; a zombie holds nothing any more."""
    deadline = time.monotonic() + GONE_TIMEOUT_SECONDS
    while any(_alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)


def _processes() -> Iterator[tuple[int, int]]:
    """(process id, parent's id) of every process."""
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended while we were looking
        yield int(entry.parent.name), int(fields[1])


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
