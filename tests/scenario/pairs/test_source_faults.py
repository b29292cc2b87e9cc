"""A MySQL or MariaDB source that crashes, fails over, or loses its log under a replication."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pymysql
import pytest

from tests.scenario.faults.proxied import proxied
from tests.scenario.kills import MYSQL_WHOLE_PAGES
from tests.scenario.pairs.conftest import Ends
from tests.scenario.pairs.replication import PairReplication
from tests.scenario.pairs.sides import SCHEMA, MysqlSide, Side, content, mysql_side
from tests.scenario.running import Run, until
from tests.scenario.workload import broken_rules, create
from tests.scenario.writers import Writers
from tests.servers.mysql import MysqlDatabase, MysqlServer

SEED: Final = 7

TABLE: Final = f"CREATE TABLE {SCHEMA}.t (id int PRIMARY KEY, n int)"

Private = Callable[..., MysqlServer]


@pytest.fixture
def target(ends: Ends) -> Iterator[Side]:
    target = ends.target("18")
    yield target
    target.drop()


@dataclass
class Setup:
    """A server of the test's own, replicated to PostgreSQL."""

    server: MysqlServer
    source: MysqlSide
    target: Side
    folder: Path

    def replication(self, **sections: object) -> PairReplication:
        return PairReplication.between(
            self.folder, "faults", self.source, self.target, **sections  # type: ignore[arg-type]
        )  # fmt: skip

    def moved_to(self, server: MysqlServer) -> "Setup":
        """The same replication, its file naming another server."""
        source = MysqlSide(MysqlDatabase(server, SCHEMA), self.source.engine)
        return Setup(server, source, self.target, self.folder)


Prepare = Callable[..., Setup]


@pytest.fixture
def prepare(private_mysql: Private, target: Side, tmp_path: Path, mysql_version: str) -> Prepare:
    def make(**settings: object) -> Setup:
        server = private_mysql(mysql_version, settings=settings)
        return Setup(server, mysql_side(server), target, tmp_path)

    return make


def rows(side: Side) -> list[tuple[str, ...]]:
    return content(side, "t", "id, n")


def await_rows(setup: Setup, run: Run) -> None:
    until(lambda: rows(setup.source) == rows(setup.target), "rows to be equal", run=run)


def ended(replication: PairReplication) -> Run:
    with replication.run() as run:
        run.wait()
    return run


# --- crashes --------------------------------------------------------------------------------------


def test_a_server_that_is_killed_under_load_is_read_on_without_loss(prepare: Prepare) -> None:
    setup = prepare(**MYSQL_WHOLE_PAGES)
    create(setup.source.database)
    replication = setup.replication()
    with replication.run() as run:
        run.state("streaming")
        with Writers(setup.source.database, seed=SEED, lasting=True) as writers:
            for number in range(1, 4):
                until(lambda goal=number * 100: writers.committed > goal, "writes")  # type: ignore[misc]
                setup.server.kill9()
                setup.server.start()
        until(lambda: replication.differences() == [], "tables to be equal", run=run)
        assert run.stop() == 0
    assert broken_rules(setup.target.database) == []


# --- fail-over ------------------------------------------------------------------------------------


def follow(replica: MysqlServer, primary: MysqlServer) -> None:
    if primary.mariadb:
        replica.execute(
            f"CHANGE MASTER TO MASTER_HOST = '{primary.host}', MASTER_PORT = {primary.port},"
            " MASTER_USER = 'root', MASTER_USE_GTID = slave_pos; START SLAVE"
        )
        return
    gtid = primary.execute("SELECT @@gtid_mode")[0][0] == "ON"
    replica.execute(
        f"CHANGE REPLICATION SOURCE TO SOURCE_HOST = '{primary.host}',"
        f" SOURCE_PORT = {primary.port}, SOURCE_USER = 'root', GET_SOURCE_PUBLIC_KEY = 1,"
        f" SOURCE_SSL = 0, SOURCE_AUTO_POSITION = {int(gtid)}; START REPLICA"
    )


def promote(replica: MysqlServer) -> None:
    stop = "STOP SLAVE; RESET SLAVE ALL" if replica.mariadb else "STOP REPLICA; RESET REPLICA ALL"
    replica.execute(stop)


@dataclass
class Pair:
    primary: Setup
    replica: MysqlServer

    def await_replica(self) -> None:
        moved = self.primary.moved_to(self.replica)
        until(lambda: _rows_or_none(moved) == rows(self.primary.source), "the replica")

    def fail_over(self) -> Setup:
        self.primary.server.kill9()
        promote(self.replica)
        return self.primary.moved_to(self.replica)


def _rows_or_none(setup: Setup) -> list[tuple[str, ...]] | None:
    try:
        return rows(setup.source)
    except pymysql.err.MySQLError:  # not there yet
        return None


@pytest.fixture
def pair(prepare: Prepare, private_mysql: Private, mysql_version: str) -> Callable[..., Pair]:
    def make(**settings: object) -> Pair:
        replica = private_mysql(mysql_version, settings=settings)
        setup = prepare(**settings)
        follow(replica, setup.server)
        setup.source.execute(TABLE)
        return Pair(setup, replica)

    return make


def test_a_replica_that_was_promoted_is_read_on(pair: Callable[..., Pair]) -> None:
    both = pair()
    with both.primary.replication().run() as run:
        run.state("streaming")
        both.primary.source.execute(f"INSERT INTO {SCHEMA}.t VALUES (1, 1)")
        await_rows(both.primary, run)
        assert run.stop() == 0
    both.primary.source.execute(f"INSERT INTO {SCHEMA}.t VALUES (2, 2)")
    both.await_replica()
    after = both.fail_over()
    after.source.execute(f"INSERT INTO {SCHEMA}.t VALUES (3, 3)")
    after.replication().catch_up()
    assert rows(after.target) == rows(after.source) == [("1", "1"), ("2", "2"), ("3", "3")]


@pytest.mark.nightly
def test_what_was_prepared_before_a_fail_over_is_carried_when_the_replica_commits_it(
    pair: Callable[..., Pair],
) -> None:
    both = pair()
    insert = f"INSERT INTO {SCHEMA}.t VALUES"
    with both.primary.replication().run() as run:
        run.state("streaming")
        both.primary.server.execute(f"XA START 'x'; {insert} (1, 1); XA END 'x'; XA PREPARE 'x'")
        both.primary.source.execute(f"{insert} (2, 2)")
        await_rows(both.primary, run)
        assert run.stop() == 0
    both.await_replica()
    after = both.fail_over()
    after.server.execute("FLUSH LOGS; XA COMMIT 'x'")
    after.replication().catch_up()
    assert rows(after.target) == rows(after.source) == [("1", "1"), ("2", "2")]


def test_a_replica_that_takes_over_the_address_is_read_on_by_the_same_run(
    pair: Callable[..., Pair],
) -> None:
    both = pair()
    primary, replica = both.primary, both.replica
    with proxied(primary.server) as address:
        behind = primary.moved_to(primary.server)
        behind.source.url = primary.server.url(port=address.port)
        with behind.replication().run() as run:
            run.state("streaming")
            primary.source.execute(f"INSERT INTO {SCHEMA}.t VALUES (1, 1)")
            await_rows(primary, run)
            primary.source.execute(f"INSERT INTO {SCHEMA}.t VALUES (2, 2)")
            both.await_replica()
            after = both.fail_over()
            address.do(lambda proxy: proxy.cut())
            address.do(lambda proxy: proxy.lead_to(replica.host, replica.port))
            after.source.execute(f"INSERT INTO {SCHEMA}.t VALUES (3, 3)")
            await_rows(after, run)
            assert run.stop() == 0
    assert rows(after.target) == [("1", "1"), ("2", "2"), ("3", "3")]


def test_a_replica_that_lacks_what_was_applied_needs_a_person(pair: Callable[..., Pair]) -> None:
    both = pair()
    both.await_replica()
    both.primary.source.execute(f"INSERT INTO {SCHEMA}.t VALUES (1, 1)")
    both.await_replica()
    both.replica.execute("STOP SLAVE" if both.replica.mariadb else "STOP REPLICA")
    with both.primary.replication().run() as run:
        run.state("streaming")
        both.primary.source.execute(f"INSERT INTO {SCHEMA}.t VALUES (2, 2)")
        await_rows(both.primary, run)
        assert run.stop() == 0
    after = both.fail_over()
    run = ended(after.replication())
    assert run.process.returncode == 3
    assert "does not have what was read from it" in run.ending


def test_without_gtids_another_server_is_refused(
    pair: Callable[..., Pair], mysql_version: str
) -> None:
    if mysql_version.startswith("mariadb"):
        pytest.skip("MariaDB always has GTIDs")
    both = pair(gtid_mode=False, enforce_gtid_consistency=False)
    both.primary.replication().catch_up()
    both.await_replica()
    run = ended(both.fail_over().replication())
    assert run.process.returncode == 3
    assert "it was mysql" in run.ending or "belongs to" in run.ending


OTHER: Final = "3e11fa47-71ca-11e1-9e33-c80aa9429562:1"


def test_a_log_that_comes_back_in_another_order_needs_a_person(prepare: Prepare) -> None:
    """As after a fail-over to a replica that applied two domains side by side: the table was
    applied up to the second transaction, which the other server wrote first."""
    setup = prepare()
    setup.source.execute(TABLE)
    replication = setup.replication()
    replication.catch_up()
    mariadb = setup.server.mariadb
    setup.source.execute(f"INSERT INTO {SCHEMA}.t VALUES (1, 1)")
    begin, end = (
        ("SET gtid_domain_id = 7", "")
        if mariadb
        else (f"SET gtid_next = '{OTHER}'; BEGIN", "; COMMIT; SET gtid_next = 'AUTOMATIC'")
    )
    setup.server.execute(f"{begin}; INSERT INTO t VALUES (2, 2){end}", database=SCHEMA)
    ((position,),) = setup.target.execute(
        f"SELECT position FROM penstock.checkpoint WHERE lane = '{SCHEMA}.t'"
    )
    stored = str(position).partition(";")[0]
    domains = setup.server.execute("SELECT @@gtid_binlog_pos")[0][0] if mariadb else ""
    second = domains.split(",")[-1] if mariadb else OTHER
    setup.target.execute(
        f"UPDATE penstock.checkpoint SET position = '{stored},{second}' WHERE lane = '{SCHEMA}.t'"
    )
    run = ended(replication)
    assert run.process.returncode == 3
    assert "transactions in another order" in run.ending
    assert "penstock reload" in run.ending
    assert rows(setup.target) == []


# --- the log --------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["purged", "reset"])
def test_a_log_that_is_gone_needs_a_person_and_says_what_to_do(
    prepare: Prepare, fault: str
) -> None:
    setup = prepare()
    setup.source.execute(TABLE)
    setup.replication().catch_up()
    setup.source.execute(f"INSERT INTO {SCHEMA}.t VALUES (1, 1)")
    if fault == "reset":
        mariadb = setup.server.mariadb
        setup.server.execute("RESET MASTER" if mariadb else "RESET BINARY LOGS AND GTIDS")
    else:
        setup.server.execute("FLUSH LOGS")
        until(lambda: _purge(setup.server), "the log to be purged")
    run = ended(setup.replication())
    assert run.process.returncode == 3
    said = ("purged",) if fault == "purged" else ("begun anew", "does not have what was read")
    assert any(words in run.ending for words in said)
    assert "penstock cleanup" in run.ending


@pytest.mark.parametrize("gtids", [True, False])
def test_a_log_that_was_begun_anew_does_not_pass_for_the_one_that_was_read(
    prepare: Prepare, mysql_version: str, gtids: bool
) -> None:
    """Also when it has grown past the stored position: the number means other changes."""
    mariadb = mysql_version.startswith("mariadb")
    if mariadb and not gtids:
        pytest.skip("MariaDB always has GTIDs")
    off = {} if gtids else {"gtid_mode": False, "enforce_gtid_consistency": False}
    setup = prepare(**off)
    setup.source.execute(TABLE)
    setup.replication().catch_up()
    setup.source.execute(f"INSERT INTO {SCHEMA}.t VALUES (1, 1)")
    setup.replication().catch_up()
    second = int(time.time())
    until(lambda: int(time.time()) > second, "files to be told apart by their second")
    setup.server.execute("RESET MASTER" if mariadb else "RESET BINARY LOGS AND GTIDS")
    for number in range(2, 30):
        setup.source.execute(f"INSERT INTO {SCHEMA}.t VALUES ({number}, 1)")
    run = ended(setup.replication())
    assert run.process.returncode == 3
    assert "was begun anew" in run.ending


def _purge(server: MysqlServer) -> bool:
    newest = server.execute("SHOW BINARY LOGS")[-1][0]
    server.execute(f"PURGE BINARY LOGS TO '{newest}'")
    return len(server.execute("SHOW BINARY LOGS")) == 1


def test_a_session_that_logs_statements_ends_it_with_the_reason(prepare: Prepare) -> None:
    setup = prepare()
    setup.source.execute(TABLE)
    with setup.replication().run() as run:
        run.state("streaming")
        setup.server.execute(
            "SET SESSION binlog_format = STATEMENT; INSERT INTO t VALUES (1, 1)", database=SCHEMA
        )
        assert run.wait() == 1
    assert "in statement form (INSERT)" in run.ending
    assert "binlog_format = ROW" in run.ending


@pytest.mark.parametrize("image", ["NOBLOB", "MINIMAL"])
def test_what_a_row_image_lacks_stays_as_it_is_on_the_target(prepare: Prepare, image: str) -> None:
    setup = prepare(binlog_row_image=image)
    source, target = setup.source, setup.target
    source.execute(f"CREATE TABLE {SCHEMA}.t (id int PRIMARY KEY, n int, body longtext, c int)")
    source.execute(f"INSERT INTO {SCHEMA}.t VALUES (1, 1, 'one', 1), (2, 2, 'two', NULL)")

    def both() -> list[list[tuple[str, ...]]]:
        return [content(side, "t", "id, n, body, c") for side in (source, target)]

    with setup.replication().run() as run:
        run.state("streaming")
        for change in (
            "UPDATE {0} SET n = 5 WHERE id = 1",
            "UPDATE {0} SET body = NULL WHERE id = 2",
            "INSERT INTO {0} VALUES (3, NULL, 'three', 3)",
            "UPDATE {0} SET id = 4, c = NULL WHERE id = 3",
            "UPDATE {0} SET c = 7",
        ):
            source.execute(change.format(f"{SCHEMA}.t"))
        until(lambda: both()[0] == both()[1], "tables to be equal", run=run)
        assert run.stop() == 0
    assert both()[1] == [
        ("1", "5", "one", "7"), ("2", "2", "None", "7"), ("4", "None", "three", "7"),
    ]  # fmt: skip


# --- before it starts -----------------------------------------------------------------------------


def test_check_names_every_right_that_is_missing(prepare: Prepare) -> None:
    """Also where tables cannot be told without one of them."""
    setup = prepare()
    setup.source.execute(TABLE)
    setup.server.execute(f"CREATE USER reader; GRANT SELECT ON {SCHEMA}.* TO reader")
    setup.source.url = setup.server.url(user="reader")
    code, said = setup.replication().command("check")
    assert code == 1
    right = "BINLOG MONITOR" if setup.server.mariadb else "REPLICATION CLIENT"
    for words in (right, "REPLICATION SLAVE", *([] if setup.server.mariadb else ["RELOAD"])):
        assert f"GRANT {words} ON *.* TO 'reader'@'%'" in said


def test_check_shows_what_stands_in_the_way_with_its_statement(prepare: Prepare) -> None:
    setup = prepare(binlog_format="STATEMENT", binlog_row_metadata="MINIMAL")
    setup.source.execute(TABLE)
    code, said = setup.replication().command("check")
    assert code == 1
    assert "binlog_format is STATEMENT" in said
    assert "SET GLOBAL binlog_format = 'ROW'" in said
    assert "SET GLOBAL binlog_row_metadata = 'FULL'" in said
