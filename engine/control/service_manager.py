"""What a service manager is told of the process it started. See: sd_notify(3), systemd.service(5).

Told by datagrams to the socket that NOTIFY_SOCKET names; where none is named, nobody is told.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Mapping
from typing import Final

READY: Final = "READY=1"
STOPPING: Final = "STOPPING=1"
ALIVE: Final = "WATCHDOG=1"

SOCKET: Final = "NOTIFY_SOCKET"
WATCHDOG: Final = "WATCHDOG_USEC"
WATCHDOG_PID: Final = "WATCHDOG_PID"

MICROSECONDS: Final = 1e6


class ServiceManager:
    """Whoever started this process."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._address = environment.get(SOCKET, "")
        self.alive_seconds = _watchdog(environment)
        """How often `ALIVE` is to be told; None: never."""

    def tell(self, *words: str) -> None:
        """Tell; whoever cannot be reached is not waited for. Never raises."""
        if not self._address:
            return
        address = self._address
        if address.startswith("@"):  # Linux' abstract names
            address = f"\0{address[1:]}"
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.setblocking(False)
            out.sendto("\n".join(words).encode(), address)

    def status(self, text: str) -> None:
        """One line for people, as `systemctl status` shows it."""
        self.tell(f"STATUS={text}")

    async def tell_alive(self) -> None:
        """Tell in time that the loop turns; returns at once where nobody waits for it."""
        while self.alive_seconds is not None:
            self.tell(ALIVE)
            await asyncio.sleep(self.alive_seconds)


def _watchdog(environment: Mapping[str, str]) -> float | None:
    """Half of the time after which a silent process is taken for a dead one."""
    microseconds = environment.get(WATCHDOG, "")
    meant = environment.get(WATCHDOG_PID, str(os.getpid())) == str(os.getpid())
    if not (meant and microseconds.isdecimal() and int(microseconds)):
        return None
    return int(microseconds) / MICROSECONDS / 2
