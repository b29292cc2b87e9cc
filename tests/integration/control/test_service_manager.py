"""What systemd is told by `penstock run` and `penstock serve`."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from engine.control.managed import Managed
from engine.control.service_manager import ServiceManager
from tests.servers.notified import Notified, notified

ROOT = Path(__file__).resolve().parents[3]

PENSTOCK = (sys.executable, "-c", "from engine.control.cli import main; main()")

WATCHDOG_SECONDS = 0.4

FILE = """
[replication]
id = "told"
[source]
engine = "postgres"
url = "postgresql://nobody@127.0.0.1:{port}/shop"
[target]
engine = "postgres"
url = "postgresql://nobody@127.0.0.1:{port}/shop"
"""


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Notified]:
    with notified(tmp_path) as made:
        yield made


@pytest.fixture
def mute() -> Iterator[int]:
    """A port where a connection is taken and nothing is ever said."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def start(manager: Notified, *words: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [*PENSTOCK, *words],
        cwd=ROOT,
        env={**os.environ, **manager.environment(WATCHDOG_SECONDS)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def see_a_life(manager: Notified, words: Sequence[str], *, said_last: str) -> None:
    """Ready, alive more than once, stopping; and the end by SIGTERM is a good one."""
    process = start(manager, *words)
    try:
        manager.until("READY=1")
        manager.until("WATCHDOG=1")
        manager.until("WATCHDOG=1")
        process.send_signal(signal.SIGTERM)
        manager.until(said_last)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()


def test_a_daemon_tells_of_its_life(manager: Notified, tmp_path: Path) -> None:
    state = tmp_path / "state"
    words = ("serve", "--listen=127.0.0.1:0", f"--state-dir={state}")
    see_a_life(manager, words, said_last="STOPPING=1")
    ready = manager.told.index("READY=1")
    assert "STOPPING=1" not in manager.told[:ready]


def test_a_run_tells_of_its_life(manager: Notified, mute: int, tmp_path: Path) -> None:
    file = tmp_path / "told.toml"
    file.write_text(FILE.format(port=mute))
    words = ("run", f"--state-dir={tmp_path}", str(file))
    see_a_life(manager, words, said_last="STOPPING=1")


def test_a_run_that_is_refused_never_says_that_it_is_ready(
    manager: Notified, tmp_path: Path
) -> None:
    process = start(manager, "run", str(tmp_path / "absent.toml"))
    assert process.wait(60) == 2
    ServiceManager(manager.environment(1)).status("the end of the test")
    manager.until("STATUS=the end of the test")
    assert manager.told == ["STATUS=the end of the test"]


class Shown:
    """A view that keeps what it is shown."""

    takes_log = True

    def __init__(self) -> None:
        self.seen: list[object] = []

    def event(self, event: Mapping[str, object]) -> None:
        self.seen.append(event)

    def log_line(self, line: str) -> None:
        self.seen.append(line)


def test_what_a_run_does_is_its_status_and_is_shown_as_before(manager: Notified) -> None:
    shown = Shown()
    told = Managed(shown, ServiceManager(manager.environment(1)))
    events: list[Mapping[str, object]] = [
        {"event": "started", "pid": 7},
        {"event": "state", "state": "streaming"},
        {"event": "metrics", "units": 1},
        {"event": "restarting", "reason": "it died\nSTOPPING=1", "delay_seconds": 1},
        {"event": "stopping"},
    ]
    for event in events:
        told.event(event)
    told.log_line("a line")
    assert (told.takes_log, shown.seen) == (True, [*events, "a line"])
    manager.until("STOPPING=1")
    assert manager.told == [
        "READY=1",
        "STATUS=streaming",
        "STATUS=the worker is started again: it died\\x0aSTOPPING=1",
        "STOPPING=1",
    ]


def test_whom_nobody_watches_tells_nobody() -> None:
    manager = ServiceManager({})
    manager.tell("READY=1")
    assert manager.alive_seconds is None


def test_a_watchdog_of_another_process_is_not_ours() -> None:
    environment = {"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": str(os.getpid())}
    assert ServiceManager(environment).alive_seconds == 1.0
    assert ServiceManager({**environment, "WATCHDOG_PID": "1"}).alive_seconds is None
