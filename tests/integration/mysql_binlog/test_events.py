"""Events as servers write them: transactions and their names, statements, compression."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from connectors.mysql.binlog.events import (
    Event,
    FormatDescription,
    GtidList,
    MariaGtidEvent,
    MysqlGtid,
    PreviousGtids,
    Query,
    Rotate,
    RowsEvent,
    RowsQuery,
    Statement,
    TransactionPayload,
    XaPrepare,
    Xid,
)
from connectors.mysql.binlog.table_map import TableMap
from connectors.mysql.charsets import charset_of
from connectors.mysql.gtid import GtidSet
from connectors.mysql.maria_gtid import MariaGtids
from engine.errors import DecodeError
from tests.integration.mysql_binlog.log_file import (
    column_types,
    events,
    logged_changes,
    new_rows,
    next_file,
    raw_events,
    selected_rows,
)
from tests.servers.mysql import MysqlDatabase, MysqlServer

Kind = TypeVar("Kind")


def of(file: Path, kind: type[Kind]) -> list[Kind]:
    return [event for _, event in events(file) if isinstance(event, kind)]


@pytest.fixture
def database(mysql_database: MysqlDatabase) -> MysqlDatabase:
    mysql_database.execute("CREATE TABLE t (id int PRIMARY KEY, v varchar(5000))")
    return mysql_database


def run(database: MysqlDatabase, *statements: str) -> None:
    """In one session."""
    with database.server.connect(database.name) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def test_offsets_in_headers_are_those_of_the_file(database: MysqlDatabase) -> None:
    file = next_file(database.server)
    run(database, "INSERT INTO t VALUES (1, 'x')", "FLUSH BINARY LOGS")
    at = 4
    last: Event | None = None
    sizes = [len(data) for data in raw_events(file)]
    for size, (header, event) in zip(sizes, events(file), strict=True):
        at += size
        assert header.size == size
        inside = isinstance(event, RowsQuery | TableMap | RowsEvent)
        assert header.end in ((at, 0) if inside else (at,))
        last = event
    assert isinstance(last, Rotate)
    assert not last.artificial
    assert len(of(file, FormatDescription)) == 1
    assert of(file, FormatDescription)[0].maria == database.server.mariadb


def test_gtids_are_those_that_the_server_counts(database: MysqlDatabase) -> None:
    server = database.server
    executed = "SELECT @@gtid_binlog_pos" if server.mariadb else "SELECT @@gtid_executed"
    file = next_file(server)
    before = server.execute(executed)[0][0]
    for i in range(5):
        database.execute(f"INSERT INTO t VALUES ({i}, 'x')")
    after = server.execute(executed)[0][0]
    if server.mariadb:
        maria = MariaGtids.parse(before)
        assert MariaGtids.of(of(file, GtidList)[0].gtids) == maria
        for told in of(file, MariaGtidEvent):
            assert (told.standalone, told.ddl, told.transactional) == (False, False, True)
            assert told.gtid not in maria
            maria = maria.with_(told.gtid)
        assert maria == MariaGtids.parse(after)
        return
    gtids = GtidSet.parse(before)
    assert of(file, PreviousGtids)[0].gtids == gtids
    for event in of(file, MysqlGtid):
        assert event.gtid is not None
        assert event.gtid not in gtids
        assert event.committed_at_us == event.first_committed_at_us > 1_600_000_000_000_000
        assert not event.statements
        gtids = gtids.with_(event.gtid)
    assert gtids == GtidSet.parse(after)
    assert GtidSet.decode(gtids.encode()) == gtids


def test_a_transactions_size_is_that_of_its_events(database: MysqlDatabase) -> None:
    if database.server.mariadb:
        pytest.skip("MySQL's field")
    file = next_file(database.server)
    run(database, "INSERT INTO t VALUES (1, 'x'), (2, 'y')")
    found = list(events(file))
    start = next(i for i, (_, event) in enumerate(found) if isinstance(event, MysqlGtid))
    gtid = found[start][1]
    assert isinstance(gtid, MysqlGtid)
    assert gtid.size == sum(header.size for header, _ in found[start:])


def test_tagged_gtids(database: MysqlDatabase) -> None:
    server = database.server
    if server.mariadb or server.execute("SELECT VERSION()")[0][0] < "8.3":
        pytest.skip("MySQL from 8.3 on")
    file = next_file(server)
    run(database, "SET gtid_next = 'AUTOMATIC:some_tag'", "INSERT INTO t VALUES (1, 'x')")
    (event,) = of(file, MysqlGtid)
    assert event.gtid is not None
    assert event.gtid.tsid.tag == "some_tag"
    assert event.committed_at_us > 1_600_000_000_000_000
    executed = GtidSet.parse(server.execute("SELECT @@gtid_executed")[0][0])
    assert event.gtid in executed
    assert GtidSet.parse(str(executed)) == executed
    assert of(next_file(server), PreviousGtids)[0].gtids == executed


def test_statements_and_their_sessions(database: MysqlDatabase) -> None:
    file = next_file(database.server)
    with database.server.connect(database.name) as connection, connection.cursor() as cursor:
        cursor.execute("SET sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES', NAMES gbk")
        connection.encoding = "gbk"
        cursor.execute('CREATE TABLE "試汉" ("a\\" int)')
    statement = of(file, Query)[-1]
    assert statement.sql == 'CREATE TABLE "試汉" ("a\\" int)'
    assert statement.schema == database.name
    assert (statement.ansi_quotes, statement.no_backslash_escapes) == (True, True)
    assert statement.error_code == 0
    if not database.server.mariadb:
        assert statement.xid


def test_an_alter_in_two_phases_is_void_until_its_end(database: MysqlDatabase) -> None:
    if not database.server.mariadb:
        pytest.skip("MySQL logs an ALTER once")
    file = next_file(database.server)
    run(database, "SET binlog_alter_two_phase = ON", "ALTER TABLE t ADD COLUMN a int")
    assert [query.void for query in of(file, Query)] == [True, False]


def test_what_the_log_tells_of_columns_is_told_of_the_right_ones(database: MysqlDatabase) -> None:
    """Servers count a YEAR among the numbers; MariaDB counts a geometry among the texts."""
    database.execute(
        "CREATE TABLE told (y year, n int, u int unsigned, p point, b varbinary(3),"
        " c char(3) CHARACTER SET latin1, PRIMARY KEY (n)) CHARACTER SET utf8mb4"
    )
    file = next_file(database.server)
    run(database, "INSERT INTO told (n) VALUES (1)")
    (table,) = of(file, TableMap)
    told = table.described.columns
    assert [column.unsigned for column in told[1:3]] == [False, True]
    charsets = [charset_of(c.collation) for c in told[4:] if c.collation is not None]
    assert charsets == ["binary", "latin1"]


def test_a_transaction_begins_and_ends(database: MysqlDatabase) -> None:
    file = next_file(database.server)
    run(database, "START TRANSACTION", "INSERT INTO t VALUES (1, 'x')", "COMMIT")
    assert len(of(file, Xid)) == 1
    begins = [query.sql for query in of(file, Query)]
    assert begins == ([] if database.server.mariadb else ["BEGIN"])


def test_changes_in_statement_form_are_told(database: MysqlDatabase) -> None:
    file = next_file(database.server)
    run(database, "SET SESSION binlog_format = STATEMENT", "SET @v = 'x'",
        "INSERT INTO t VALUES (1, @v)")  # fmt: skip
    assert not of(file, RowsEvent)
    assert of(file, Statement) == [Statement("USER_VAR")]
    assert "INSERT INTO t VALUES (1, @v)" in [query.sql for query in of(file, Query)]
    if not database.server.mariadb:
        assert of(file, MysqlGtid)[0].statements


def test_the_statement_that_rows_come_from(database: MysqlDatabase) -> None:
    file = next_file(database.server)
    settings = [] if database.server.mariadb else ["SET binlog_rows_query_log_events = ON"]
    run(database, *settings, "INSERT INTO t VALUES (1, 'x')")
    assert of(file, RowsQuery) == [RowsQuery(b"INSERT INTO t VALUES (1, 'x')")]


def test_distributed_transactions(database: MysqlDatabase) -> None:
    file = next_file(database.server)
    run(database, "XA START 'global', 'branch', 7", "INSERT INTO t VALUES (1, 'x')",
        "XA END 'global', 'branch', 7", "XA PREPARE 'global', 'branch', 7",
        "XA COMMIT 'global', 'branch', 7")  # fmt: skip
    (prepared,) = of(file, XaPrepare)
    assert (prepared.one_phase, prepared.xid) == (False, (7, b"global", b"branch"))
    texts = [query.sql for query in of(file, Query)]
    assert any(text.startswith("XA COMMIT") for text in texts)
    if database.server.mariadb:
        first, second = of(file, MariaGtidEvent)
        assert (first.prepared, first.completed, first.xid) == (True, False, prepared.xid)
        assert (second.prepared, second.completed, second.xid) == (False, True, prepared.xid)
    else:
        assert any(text.startswith("XA START") for text in texts)


def test_without_checksums(database: MysqlDatabase) -> None:
    server = database.server
    with server.settings_kept():
        server.execute("SET GLOBAL binlog_checksum = NONE")
        file = next_file(server)
        run(database, "INSERT INTO t VALUES (1, 'x')")
        assert not of(file, FormatDescription)[0].checksums
        types = column_types(database)
        assert new_rows(logged_changes(file, types)["t"]) == [(b"1", b"x")]


def test_one_wrong_bit_anywhere_is_seen(database: MysqlDatabase) -> None:
    from connectors.mysql.binlog.decoder import EventDecoder

    file = next_file(database.server)
    run(database, "INSERT INTO t VALUES (1, 'x')", "UPDATE t SET v = 'y'", "DELETE FROM t")
    decoder = EventDecoder()
    for number, data in enumerate(raw_events(file)):
        in_use = 17 if number == 0 else -1
        for byte in range(len(data)):
            damaged = bytearray(data)
            damaged[byte] ^= 1 << (byte * 5 + number) % 8
            if byte != in_use:
                with pytest.raises(DecodeError):
                    decoder.decode(bytes(damaged))
        decoder.decode(data)


# --- compression ----------------------------------------------------------------------------------


def fill(database: MysqlDatabase, *first: str) -> Path:
    file = next_file(database.server)
    run(
        database, *first, "START TRANSACTION",
        *[f"INSERT INTO t VALUES ({i}, REPEAT('v{i}', {i * 20}))" for i in range(50)],
        "UPDATE t SET v = CONCAT(v, '!')", "DELETE FROM t WHERE id = 7", "COMMIT",
    )  # fmt: skip
    return file


def check_rows(database: MysqlDatabase, file: Path) -> None:
    """Replaying the changes gives the table."""
    found: dict[object, object] = {}
    for change in logged_changes(file, column_types(database))["t"]:
        if change.old is not None:
            assert found.pop(change.old[0]) == change.old
        if change.new is not None:
            found[change.new[0]] = change.new
    assert found == {row[0]: row for row in selected_rows(database, ["id", "v"], "t")}


def test_a_compressed_transaction(database: MysqlDatabase) -> None:
    server = database.server
    if server.mariadb or server.execute("SELECT VERSION()")[0][0] < "8.0.20":
        pytest.skip("MySQL from 8.0.20 on")
    file = fill(database, "SET binlog_transaction_compression = ON")
    (payload,) = of(file, TransactionPayload)
    assert payload.compressed
    assert len(payload.data) < payload.size
    ends = {header.end for header, event in events(file) if isinstance(event, RowsEvent | Xid)}
    assert ends == {payload.header.end}
    check_rows(database, file)


def test_compressed_events_of_mariadb(
    private_mysql: Callable[..., MysqlServer], mysql_version: str
) -> None:
    if not mysql_version.startswith("mariadb"):
        pytest.skip("MariaDB's way")
    settings = {"log_bin_compress": True, "log_bin_compress_min_len": 10}
    server = private_mysql(mysql_version, settings=settings)
    database = MysqlDatabase.create(server, "compressed")
    database.execute("CREATE TABLE t (id int PRIMARY KEY, v varchar(5000))")
    file = fill(database)
    codes = {header.code for header, _ in events(file)}
    assert codes >= {166, 167, 168}
    check_rows(database, file)
    plain = [query.sql for path in [file] for query in of(path, Query)]
    database.execute("CREATE TABLE another_table_with_a_name (a int, b int, c int)")
    assert [q.sql for q in of(file, Query)][len(plain) :] == [
        "CREATE TABLE another_table_with_a_name (a int, b int, c int)"
    ]


def test_a_value_of_many_megabytes(database: MysqlDatabase) -> None:
    database.execute("CREATE TABLE large (id int PRIMARY KEY, b longblob)")
    file = next_file(database.server)
    with database.server.settings_kept():
        database.server.execute("SET GLOBAL max_allowed_packet = 67108864")
        database.execute("INSERT INTO large VALUES (1, REPEAT('0123456789abcdef', 1300000))")
    types = {"large": column_types(database)["large"]}
    (row,) = new_rows(logged_changes(file, types)["large"])
    assert row[1] == b"0123456789abcdef" * 1_300_000
