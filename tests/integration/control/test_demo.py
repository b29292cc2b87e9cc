"""The demo, made short: it verifies its copy and leaves nothing behind."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from rich.console import Console

from engine.control.demo import mariadb
from engine.control.demo.second_scene import second_scene
from engine.control.demo.server import programs
from engine.control.demo.view import Lines
from engine.errors import ConfigError
from tests.servers.mariadb_program import written
from tests.servers.programs import ServerUnavailableError

ROOT: Final = Path(__file__).resolve().parents[3]

SECONDS_MAX: Final = 240.0
"""Two scenes; both on a machine with nothing else to do take a minute."""


@pytest.fixture(autouse=True)
def embedded_servers() -> None:
    try:
        programs()
    except ConfigError as reason:
        pytest.skip(str(reason))


@pytest.fixture
def folder() -> Iterator[Path]:
    """A directory for temporary files that servers of another account may enter: pytest's own is
    closed to others."""
    with tempfile.TemporaryDirectory(prefix="penstock-test-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def mariadbd(tmp_path: Path) -> str:
    """A program that is a MariaDB server, whatever libraries it must be started with."""
    try:
        return str(written(tmp_path))
    except ServerUnavailableError as reason:
        pytest.skip(str(reason))


def start(folder: Path, **environment: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "engine.control.demo", "--seconds", "3", "--accounts", "20000"]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(folder), **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def processes_below(folder: Path) -> list[str]:
    """Command lines that name a path in the folder: servers and `penstock run` all do."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue  # it ended while we were looking
        if str(folder) in line:
            found.append(line)
    return found


def test_the_demo_verifies_its_copy_and_leaves_nothing(folder: Path) -> None:
    demo = start(folder)
    output, _ = demo.communicate(timeout=SECONDS_MAX)
    assert demo.returncode == 0, output
    assert "Verified: 0 differences in " in output
    assert "rows/s | lag " in output
    assert re.search(r"Loaded \d\d,\d{3} rows in ", output)
    assert list(folder.iterdir()) == []
    assert processes_below(folder) == []


def test_the_second_scene_verifies_a_copy_from_mariadb_and_leaves_nothing(
    folder: Path, mariadbd: str
) -> None:
    demo = start(folder, PENSTOCK_DEMO_MARIADB=mariadbd)
    output, _ = demo.communicate(timeout=SECONDS_MAX)
    assert demo.returncode == 0, output
    assert output.count("Verified: 0 differences in ") == 2
    assert re.search(r"source: MariaDB 10\.11\.\d+, target: PostgreSQL", output)
    assert "Warning" not in output
    assert list(folder.iterdir()) == []
    assert processes_below(folder) == []


def test_without_a_mariadb_server_the_demo_says_how_to_get_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[str] = []
    monkeypatch.setattr(mariadb, "program", lambda: None)
    view = Lines(Console(quiet=True), time.monotonic)
    monkeypatch.setattr(view, "say", said.append)
    assert asyncio.run(second_scene(view, Path("unused")))
    assert [line.partition("; ")[2] for line in said] == ["on Debian: apt install mariadb-server"]


def test_a_demo_that_is_told_to_end_stops_what_it_started(folder: Path) -> None:
    demo = start(folder)
    assert demo.stdout is not None
    for line in demo.stdout:
        if line.startswith("penstock run"):
            break
    demo.send_signal(signal.SIGTERM)
    output, _ = demo.communicate(timeout=SECONDS_MAX)
    assert demo.returncode == 130, output
    assert list(folder.iterdir()) == []
    assert processes_below(folder) == []


def test_a_killed_demo_takes_its_processes_along(folder: Path) -> None:
    demo = start(folder)
    assert demo.stdout is not None
    for line in demo.stdout:
        if line.startswith("Loaded"):
            break
    demo.kill()
    demo.communicate(timeout=SECONDS_MAX)
    deadline = time.monotonic() + SECONDS_MAX
    while processes_below(folder) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert processes_below(folder) == []
