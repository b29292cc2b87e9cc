"""kill -9 in the middle of writes: what was answered is there, and nothing by halves."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from engine.control.store.contract import Store
from engine.control.store.sqlite import SqliteStore
from tests.conftest import Clusters
from tests.integration.store.conftest import Databases
from tests.integration.store.writer import named_store, write
from tests.servers.versions import VERSIONS

SEED: Final = 20_261_130

LIFE_SECONDS_MAX: Final = 0.1
"""After the first answer: some ten to fifty transactions."""


class Writers:
    """One writer after the other on one store."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self._chance = random.Random(SEED)
        self._parent = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.store.writer", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def written(self) -> int:
        """The last number that another writer said before it was killed."""
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        self._parent.stdin.write("one more\n")
        pid = int(self._parent.stdout.readline())
        answered = int(self._parent.stdout.readline())
        time.sleep(self._chance.uniform(0, LIFE_SECONDS_MAX))
        os.kill(pid, signal.SIGKILL)
        for line in iter(self._parent.stdout.readline, "0\n"):
            answered = int(line)
        return answered

    def end(self) -> None:
        self._parent.communicate()


async def whole(store: Store, answered: int) -> int:
    """The last number that is stored, everything of it and of those before."""
    async with store.read() as reading:
        (counter,) = await reading.find("counter")
        number: int = counter.document["n"]
        assert number >= answered
        assert counter.fields == {"n": f"{number}"}
        assert await reading.count("counter", {"n": [f"{number}"]}) == 1
        every = [f"{n}" for n in range(1, number + 1)]
        for half in ("left", "right"):
            names = {record.name for record in await reading.find(half)}
            assert names == {f"{half}-{n}" for n in every}
            assert await reading.count(half, {"n": every}) == number
        keys = [fact.key for fact in await reading.facts("counter", "c")]
        assert keys == [f"{n:06}" for n in range(1, number + 1)]
        events = await reading.events()
        assert [(event.number, event.message) for event in events] == [(int(n), n) for n in every]
    return number


async def kill_and_look(rounds: int, arguments: Sequence[str]) -> None:
    writers = Writers(arguments)
    last = 0
    for _ in range(rounds):
        answered = writers.written()
        assert answered > last
        async with named_store(*arguments) as store:
            last = await whole(store, answered)
    writers.end()
    async with named_store(*arguments) as store:
        assert await write(store) == last + 1


async def test_nothing_answered_is_lost_in_a_file(tmp_path: Path) -> None:
    await kill_and_look(30, ["sqlite", str(tmp_path / "penstock.db")])


async def test_nothing_answered_is_lost_on_a_server(
    clusters: Clusters, databases: Databases, schema: str
) -> None:
    url = databases.url(clusters.need(VERSIONS[-1]))
    await kill_and_look(5, ["postgres", url.reveal(), schema])


@pytest.mark.parametrize("cut", [1, 100, 5000])
async def test_a_log_that_was_cut_short_keeps_what_was_whole(tmp_path: Path, cut: int) -> None:
    """As a power cut leaves it behind: the last transaction is there or is not."""
    path, copy = tmp_path / "a.db", tmp_path / "b.db"
    async with SqliteStore(path) as store:
        for _ in range(5):
            await write(store)
        log = path.with_name("a.db-wal").read_bytes()
        copy.write_bytes(path.read_bytes())
    copy.with_name("b.db-wal").write_bytes(log[:-cut])
    async with SqliteStore(copy) as store:
        assert await whole(store, 0) < 5
        await write(store)
