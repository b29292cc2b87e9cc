import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.control.service_manager import ALIVE, READY, ServiceManager


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    """What listens as systemd does, and its address."""
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(address)
        listener.settimeout(10)
        yield address, listener


def test_what_is_told_arrives(manager: tuple[str, socket.socket]) -> None:
    address, listener = manager
    told = ServiceManager({"NOTIFY_SOCKET": address})
    told.tell(READY, ALIVE)
    assert listener.recv(1000) == b"READY=1\nWATCHDOG=1"
    told.status("acts")
    assert listener.recv(1000) == b"STATUS=acts"


def test_linux_abstract_names_are_addresses_too() -> None:
    name = f"penstock-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"\0{name}")
        listener.settimeout(10)
        ServiceManager({"NOTIFY_SOCKET": f"@{name}"}).tell(READY)
        assert listener.recv(1000) == READY.encode()


def test_nobody_need_listen(tmp_path: Path) -> None:
    ServiceManager({}).tell(READY)
    ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "gone")}).tell(READY)


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_life_is_told_of_at_half_the_time(
    environment: dict[str, str], seconds: float | None
) -> None:
    assert ServiceManager(environment).alive_seconds == seconds
