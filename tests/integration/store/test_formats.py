"""What is found where a store should be: nothing, ours, older, newer, another program's."""

import asyncio
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from engine.config.secret import Secret
from engine.control.store import migrations
from engine.control.store.contract import Store
from engine.control.store.errors import StoreFormatError
from engine.control.store.postgres import PostgresStore
from engine.control.store.records import Fact, Record
from engine.control.store.sqlite import SqliteStore
from engine.errors import StateError
from tests.conftest import Clusters
from tests.integration.store.conftest import Databases, MakeStore
from tests.servers.versions import VERSIONS

FORMATS: Final = Path(__file__).parent / "formats"

NEXT: Final = (
    *migrations.STEPS,
    ("CREATE TABLE later (n BIGINT)", "INSERT INTO later VALUES (1)"),
    ("ALTER TABLE later ADD COLUMN m BIGINT NOT NULL DEFAULT 0", "UPDATE later SET m = 2"),
)
"""Steps of a version to come."""

BROKEN: Final = (*NEXT, ("CREATE TABLE half (n BIGINT)", "INSERT INTO nowhere VALUES (1)"))


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(path)
    try:
        with connection:
            yield connection
    finally:
        connection.close()


def with_steps(store: Store, steps: migrations.Steps) -> Store:
    assert isinstance(store, SqliteStore | PostgresStore)
    store._steps = steps
    return store


@pytest.mark.parametrize("file", sorted(FORMATS.glob("*.sql")), ids=lambda file: file.stem)
async def test_a_file_of_each_format_is_opened_with_its_work_pending(
    file: Path, tmp_path: Path
) -> None:
    path = tmp_path / "penstock.db"
    with opened(path) as connection:
        connection.executescript(file.read_text())
    async with SqliteStore(path) as store:
        async with store.read() as reading:
            (running,) = await reading.find("replication", {"status": ["running"]})
            endpoint = await reading.named("endpoint", "orders")
            assert endpoint is not None
            assert endpoint.document["Password"] == {"$sealed": "v1:0a1b2c3d:AAAA"}
            assert (running.id, running.revision) == ("R1", 2)
            assert running.document == {"status": "running", "desired": "running"}
            facts = await reading.facts("replication", "R1")
            assert facts == [Fact("table/public.t", {"inserts": 3})]
            assert await reading.tags("replication", ["R1"]) == {"R1": {"team": "a"}}
            (event,) = await reading.events()
            assert (event.number, event.message, event.document) == (1, "started", {"by": "api"})
        async with store.write(fence=4) as writing:
            await writing.update(running)
    with opened(path) as connection:
        numbers = connection.execute("SELECT number FROM format ORDER BY number").fetchall()
    assert numbers == [(number,) for number in range(1, len(migrations.STEPS) + 1)]


def test_the_file_of_every_format_is_kept() -> None:
    numbers = sorted(int(file.stem) for file in FORMATS.glob("*.sql"))
    assert numbers == list(range(1, len(migrations.STEPS) + 1))


async def test_a_store_goes_forward_and_never_back(make_store: MakeStore) -> None:
    async with make_store() as store, store.write() as writing:
        await writing.insert(Record("k", "i", "n", {}))
    async with with_steps(make_store(), NEXT) as store, store.read() as reading:
        assert await reading.named("k", "n")
    with pytest.raises(StoreFormatError, match=r"has format 3; .* up to 1 .*newer Penstock"):
        await make_store().__aenter__()
    async with with_steps(make_store(), NEXT) as store, store.read() as reading:
        assert await reading.named("k", "n")


async def test_a_daemon_that_was_overtaken_by_an_upgrade_writes_no_more(
    make_store: MakeStore,
) -> None:
    async with make_store() as store:
        async with with_steps(make_store(), NEXT):
            pass
        with pytest.raises(StoreFormatError, match="has format 3"):
            async with store.write():
                pytest.fail("the block was entered")


async def test_a_step_that_fails_leaves_the_format_before_it(make_store: MakeStore) -> None:
    with pytest.raises(StateError, match="nowhere"):
        await with_steps(make_store(), BROKEN).__aenter__()
    mended = (*NEXT, ("CREATE TABLE half (n BIGINT)",))
    async with with_steps(make_store(), mended) as store, store.write() as writing:
        await writing.insert(Record("k", "i", "n", {}))


async def test_daemons_that_start_together_make_one_store(make_store: MakeStore) -> None:
    async def start(number: int) -> None:
        async with with_steps(make_store(), NEXT) as store, store.write() as writing:
            await writing.insert(Record("k", f"{number}", f"{number}", {}))

    await asyncio.gather(*(start(number) for number in range(6)))
    async with with_steps(make_store(), NEXT) as store, store.read() as reading:
        assert await reading.count("k") == 6


# --- not ours ---------------------------------------------------------------------------------


async def test_the_file_of_another_program_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with opened(path) as connection:
        connection.execute("CREATE TABLE record (x)")
    before = path.read_bytes()
    with pytest.raises(StoreFormatError, match=r"of another program .*name another"):
        await SqliteStore(path).__aenter__()
    assert path.read_bytes() == before


async def test_a_file_with_another_mark_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with opened(path) as connection:
        connection.execute("PRAGMA application_id = 1")
    before = path.read_bytes()
    with pytest.raises(StoreFormatError, match="of another program"):
        await SqliteStore(path).__aenter__()
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"not a database at all" * 100, b"x"])
async def test_a_file_that_is_no_database_is_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "text"
    path.write_bytes(content)
    with pytest.raises(StoreFormatError, match="is not a store of Penstock"):
        await SqliteStore(path).__aenter__()
    assert path.read_bytes() == content


async def test_a_damaged_store_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "penstock.db"
    async with SqliteStore(path):
        pass
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(StoreFormatError, match=r"damaged.*restore its backup"):
        await SqliteStore(path).__aenter__()


@pytest.mark.parametrize("table", ["other", "format"])
async def test_a_schema_of_another_program_is_left_as_it_is(
    table: str, clusters: Clusters, databases: Databases
) -> None:
    cluster = clusters.need(VERSIONS[-1])
    url, schema = databases.url(cluster), f"foreign_{table}"
    database = url.reveal().rpartition("/")[2]
    cluster.execute(
        f"CREATE SCHEMA {schema}; CREATE TABLE {schema}.{table} (x int)", database=database
    )
    with pytest.raises(StoreFormatError, match=f"{schema} holds tables of another program"):
        await PostgresStore(url, schema=schema).__aenter__()
    found = cluster.execute(
        "SELECT count(*) FROM pg_tables WHERE schemaname = %s", schema, database=database
    )
    assert found == [(1,)]


# --- the file ---------------------------------------------------------------------------------


async def test_nobody_else_reads_the_files(tmp_path: Path) -> None:
    path = tmp_path / "state" / "penstock.db"
    async with SqliteStore(path) as store, store.write() as writing:
        await writing.insert(Record("k", "i", "n", {}))
        files = sorted(path.parent.iterdir())
        assert [file.name for file in files] == [
            "penstock.db",
            "penstock.db-shm",
            "penstock.db-wal",
        ]
        assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
        assert path.parent.stat().st_mode & 0o777 == 0o700
    assert list(path.parent.iterdir()) == [path]


async def test_a_file_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    path = tmp_path / "penstock.db"
    async with SqliteStore(path):
        pass
    path.chmod(0o644)
    async with SqliteStore(path):
        assert path.stat().st_mode & 0o777 == 0o600


async def test_a_place_that_cannot_hold_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        StateError, match=r"file/penstock.db cannot be made or opened: .*directory of the state"
    ):
        await SqliteStore(tmp_path / "file" / "penstock.db").__aenter__()


async def test_a_copy_of_the_closed_file_is_a_backup(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path / "a") as store, store.write() as writing:
        await writing.insert(Record("k", "i", "n", {}))
    shutil.copyfile(tmp_path / "a", tmp_path / "b")
    async with SqliteStore(tmp_path / "b") as store, store.read() as reading:
        assert await reading.named("k", "n")


async def test_the_url_of_a_store_is_never_said() -> None:
    store = PostgresStore(Secret("postgresql://u:hidden@127.0.0.1:1/d"))
    with pytest.raises(StateError) as refused:
        await store.__aenter__()
    assert "hidden" not in f"{refused.value} {refused.value!r} {refused.value.context} {store!r}"
