"""A disk that is full, under the state of a daemon: a small file system of its own where one may be
mounted, else a limit of the size of files, which a process meets as it meets a full disk."""

import contextlib
import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

import pytest

from tests.scenario.daemon.serving import Serving

SIZE: Final = "48m"

ROOM: Final = "256m"
"""After it was enlarged."""

BALLAST: Final = "ballast"


class Disk(Protocol):
    """The disk below `state` of a folder."""

    def fill(self, daemon: Serving | None = None) -> None:
        """From now on it takes nothing more, of this daemon."""
        ...

    def make_room(self) -> None:
        """From now on it does."""
        ...


class SmallDisk:
    """A file system in memory. `fill` leaves no block."""

    def __init__(self, state: Path) -> None:
        self._state = state

    def fill(self, daemon: Serving | None = None) -> None:
        descriptor = os.open(self._state / BALLAST, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            for size in (1 << 20, 4096):
                with contextlib.suppress(OSError):
                    while True:
                        os.write(descriptor, b"x" * size)
        finally:
            os.close(descriptor)

    def make_room(self) -> None:
        (self._state / BALLAST).unlink()

    def read_only(self) -> None:
        """Nothing can be written from now on."""
        self._remount("ro")

    def writable(self) -> None:
        """It can again."""
        self._remount("rw")

    def _remount(self, how: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{how}", str(self._state)], check=True)


class Limited:
    """Files of the daemon's process grow no more. Children have the limit that it has at their
    fork."""

    def __init__(self) -> None:
        self._pid = 0

    def fill(self, daemon: Serving | None = None) -> None:
        assert daemon is not None
        self._pid = daemon.process.pid
        self._limit(4096)

    def make_room(self) -> None:
        self._limit(resource.RLIM_INFINITY)

    def _limit(self, soft: int) -> None:
        _, hard = resource.prlimit(self._pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self._pid, resource.RLIMIT_FSIZE, (soft, hard))


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[SmallDisk]:
    """One below `folder`/state; skips the test where none may be mounted."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    state = folder / "state"
    state.mkdir(mode=0o700, parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0700", "none", str(state)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("file systems cannot be mounted here")
    try:
        yield SmallDisk(state)
    finally:
        subprocess.run(["umount", "-l", str(state)], check=True)


@contextlib.contextmanager
def limited(folder: Path) -> Iterator[Limited]:
    """What takes the place of one anywhere."""
    yield Limited()
