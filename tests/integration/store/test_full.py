"""No room under the store: nothing by halves, said as it is, and going on once there is room."""

import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.config.secret import Secret
from engine.control.store.contract import Writing
from engine.control.store.errors import StoreFullError
from engine.control.store.postgres import PostgresStore
from engine.control.store.records import Record
from engine.control.store.sqlite import SqliteStore
from tests.integration.store.test_kills import whole
from tests.integration.store.writer import write
from tests.servers.postgres import Cluster


async def fill(store: SqliteStore) -> int:
    """Write until there is no room; the last number answered."""
    numbers = [0]

    async def keep_writing() -> None:
        while True:
            numbers.append(await write(store))

    with pytest.raises(StoreFullError, match=r"cannot grow: .*free space"):
        await keep_writing()
    return numbers[-1]


async def is_as_it_was_and_goes_on(
    store: SqliteStore, answered: int, make_room: Callable[[], None]
) -> None:
    assert await whole(store, answered) == answered
    await still_full(store)
    assert await whole(store, answered) == answered
    make_room()
    assert await write(store) == answered + 1
    assert await whole(store, answered + 1) == answered + 1


async def still_full(store: SqliteStore) -> None:
    """What the database refused is not stored in pieces when the block swallows the error."""

    async def swallowing() -> None:
        async with store.write() as writing:
            await _insert_many(writing)
            await writing.insert(Record("straggler", "s", "s", {}))

    with pytest.raises(StoreFullError):
        await swallowing()
    async with store.read() as reading:
        assert await reading.kinds() == ["counter", "left", "right"]


async def _insert_many(writing: Writing) -> None:
    try:
        for number in range(1000):
            await writing.insert(Record("pad", f"{number}", f"{number}", {"pad": "x" * 5000}))
    except StoreFullError:
        return
    pytest.fail("there was room")


@contextmanager
def file_size_limit() -> Iterator[Callable[[int], None]]:
    """Files of this process do not grow past what the yielded function is given."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        yield lambda limit: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_file_size_limit(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path / "penstock.db") as store:
        with file_size_limit() as limit:
            limit(400_000)
            answered = await fill(store)
            await is_as_it_was_and_goes_on(store, answered, lambda: limit(100_000_000))


async def test_a_quota_of_the_database(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path / "penstock.db") as store:
        raw = store._connections[0].raw
        raw.execute("PRAGMA max_page_count = 120")
        answered = await fill(store)

        def make_room() -> None:
            raw.execute("PRAGMA max_page_count = 100000")

        await is_as_it_was_and_goes_on(store, answered, make_room)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
async def test_a_small_file_system(tmp_path: Path) -> None:
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "none", str(place)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("file systems cannot be mounted here")
    try:
        async with SqliteStore(place / "penstock.db") as store:
            answered = await fill(store)

            def make_room() -> None:
                subprocess.run(["mount", "-o", "remount,size=50m", str(place)], check=True)

            await is_as_it_was_and_goes_on(store, answered, make_room)
    finally:
        subprocess.run(["umount", str(place)], check=True)


@pytest.mark.nightly
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
async def test_a_server_without_room(
    private_cluster: Callable[..., Cluster], tmp_path: Path, schema: str
) -> None:
    """Its tables alone: a server without room for its log ends."""
    cluster = private_cluster()
    place = cluster.directory / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=12m,mode=0777", "none", str(place)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("file systems cannot be mounted here")
    try:
        inside = place / "tables"
        inside.mkdir()
        cluster.give(inside)
        cluster.execute(f"CREATE TABLESPACE small LOCATION '{inside}'")
        cluster.execute("CREATE DATABASE confined TEMPLATE template0 TABLESPACE small")
        async with PostgresStore(Secret(cluster.dsn("confined")), schema=schema) as store:
            numbers = [0]

            async def keep_writing() -> None:
                while True:
                    numbers.append(await write(store))
                    async with store.write() as writing:
                        name = f"{len(numbers)}"
                        pad = {"pad": os.urandom(50_000).hex()}  # nothing compresses it
                        await writing.insert(Record("pad", name, name, pad))

            with pytest.raises(StoreFullError, match=r"has no room left: .*free space on it"):
                await keep_writing()
            assert await whole(store, numbers[-1]) == numbers[-1]
            subprocess.run(["mount", "-o", "remount,size=50m", str(place)], check=True)
            assert await write(store) == numbers[-1] + 1
            await whole(store, numbers[-1] + 1)
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


async def test_a_start_without_room_is_one_with_room_later(tmp_path: Path) -> None:
    with file_size_limit() as limit:
        limit(20_000)
        with pytest.raises(StoreFullError):
            await SqliteStore(tmp_path / "penstock.db").__aenter__()
        limit(100_000_000)
        async with SqliteStore(tmp_path / "penstock.db") as store:
            assert await write(store) == 1
