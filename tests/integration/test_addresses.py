"""Every connection of every connector asks whether its address is allowed, before it is made."""

import os
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from engine import addresses
from engine.addresses import LOOPBACK, Addresses
from engine.config.load import parse_replication
from engine.config.replication import ReplicationConfig
from engine.errors import ConfigError
from engine.registry import comparable, connect
from engine.seams import SystemClock, SystemRandom

RULES: Final = str(Addresses().refuse(LOOPBACK))
ENGINES: Final = {"postgres": "postgresql", "mysql": "mysql", "mariadb": "mysql", "aurora": "mysql"}


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


@pytest.fixture
def guarded() -> Iterator[None]:
    addresses.arm(RULES)
    yield
    addresses.arm("")


def text(engine: str, host: str, listener: socket.socket) -> str:
    place = f"{ENGINES[engine]}://me:pw@{host}:{listener.getsockname()[1]}/db"
    sides = "".join(
        f'[{side}]\nengine = "{engine}"\nurl = "{place}"\n' for side in ("source", "target")
    )
    return f'[replication]\nid = "guarded"\n{sides}'


def openings(config: ReplicationConfig) -> dict[str, Callable[[], Awaitable[object]]]:
    source, target = connect(config, SystemClock(), SystemRandom())
    return {
        "source": source.open,
        "target": target.open,
        "comparable": comparable(config, "source").open,
    }


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.usefixtures("guarded")
async def test_no_connector_reaches_what_is_refused(
    engine: str, host: str, listener: socket.socket
) -> None:
    config = parse_replication(text(engine, host, listener), {}, file=Path("guarded.toml"))
    for side, opening in openings(config).items():
        with pytest.raises(ConfigError, match="is not for endpoints"):
            await opening()
        with pytest.raises(BlockingIOError):
            listener.accept()
        assert side


def test_a_worker_ends_for_good(tmp_path: Path, listener: socket.socket) -> None:
    file = tmp_path / "guarded.toml"
    file.write_text(text("postgres", "localhost", listener))
    ended = subprocess.run(
        [sys.executable, "-m", "engine.worker", str(file)],
        env={**os.environ, addresses.VARIABLE: RULES},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2, ended.stderr
    assert "which localhost leads to, is not for endpoints" in ended.stderr
    assert "pw@" not in ended.stderr
    with pytest.raises(BlockingIOError):
        listener.accept()
