"""What a preflight says of a source, and that the statement beside it mends it."""

import secrets
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import pytest

from connectors.mysql import preflight_settings
from engine.errors import SourceError
from engine.model.finding import Finding, Severity
from tests.integration.mysql_source.conftest import SCHEMA, Side, Sources
from tests.servers.mysql import MysqlServer

BLOCKS, WARNS, TELLS = Severity.BLOCKS, Severity.WARNS, Severity.TELLS

WELL: Final = {
    "sync_binlog": 1,
    "innodb_flush_log_at_trx_commit": 1,
    "binlog_expire_logs_seconds": 604_800,
    "max_allowed_packet": 64 << 20,
}

BADLY: Final = {
    "binlog_format": "MIXED",
    "binlog_row_image": "MINIMAL",
    "binlog_row_metadata": "MINIMAL",
    "sync_binlog": 0,
    "binlog_expire_logs_seconds": 3600,
    "max_allowed_packet": 1 << 20,
    "binlog_ignore_db": SCHEMA,
}

USER: Final = "reader"


async def findings(side: Side, *tables: str) -> Sequence[Finding]:
    relations = [r for r in await side.source.relations() if r.schema == SCHEMA]
    chosen = [r for r in relations if not tables or r.name in tables]
    return await side.source.preflight(chosen)


def found(findings: Sequence[Finding], check: str) -> Finding:
    (one,) = [finding for finding in findings if finding.check == check]
    return one


def start(private_mysql: Callable[..., MysqlServer], name: str, **settings: object) -> MysqlServer:
    server = private_mysql(name, settings=settings)
    server.create_database(SCHEMA)
    return server


async def test_a_server_set_up_well_has_nothing_to_hear(
    sources: Sources, private_mysql: Callable[..., MysqlServer], mysql_version: str
) -> None:
    server = start(private_mysql, mysql_version, **WELL)
    server.execute("CREATE TABLE t (id int PRIMARY KEY, body longtext)", database=SCHEMA)
    assert await findings(await sources.open(server)) == []


async def test_each_setting_that_should_be_another_is_named_with_its_statement(
    sources: Sources, private_mysql: Callable[..., MysqlServer], mysql_version: str
) -> None:
    mariadb = mysql_version.startswith("mariadb")
    own: dict[str, object] = (
        {"gtid_strict_mode": False, "lower_case_table_names": 1}
        if mariadb
        else {"gtid_mode": False, "enforce_gtid_consistency": False}
    )
    server = start(private_mysql, mysql_version, **BADLY, **own)
    server.execute("CREATE TABLE t (id int PRIMARY KEY, body longtext)", database=SCHEMA)
    said = {f.check: f.severity for f in await findings(await sources.open(server))}
    assert said == {
        "binlog-format": BLOCKS,
        "row-image": WARNS,
        "row-metadata": WARNS,
        "durability": WARNS,
        "gtid-strict" if mariadb else "gtid-mode": WARNS,
        "retention": WARNS,
        "long-rows": TELLS,
        "binlog-filter": BLOCKS,
        **({"lower-case": TELLS} if mariadb else {}),
    }
    for finding in await findings(await sources.open(server)):
        if finding.remedy.startswith("SET GLOBAL") and finding.check != "gtid-mode":
            server.execute(finding.remedy.split("; and in")[0])
    left = {f.check for f in await findings(await sources.open(server))}
    assert left <= {"binlog-filter", "gtid-mode", "lower-case"}


@pytest.mark.parametrize(("image", "warned"), [("FULL", False), ("NOBLOB", True)])
async def test_documents_logged_in_part_without_their_old_rows_are_warned_of(
    sources: Sources,
    private_mysql: Callable[..., MysqlServer],
    mysql_version: str,
    image: str,
    warned: bool,
) -> None:
    if mysql_version.startswith("mariadb"):
        pytest.skip("only MySQL logs documents in part")
    settings = {"binlog_row_image": image, "binlog_row_value_options": "PARTIAL_JSON"}
    server = start(private_mysql, mysql_version, **WELL, **settings)
    said = [f.message for f in await findings(await sources.open(server)) if f.check == "row-image"]
    assert [("PARTIAL_JSON" in text) for text in said] == ([True] if warned else [])


async def test_a_server_that_numbers_itself_zero_sends_its_log_to_nobody(
    sources: Sources, private_mysql: Callable[..., MysqlServer], mysql_version: str
) -> None:
    if mysql_version.startswith("mariadb"):
        pytest.skip("MariaDB has no server_id 0")
    server = start(private_mysql, mysql_version, server_id=0)
    side = await sources.open(server)
    assert found(await findings(side), "server-id").severity is BLOCKS
    server.execute("CREATE TABLE t (id int PRIMARY KEY)", database=SCHEMA)
    await side.attach()
    with pytest.raises(SourceError, match="server_id is 0"):
        await side.read(1)


async def test_a_replica_that_keeps_to_itself_what_it_replicates_blocks(
    sources: Sources, private_mysql: Callable[..., MysqlServer], mysql_version: str
) -> None:
    server = start(private_mysql, mysql_version, log_slave_updates=False)
    side = await sources.open(server)
    assert not [f for f in await findings(side) if f.check == "replica-updates"]
    how = (
        "CHANGE MASTER TO MASTER_HOST = 'h', MASTER_USER = 'u'"
        if server.mariadb
        else "CHANGE REPLICATION SOURCE TO SOURCE_HOST = 'h', SOURCE_USER = 'u'"
    )
    server.execute(how)
    assert found(await findings(side), "replica-updates").severity is BLOCKS


async def test_a_server_without_a_log_is_refused_with_what_turns_it_on(
    sources: Sources, private_mysql: Callable[..., MysqlServer], mysql_version: str
) -> None:
    gtid = {} if mysql_version.startswith("mariadb") else {"gtid_mode": False}
    server = private_mysql(mysql_version, settings={"log_bin": None, **gtid})
    with pytest.raises(SourceError, match="writes no binary log") as caught:
        await sources.open(server)
    assert "log_bin" in caught.value.hint


# --- rights ---------------------------------------------------------------------------------------


@pytest.fixture
def reader(shop: MysqlServer) -> Iterator[str]:
    """The URL of a user who may see a table's name and read nothing."""
    password = secrets.token_hex(8)
    shop.execute(f"DROP USER IF EXISTS {USER}; CREATE USER {USER} IDENTIFIED BY '{password}'")
    shop.execute("CREATE TABLE t (id int PRIMARY KEY, n int)", database=SCHEMA)
    shop.execute(f"GRANT INSERT ON {SCHEMA}.t TO {USER}")
    yield shop.url(user=USER, password=password)
    shop.execute(f"DROP USER {USER}")


async def test_each_missing_right_is_named_with_the_statement_that_grants_it(
    sources: Sources, shop: MysqlServer, reader: str
) -> None:
    shop.execute("XA START 'x'; XA END 'x'; XA ROLLBACK 'x'")  # then MariaDB's load may lock too
    side = await sources.open(shop, url=reader)
    with pytest.raises(SourceError) as caught:
        await side.source.relations()
    assert "penstock check" in caught.value.hint
    missing = {}
    for _ in range(2):  # without the right to see the log's end, tables cannot be told
        side = await sources.open(shop, url=reader)
        try:
            said = await findings(side)
        except SourceError:
            said = await side.source.preflight(())
        for finding in said:
            if finding.remedy.startswith("GRANT"):
                missing[finding.check] = finding.severity
                shop.execute(finding.remedy)
    expected = {"replication-right": BLOCKS, "monitor-right": BLOCKS, "select-right": BLOCKS}
    expected["lock-right"] = WARNS if shop.mariadb else Severity.TELLS
    if not shop.mariadb:
        expected["prepared"] = Severity.UNCHECKED
    assert missing == expected
    side = await sources.open(shop, url=reader)
    assert not [f for f in await findings(side) if f.remedy.startswith("GRANT")]
    await side.attach()
    async with side.source.snapshot():
        shop.execute("INSERT INTO t VALUES (1, 1)", database=SCHEMA)
    assert len(await side.read(1)) == 1


async def test_a_column_that_may_not_be_read_blocks(
    sources: Sources, shop: MysqlServer, reader: str
) -> None:
    right = "BINLOG MONITOR" if shop.mariadb else "REPLICATION CLIENT"
    shop.execute(f"GRANT {right}, REPLICATION SLAVE ON *.* TO {USER}")
    shop.execute(f"GRANT SELECT (id), UPDATE (n) ON {SCHEMA}.t TO {USER}")
    side = await sources.open(shop, url=reader)
    assert found(await findings(side), "select-right").subject == f"{SCHEMA}.t"


async def test_rights_that_come_by_a_role_count(
    sources: Sources, shop: MysqlServer, reader: str
) -> None:
    right = "BINLOG MONITOR" if shop.mariadb else "REPLICATION CLIENT"
    shop.execute("DROP ROLE IF EXISTS readers; CREATE ROLE readers")
    shop.execute(f"GRANT {right}, REPLICATION SLAVE, RELOAD ON *.* TO readers")
    shop.execute(f"GRANT SELECT ON {SCHEMA}.* TO readers; GRANT readers TO {USER}")
    to = f"readers FOR {USER}" if shop.mariadb else f"readers TO {USER}"
    shop.execute(f"SET DEFAULT ROLE {to}")
    side = await sources.open(shop, url=reader)
    said = await findings(side)
    shop.execute("DROP ROLE readers")
    assert not [f for f in said if f.severity is BLOCKS]


# --- tables ---------------------------------------------------------------------------------------


async def test_tables_that_are_carried_otherwise_than_expected_are_named(
    sources: Sources, shop: MysqlServer
) -> None:
    shop.execute(
        "CREATE TABLE keyless (n int); CREATE TABLE old (id int PRIMARY KEY) ENGINE = MyISAM;"
        " CREATE TABLE text_of (id int PRIMARY KEY, t varchar(9) CHARACTER SET eucjpms);"
        " CREATE TABLE parent (id int PRIMARY KEY);"
        " CREATE TABLE child (id int PRIMARY KEY, p int,"
        " FOREIGN KEY (p) REFERENCES parent (id) ON DELETE CASCADE)",
        database=SCHEMA,
    )
    said = [f for f in await findings(await sources.open(shop)) if f.subject]
    assert {(f.check, f.subject) for f in said} == {
        ("acting-key", f"{SCHEMA}.child"),
        ("left-out", f"{SCHEMA}.text_of"),
        ("no-key", f"{SCHEMA}.keyless"),
        ("no-transactions", f"{SCHEMA}.old"),
    }
    acts = shop.execute("SHOW VARIABLES LIKE 'innodb_native_foreign_keys'")
    logged = acts == [("innodb_native_foreign_keys", "OFF")]
    assert ("session_replication_role" in found(said, "acting-key").remedy) is logged
    shop.execute(found(said, "no-transactions").remedy)
    later = await findings(await sources.open(shop), "old")
    assert not [f for f in later if f.check == "no-transactions"]


async def test_prepared_transactions_are_named_with_what_ends_them(
    sources: Sources, shop: MysqlServer
) -> None:
    shop.execute("CREATE TABLE t (id int PRIMARY KEY)", database=SCHEMA)
    shop.execute(
        "XA START 'held'; INSERT INTO t VALUES (1); XA END 'held'; XA PREPARE 'held'",
        database=SCHEMA,
    )
    finding = found(await findings(await sources.open(shop)), "prepared")
    shop.execute(finding.remedy.split(" or ")[1])
    assert finding.severity is WARNS
    assert not [f for f in await findings(await sources.open(shop)) if f.check == "prepared"]


@pytest.mark.parametrize(
    ("value", "warned"), [(None, True), ("NULL", True), ("12", True), ("72", False)]
)
def test_what_rds_keeps_of_its_log_is_told_in_its_own_words(
    value: str | None, warned: bool
) -> None:
    said = preflight_settings.rds_retention(value)
    assert bool(said) is warned
    assert all("rds_set_configuration" in finding.remedy for finding in said)
