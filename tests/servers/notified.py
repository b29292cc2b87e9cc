"""Stands in for systemd: the socket that a service tells how it is."""

import contextlib
import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

PATIENCE_SECONDS: Final = 60.0
"""A start takes a second; a minute means that it is not told."""

LONGEST: Final = 4096

MICROSECONDS: Final = 1_000_000


class Notified:
    """What was told so far, oldest first."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(PATIENCE_SECONDS)
        self._socket.bind(str(path))
        self.told: list[str] = []

    def environment(self, watchdog_seconds: float) -> Mapping[str, str]:
        """What the service is started with."""
        microseconds = str(int(watchdog_seconds * MICROSECONDS))
        return {"NOTIFY_SOCKET": str(self._path), "WATCHDOG_USEC": microseconds}

    def until(self, word: str) -> None:
        """Wait for a word that was not told when this was last asked."""
        while True:
            told = self._socket.recv(LONGEST).decode()
            self.told.append(told)
            if word in told.split("\n"):
                return

    def close(self) -> None:
        self._socket.close()
        self._path.unlink()


@contextlib.contextmanager
def notified(folder: Path) -> Iterator[Notified]:
    """A socket in a folder; its name has to be short."""
    made = Notified(folder / f"n{os.getpid()}")
    try:
        yield made
    finally:
        made.close()
