"""Snapshots that find their own place in MySQL's log, while writers change the very table."""

import asyncio
import random
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from typing import Final

import pymysql
import pytest

from connectors.mysql import reader, watermarks
from connectors.mysql.connecting import Link
from connectors.mysql.load_data import NativeRows
from connectors.mysql.position import parse_position
from connectors.mysql.source import MysqlSource
from engine.config.endpoint import LoadSnapshot
from engine.errors import SourceError
from engine.model.change import DELETE, Change, Transaction
from engine.model.chunk import Chunk
from engine.model.relation import Relation
from engine.model.value import UNCHANGED, Key, Row
from tests.integration.mysql_source.conftest import PATIENCE_SECONDS, SCHEMA, Side, Sources
from tests.servers.mysql import MysqlServer

SEED = random.SystemRandom().randrange(1 << 32)

USER: Final = "penstock_unlocked"

READINGS: Final = 4
"""Of each table."""

WRITERS: Final = 3

RETRIED: Final = (1213, 1205, 1062)
"""Deadlock, lock timeout, a key that is taken."""

Content = dict[Key, Row]

TABLES: Final = {
    # Few keys and many changes: each window meets this one.
    "hot": "id int PRIMARY KEY, n int NOT NULL, note varchar(20)",
    # Keys that are equal under the collation and are not the same bytes; two columns.
    "named": (
        "k varchar(20) COLLATE utf8mb4_general_ci, b varbinary(4), day date,"
        " amount decimal(10,2), f float, j json, PRIMARY KEY (k, b)"
    ),
    "calm": "id bigint unsigned PRIMARY KEY",
}


@pytest.fixture
def unlocked(shop: MysqlServer) -> Iterator[str]:
    """The URL of a user who may not take the lock."""
    if shop.mariadb:
        pytest.skip("MariaDB's snapshots say where they are")
    password = secrets.token_hex(8)
    shop.execute(
        f"DROP USER IF EXISTS {USER}; CREATE USER {USER} IDENTIFIED BY '{password}';"
        f"GRANT SELECT ON {SCHEMA}.* TO {USER};"
        f"GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO {USER}"
    )
    for name, columns in TABLES.items():
        shop.execute(f"CREATE TABLE {name} ({columns})", database=SCHEMA)
    shop.execute("INSERT INTO calm VALUES (18446744073709551615)", database=SCHEMA)
    yield shop.url(user=USER, password=password)
    shop.execute(f"DROP USER {USER}")


@dataclass
class Writer(threading.Thread):
    """Small transactions until stopped."""

    server: MysqlServer
    number: int
    error: BaseException | None = None
    stopping: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)
        self._random = random.Random(f"{SEED} {self.number}")

    def __hash__(self) -> int:
        return id(self)

    def run(self) -> None:
        try:
            with self.server.connect(SCHEMA) as connection, connection.cursor() as cursor:
                while not self.stopping.is_set():
                    try:
                        cursor.execute(";".join(["BEGIN", *self._statements(), "COMMIT"]))
                        while cursor.nextset():
                            pass
                    except (pymysql.err.OperationalError, pymysql.err.IntegrityError) as error:
                        if error.args[0] not in RETRIED:
                            raise
                        cursor.execute("ROLLBACK")
        except BaseException as error:  # noqa: BLE001 - raised where the writer is stopped
            self.error = error

    def _statements(self) -> list[str]:
        return [self._statement() for _ in range(self._random.choice([1, 1, 2, 4]))]

    def _statement(self) -> str:
        chosen = self._random
        key, other = chosen.randint(1, 12), chosen.randint(1, 12)
        row = f'{other}.5, {other / 3}, \'{{"a": [{key}, "x"]}}\''
        name = chosen.choice(["a", "A", "ä", "b", "B"]) + str(chosen.randint(1, 3))
        return chosen.choice(
            [
                f"UPDATE hot SET n = n + 1 WHERE id = {key}",
                f"UPDATE hot SET n = n % 2, note = NULL WHERE id = {key}",
                f"UPDATE hot SET id = {other} WHERE id = {key}",
                f"DELETE FROM hot WHERE id = {key}",
                f"REPLACE INTO hot VALUES ({key}, {other}, 'tab\tand\\\\{other}')",
                f"INSERT INTO hot VALUES ({key}, {other}, 'new')",
                f"UPDATE named SET k = '{name}' WHERE k = '{name.swapcase()}'",
                f"DELETE FROM named WHERE k = '{name}'",
                f"UPDATE named SET f = {key / 7}, j = JSON_SET(j, '$.b', {key})",
                f"REPLACE INTO named VALUES ('{name}', x'00{key:02x}', '2020-01-{key:02}', {row})",
            ]
        )


@contextmanager
def writers(server: MysqlServer) -> Iterator[None]:
    started = [Writer(server, number) for number in range(WRITERS)]
    for writer in started:
        writer.start()
    try:
        yield
    finally:
        for writer in started:
            writer.stopping.set()
        for writer in started:
            writer.join()
    for writer in started:
        if writer.error is not None:
            raise writer.error


async def read_chunk(source: MysqlSource, chunk: Chunk) -> tuple[str, Content]:
    """A chunk's rows, and the text of the snapshot they were read at."""
    async with source.snapshot() as snapshot:
        data = b"".join([part async for part in source.rows(chunk, snapshot, "mysql-text")])
        at = source.read_at(chunk, snapshot).text
    reader = NativeRows(len(chunk.relation.columns))
    return at, {
        chunk.relation.key_of(row): row for row in map(reader.values, data.split(b"\n")[:-1])
    }


async def log_of(side: Side) -> list[tuple[Transaction, list[Change]]]:
    """Every transaction since `attach`."""
    assert side.at is not None
    goal = await side.source.head()
    found: list[tuple[Transaction, list[Change]]] = []
    async with asyncio.timeout(PATIENCE_SECONDS), aclosing(side.source.blocks(side.at)) as blocks:
        async for block in blocks:
            for part in block.parts:
                events = [event for event in part.events if isinstance(event, Change)]
                found.append((part.transaction, events))
            end = next((p.end for p in reversed(block.parts) if p.end), block.idle)
            if end is not None and end.reaches(goal):
                return found
    raise AssertionError("the stream ended")


def replayed(
    log: list[tuple[Transaction, list[Change]]],
    relation: Relation,
    text: str,
    begun: Content | None = None,
) -> Content:
    """What the log comes to at a place, from the rows there were before, or none."""
    at = parse_position(text)
    rows = dict(begun or {})
    for transaction, changes in log:
        if not at.covers(transaction.coordinate, 1):
            continue
        for change in changes:
            if change.relation.table != relation.table:
                continue
            was: Row = ()
            if change.old is not None:
                was = rows.pop(relation.key_of(change.old))
            if change.kind != DELETE:
                assert change.new is not None
                key = relation.key_of(change.new)
                rows[key] = filled(change.new, was or rows.get(key, change.new))
    return rows


def filled(new: Row, was: Row) -> Row:
    """A row of which the log may not tell what stayed as it was."""
    return tuple([a if b is UNCHANGED else b for a, b in zip(was, new, strict=True)])


async def relation_of(side: Side, name: str) -> tuple[Relation, Chunk]:
    relation = next(r for r in side.relations if r.name == name)
    (chunk,) = await side.source.chunks(relation, 1000)
    return relation, chunk


@pytest.mark.parametrize(
    "settings",
    [
        "",
        pytest.param("binlog_order_commits=0", marks=pytest.mark.nightly),
        pytest.param("binlog_row_image=MINIMAL", marks=pytest.mark.nightly),
    ],
)
async def test_a_chunk_is_what_the_log_comes_to_at_its_place(
    sources: Sources, shop: MysqlServer, unlocked: str, settings: str
) -> None:
    name, _, value = settings.partition("=")
    before = shop.execute(f"SELECT @@global.{name}")[0][0] if name else None
    if name:
        shop.execute(f"SET GLOBAL {name} = {value}")
    side = await sources.open(shop, url=unlocked)
    await side.attach()
    read: list[tuple[Relation, str, Content]] = []
    try:
        with writers(shop):
            for _ in range(READINGS):
                for table in ("hot", "named"):
                    relation, chunk = await relation_of(side, table)
                    read.append((relation, *await read_chunk(side.source, chunk)))
    finally:
        if name:
            shop.execute(f"SET GLOBAL {name} = {before}")
    log = await log_of(side)
    assert len(log) > 10 * READINGS
    for relation, text, rows in read:
        assert rows == replayed(log, relation, text), f"seed {SEED}, {text}"


# --- what may stand in the window -----------------------------------------------------------------


Act = Callable[[], object]


@pytest.fixture
def around(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[int]]:
    """Has something done just before each snapshot is opened, or just after it; gives a list that
    grows by the number of each snapshot."""

    def arrange(before: Act | None = None, after: Act | None = None, times: int = 1) -> list[int]:
        opened: list[int] = []

        async def begin(link: Link) -> None:
            opened.append(len(opened) + 1)
            acts = len(opened) <= times
            if acts and before is not None:
                before()
            await reader.begin(link)
            if acts and after is not None:
                after()

        monkeypatch.setattr(watermarks, "begin", begin)
        return opened

    return arrange


async def placed(sources: Sources, server: MysqlServer, url: str, table: str) -> Content:
    """What is read of a table, at the place that it is said to be read at."""
    side = await sources.open(server, url=url)
    await side.attach()
    relation, chunk = await relation_of(side, table)
    there = server.execute(f"SELECT * FROM {table}", database=SCHEMA)
    begun: Content = {(str(row[0]).encode(),): tuple(plain_value(v) for v in row) for row in there}
    text, rows = await read_chunk(side.source, chunk)
    assert rows == replayed(await log_of(side), relation, text, begun)
    return rows


def plain_value(value: object) -> bytes | None:
    return None if value is None else str(value).encode()


async def test_what_commits_just_before_is_seen_and_what_commits_just_after_is_not(
    sources: Sources, shop: MysqlServer, unlocked: str, around: Callable[..., list[int]]
) -> None:
    """What a snapshot shows and the set of executed GTIDs lacked when it was asked for."""
    shop.execute("INSERT INTO hot VALUES (1, 10, 'x'), (2, 20, 'y')", database=SCHEMA)
    opened = around(
        lambda: shop.execute("UPDATE hot SET id = 3, n = 30 WHERE id = 1", database=SCHEMA),
        lambda: shop.execute(
            "DELETE FROM hot WHERE id = 2; UPDATE hot SET n = 31 WHERE id = 3", database=SCHEMA
        ),
    )
    rows = await placed(sources, shop, unlocked, "hot")
    assert sorted(rows.values()) == [(b"2", b"20", b"y"), (b"3", b"30", b"x")]
    assert opened == [1]


MANY_ROWS: Final = (
    "INSERT INTO hot WITH RECURSIVE r AS (SELECT 2 AS i UNION ALL SELECT i + 1 FROM r"
    " WHERE i < 900) SELECT i, 0, '' FROM r; UPDATE hot SET n = n + 1"
)


@pytest.mark.parametrize(
    "statements",
    [
        "CREATE TABLE more (id int)",
        "TRUNCATE hot",
        "ALTER TABLE hot ADD INDEX (n)",
        "XA START 'w'; INSERT INTO hot VALUES (7, 7, ''); XA END 'w'; XA COMMIT 'w' ONE PHASE",
        MANY_ROWS,
    ],
    ids=["create", "truncate", "alter", "xa", "many-rows"],
)
async def test_a_window_of_which_nothing_can_be_said_is_left_for_another(
    sources: Sources,
    shop: MysqlServer,
    unlocked: str,
    around: Callable[..., list[int]],
    statements: str,
) -> None:
    shop.execute("INSERT INTO hot VALUES (1, 10, 'x')", database=SCHEMA)
    side = await sources.open(shop, url=unlocked)
    await side.attach()
    _, chunk = await relation_of(side, "hot")
    opened = around(lambda: shop.execute(statements, database=SCHEMA))
    _, rows = await read_chunk(side.source, chunk)
    assert opened == [1, 2]
    assert len(rows) == shop.execute("SELECT count(*) FROM hot", database=SCHEMA)[0][0]


async def test_a_new_log_file_in_the_window_does_not_matter(
    sources: Sources, shop: MysqlServer, unlocked: str, around: Callable[..., list[int]]
) -> None:
    opened = around(
        lambda: shop.execute(
            "INSERT INTO hot VALUES (1, 1, ''); FLUSH BINARY LOGS", database=SCHEMA
        )
    )
    rows = await placed(sources, shop, unlocked, "hot")
    assert list(rows) == [(b"1",)]
    assert opened == [1]


async def test_a_table_without_key_needs_a_window_in_which_it_rests(
    sources: Sources,
    shop: MysqlServer,
    unlocked: str,
    around: Callable[..., list[int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shop.execute("CREATE TABLE keyless (n int)", database=SCHEMA)
    side = await sources.open(shop, url=unlocked)
    await side.attach()
    _, chunk = await relation_of(side, "keyless")

    def insert() -> None:
        shop.execute("INSERT INTO keyless VALUES (1)", database=SCHEMA)

    opened = around(insert, times=2)
    await read_chunk(side.source, chunk)
    assert opened == [1, 2, 3]
    monkeypatch.setattr(watermarks, "ATTEMPTS", 3)
    around(insert, times=3)
    with pytest.raises(SourceError, match="no key") as caught:
        await read_chunk(side.source, chunk)
    assert "GRANT RELOAD" in caught.value.hint


async def test_a_transaction_that_stands_in_the_log_and_is_not_committed_is_not_in_the_snapshot(
    sources: Sources, private_mysql: Callable[..., MysqlServer], mysql_version: str
) -> None:
    """Semi-synchronous replication lets it wait there, as long as no replica confirms it."""
    if mysql_version.startswith("mariadb"):
        pytest.skip("MariaDB's snapshots say where they are")
    server = private_mysql(mysql_version)
    server.create_database(SCHEMA)
    server.execute("CREATE TABLE hot (id int PRIMARY KEY)", database=SCHEMA)
    server.execute(
        "INSTALL PLUGIN rpl_semi_sync_source SONAME 'semisync_source.so';"
        "SET GLOBAL rpl_semi_sync_source_timeout = 3600000;"
        "SET GLOBAL rpl_semi_sync_source_enabled = ON"
    )
    side = await sources.open(server, snapshot=LoadSnapshot.WATERMARK)
    await side.attach()
    _, chunk = await relation_of(side, "hot")
    insert = asyncio.create_task(
        asyncio.to_thread(server.execute, "INSERT INTO hot VALUES (1)", database=SCHEMA)
    )
    owned = ""
    while not owned:
        await asyncio.sleep(0.01)
        ((owned,),) = server.execute("SELECT @@global.gtid_owned")
    text, rows = await read_chunk(side.source, chunk)
    assert rows == {}
    server.execute("SET GLOBAL rpl_semi_sync_source_enabled = OFF")
    await insert
    ((transaction, changes),) = await log_of(side)
    assert len(changes) == 1
    assert not side.source.visible(text, transaction)
    text, rows = await read_chunk(side.source, chunk)
    assert list(rows) == [(b"1",)]
    assert side.source.visible(text, transaction)
