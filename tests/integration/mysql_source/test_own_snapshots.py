"""When readers of MySQL have snapshots of their own, and what is known of them without GTIDs."""

import asyncio
import random
import secrets
from collections.abc import Iterator
from typing import Final

import pytest

from connectors.mysql import snapshot, table_lock
from engine.config.endpoint import LoadSnapshot
from engine.errors import SourceError
from engine.model.finding import Finding, Severity
from tests.conftest import need
from tests.integration.mysql_source.conftest import SCHEMA, Side, Sources
from tests.integration.mysql_source.logged import log_of, read_chunk, relation_of, replayed
from tests.integration.mysql_source.writers import TABLES, writers
from tests.servers.mysql import MysqlServer
from tests.servers.versions import MYSQL_VERSIONS

SEED = random.SystemRandom().randrange(1 << 32)

USER: Final = "penstock_unlocked"

RIGHTS: Final = "GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO"

READINGS: Final = 3


@pytest.fixture(scope="module", params=MYSQL_VERSIONS)
def gtidless(request: pytest.FixtureRequest) -> Iterator[MysqlServer]:
    version: str = request.param
    if version.startswith("mariadb"):
        pytest.skip("MariaDB always has GTIDs")
    settings = {"gtid_mode": "OFF_PERMISSIVE", "enforce_gtid_consistency": False}
    server = need(version, lambda: MysqlServer(version, settings=settings))
    with server:
        yield server


@pytest.fixture
def without_gtids(gtidless: MysqlServer) -> MysqlServer:
    gtidless.drop_database(SCHEMA)
    gtidless.create_database(SCHEMA)
    for name, columns in TABLES.items():
        gtidless.execute(f"CREATE TABLE {name} ({columns})", database=SCHEMA)
    return gtidless


def user(server: MysqlServer, rights: str = "SELECT") -> str:
    """The URL of a user who may not lock everything."""
    password = secrets.token_hex(8)
    server.execute(
        f"DROP USER IF EXISTS {USER}; CREATE USER {USER} IDENTIFIED BY '{password}';"
        f"GRANT {rights} ON {SCHEMA}.* TO {USER}; {RIGHTS} {USER}"
    )
    return server.url(user=USER, password=password)


@pytest.fixture
def mysql_shop(shop: MysqlServer) -> MysqlServer:
    if shop.mariadb:
        pytest.skip("MariaDB's snapshots say where they are")
    for name, columns in TABLES.items():
        shop.execute(f"CREATE TABLE {name} ({columns})", database=SCHEMA)
    return shop


async def rights(side: Side) -> dict[str, Finding]:
    found = await side.source.preflight(side.relations)
    return {f.check: f for f in found if f.check in ("lock-right", "table-lock-right")}


# --- without GTIDs --------------------------------------------------------------------------------


async def test_a_chunk_read_under_its_tables_lock_is_what_the_log_comes_to(
    sources: Sources, without_gtids: MysqlServer
) -> None:
    side = await sources.open(without_gtids, url=user(without_gtids, "SELECT, LOCK TABLES"))
    await side.attach()
    read = []
    with writers(without_gtids, SEED):
        for _ in range(READINGS):
            for table in ("hot", "named"):
                relation, chunk = await relation_of(side, table)
                read.append((relation, *await read_chunk(side.source, chunk)))
    log = await log_of(side)
    for relation, text, rows in read:
        assert rows == replayed(log, relation, text), f"seed {SEED}, {text}"
    assert set(await rights(side)) == {"lock-right"}


async def test_without_the_right_to_lock_tables_nothing_is_read(
    sources: Sources, without_gtids: MysqlServer
) -> None:
    url = user(without_gtids)
    side = await sources.open(without_gtids, url=url)
    await side.attach()
    _, chunk = await relation_of(side, "hot")
    with pytest.raises(SourceError) as caught:
        await read_chunk(side.source, chunk)
    assert "GRANT LOCK TABLES" in caught.value.hint
    finding = (await rights(side))["table-lock-right"]
    assert finding.severity is Severity.BLOCKS
    without_gtids.execute(finding.remedy)
    side = await sources.open(without_gtids, url=url)
    await side.attach()
    assert "table-lock-right" not in await rights(side)
    await read_chunk(side.source, chunk)


async def test_a_table_that_a_transaction_holds_is_read_when_that_has_ended(
    sources: Sources, without_gtids: MysqlServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_lock, "PAUSE_SECONDS", 0.05)
    side = await sources.open(without_gtids, url=user(without_gtids, "SELECT, LOCK TABLES"))
    await side.attach()
    _, chunk = await relation_of(side, "hot")
    with without_gtids.connect(SCHEMA) as holder, holder.cursor() as cursor:
        cursor.execute("BEGIN; INSERT INTO hot VALUES (1, 1, '')")
        reading = asyncio.create_task(read_chunk(side.source, chunk))
        done, _ = await asyncio.wait([reading], timeout=2 * table_lock.LOCK_SECONDS)
        assert not done
        cursor.execute("COMMIT")
        _, rows = await reading
        assert list(rows) == [(b"1",)]
        cursor.execute("BEGIN; INSERT INTO hot VALUES (2, 1, '')")
        monkeypatch.setattr(table_lock, "ATTEMPTS", 1)
        with pytest.raises(SourceError) as caught:
            await read_chunk(side.source, chunk)
        assert "innodb_trx" in caught.value.hint


# --- which of them is taken -----------------------------------------------------------------------


async def test_who_may_not_lock_reads_without_and_says_so(
    sources: Sources, mysql_shop: MysqlServer
) -> None:
    side = await sources.open(mysql_shop, url=user(mysql_shop))
    await side.attach()
    told = (await rights(side))["lock-right"]
    assert told.severity is Severity.TELLS
    assert "a snapshot of its own" in told.message
    _, chunk = await relation_of(side, "hot")
    await read_chunk(side.source, chunk)
    (notice,) = side.source.notices()
    assert "is not granted" in notice
    assert side.source.notices() == []


async def test_who_insists_on_the_lock_is_refused_without_it(
    sources: Sources, mysql_shop: MysqlServer
) -> None:
    side = await sources.open(mysql_shop, url=user(mysql_shop), snapshot=LoadSnapshot.LOCK)
    await side.attach()
    assert (await rights(side))["lock-right"].severity is Severity.BLOCKS
    _, chunk = await relation_of(side, "hot")
    with pytest.raises(SourceError) as caught:
        await read_chunk(side.source, chunk)
    assert "GRANT RELOAD" in caught.value.hint


async def test_who_wants_no_lock_takes_none(sources: Sources, mysql_shop: MysqlServer) -> None:
    def flushes() -> object:
        return mysql_shop.execute("SHOW GLOBAL STATUS LIKE 'Com_flush'")

    side = await sources.open(mysql_shop, snapshot=LoadSnapshot.WATERMARK)
    await side.attach()
    assert await rights(side) == {}
    _, chunk = await relation_of(side, "hot")
    before = flushes()
    await read_chunk(side.source, chunk)
    assert flushes() == before
    assert side.source.notices() == []


async def test_a_lock_that_is_not_had_is_done_without(
    sources: Sources, mysql_shop: MysqlServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "LOCK_ATTEMPTS", 1)
    mysql_shop.execute("INSERT INTO hot VALUES (1, 1, '')", database=SCHEMA)
    side = await sources.open(mysql_shop)
    await side.attach()
    _, chunk = await relation_of(side, "hot")
    with mysql_shop.connect(SCHEMA) as holder, holder.cursor() as cursor:
        cursor.execute("LOCK TABLES calm WRITE")
        _, rows = await read_chunk(side.source, chunk)
    assert list(rows) == [(b"1",)]
    (notice,) = side.source.notices()
    assert "could not be had" in notice


@pytest.mark.parametrize("locks", [True, False])
async def test_without_a_stream_everything_is_read_at_one_moment(
    sources: Sources, shop: MysqlServer, locks: bool
) -> None:
    """Of what moves between two chunks meanwhile nobody would ever tell."""
    for name in ("hot", "calm"):
        shop.execute(f"CREATE TABLE {name} ({TABLES[name]})", database=SCHEMA)
    shop.execute("INSERT INTO hot VALUES (1, 1, '')", database=SCHEMA)
    url = shop.url() if locks else user(shop)
    side = await sources.open(shop, url=url, streams=False)
    await side.attach()
    told = await rights(side)
    assert bool(told) is not locks
    assert all("one session reads all" in finding.message for finding in told.values())
    _, hot = await relation_of(side, "hot")
    _, calm = await relation_of(side, "calm")
    async with side.source.snapshot() as opened:
        shop.execute("UPDATE hot SET n = 2; INSERT INTO calm VALUES (1)", database=SCHEMA)
        read = [
            b"".join([part async for part in side.source.rows(chunk, opened, "mysql-text")])
            for chunk in (hot, calm)
        ]
    assert read == [b"1\t1\t\n", b""]
