"""The test servers themselves: a broken fixture must not look like a broken engine."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import pytest

from tests.servers.certificates import Authority
from tests.servers.mysql import MysqlDatabase, MysqlServer
from tests.servers.postgres import Cluster, Database

GONE_TIMEOUT_SECONDS = 20.0

ABANDON = """
import os, signal, sys
from tests.servers.{module} import {kind}
server = {kind}(sys.argv[1])
server.start()
print(server.directory, server.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def identifier(cluster: Cluster) -> object:
    return cluster.execute("SELECT system_identifier FROM pg_control_system()")[0][0]


def test_a_committed_row_survives_a_kill_of_every_server_process(
    private_cluster: Callable[..., Cluster],
) -> None:
    cluster = private_cluster()
    cluster.execute("CREATE TABLE kept (id int)")
    for expected in range(3):
        assert cluster.execute("SELECT count(*) FROM kept") == [(expected,)]
        cluster.execute("INSERT INTO kept VALUES (%s)", expected)
        cluster.kill9()
        assert not cluster.running
        cluster.start()
    assert cluster.execute("SELECT count(*) FROM kept") == [(3,)]


def test_every_cluster_has_a_system_identifier_of_its_own(
    postgres: Cluster, private_cluster: Callable[..., Cluster]
) -> None:
    other = private_cluster(postgres.major)
    assert identifier(other) != identifier(postgres)
    other.restart("immediate")
    assert identifier(other) != identifier(postgres)


def test_a_restart_keeps_the_port_and_takes_new_settings(
    private_cluster: Callable[..., Cluster],
) -> None:
    cluster = private_cluster(settings={"max_replication_slots": 3})
    port = cluster.port
    cluster.configure(max_wal_senders=7)
    cluster.restart()
    assert cluster.port == port
    assert cluster.execute("SHOW max_wal_senders") == [("7",)]
    assert cluster.execute("SHOW max_replication_slots") == [("3",)]


def test_a_frozen_server_answers_nobody_until_it_is_thawed(
    private_cluster: Callable[..., Cluster],
) -> None:
    cluster = private_cluster()
    cluster.sigstop()
    with pytest.raises(psycopg.errors.ConnectionTimeout):
        psycopg.connect(cluster.dsn(), connect_timeout=2)
    cluster.sigcont()
    assert cluster.execute("SELECT 1") == [(1,)]


def test_access_rules_can_ask_for_a_password(private_cluster: Callable[..., Cluster]) -> None:
    cluster = private_cluster()
    cluster.execute("CREATE ROLE reader LOGIN PASSWORD 'right'")
    cluster.access("host all all 127.0.0.1/32 scram-sha-256")
    cluster.restart()
    psycopg.connect(cluster.dsn(user="reader", password="right")).close()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(cluster.dsn(user="reader", password="wrong"))


def test_a_dropped_database_takes_its_replication_slots_along(postgres: Cluster) -> None:
    database = Database.create(postgres, 'odd "name" é')
    database.execute("SELECT pg_create_logical_replication_slot('left_over', 'pgoutput')")
    database.drop()
    left = "SELECT 1 FROM pg_replication_slots WHERE slot_name = 'left_over'"
    assert postgres.execute(left) == []


def test_a_database_that_was_asked_can_be_copied(postgres: Cluster) -> None:
    first = Database.create(postgres, "copied_from")
    first.execute("CREATE TABLE t (id int)")
    postgres.execute("CREATE DATABASE copied_to TEMPLATE copied_from")
    second = Database(postgres, "copied_to")
    assert second.execute("SELECT count(*) FROM t") == [(0,)]
    for database in (first, second):
        database.drop()


def test_source_and_target_databases_are_empty(
    source_database: Database, target_database: Database
) -> None:
    for database in (source_database, target_database):
        found = database.execute("SELECT count(*) FROM pg_class WHERE relnamespace >= 16384")
        assert found == [(0,)]


def test_the_server_of_a_killed_test_process_ends_and_leaves_no_files(postgres: Cluster) -> None:
    abandon(ABANDON.format(module="postgres", kind="Cluster"), postgres.major)


def test_a_mysql_server_of_a_killed_test_process_ends_too(mysql: MysqlServer) -> None:
    abandon(ABANDON.format(module="mysql", kind="MysqlServer"), mysql.name)


def abandon(program: str, version: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", program, version],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    directory, pid = done.stdout.split()
    deadline = time.monotonic() + GONE_TIMEOUT_SECONDS
    while Path(directory).exists() or Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline, "the abandoned server is still there"
        time.sleep(0.05)


def test_a_committed_row_of_mysql_survives_a_kill_and_a_stop(
    mysql_version: str, private_mysql: Callable[..., MysqlServer]
) -> None:
    server = private_mysql(mysql_version)
    database = MysqlDatabase.create(server, "kept")
    database.execute("CREATE TABLE kept (id int PRIMARY KEY)")
    for expected, end in enumerate((server.kill9, server.kill9, server.stop)):
        assert database.execute("SELECT count(*) FROM kept") == [(expected,)]
        database.execute("INSERT INTO kept VALUES (%s)", expected)
        end()
        assert not server.running
        server.start()
    assert database.execute("SELECT count(*) FROM kept") == [(3,)]


def test_mysql_logs_full_rows_with_gtids(mysql_database: MysqlDatabase) -> None:
    server = mysql_database.server
    server.execute("FLUSH BINARY LOGS")  # what other tests wrote may be no text
    asked = "SELECT @@log_bin, @@binlog_format, @@binlog_row_image, @@binlog_row_metadata"
    assert server.execute(asked) == [(1, "ROW", "FULL", "FULL")]
    mysql_database.execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
    if server.mariadb:
        assert server.execute("SELECT @@gtid_strict_mode, @@gtid_binlog_pos <> ''") == [(1, 1)]
    else:
        assert server.execute("SELECT @@gtid_mode, @@gtid_executed <> ''") == [("ON", 1)]
    status = "SHOW MASTER STATUS" if server.mariadb else "SHOW BINARY LOGS"
    log = server.execute(status)[-1][0]
    kinds = {event[2] for event in server.execute(f"SHOW BINLOG EVENTS IN '{log}'")}
    assert kinds & {"Write_rows", "Write_rows_v1"}


def test_no_two_mysql_servers_are_one(
    mysql: MysqlServer, private_mysql: Callable[..., MysqlServer]
) -> None:
    asked = "SELECT @@server_id" if mysql.mariadb else "SELECT @@server_id, @@server_uuid"
    other = private_mysql(mysql.name)
    assert not set(other.execute(asked)[0]) & set(mysql.execute(asked)[0])


def test_a_mysql_restart_keeps_the_port_and_takes_new_settings(
    mysql_version: str, private_mysql: Callable[..., MysqlServer]
) -> None:
    server = private_mysql(mysql_version, settings={"max_connections": 30})
    port = server.port
    server.configure(log_bin=None, wait_timeout=17)
    server.restart()
    assert server.port == port
    asked = "SELECT @@max_connections, @@global.wait_timeout, @@log_bin"
    assert server.execute(asked) == [(30, 17, 0)]


def test_a_frozen_mysql_answers_nobody_until_it_is_thawed(
    mysql_version: str, private_mysql: Callable[..., MysqlServer]
) -> None:
    server = private_mysql(mysql_version)
    server.sigstop()
    with pytest.raises(pymysql.OperationalError, match="timed out"):
        pymysql.connect(host=server.host, port=server.port, user="root", read_timeout=1)
    server.sigcont()
    assert server.execute("SELECT 1") == [(1,)]


def test_mysql_shows_a_certificate_of_the_test_s_authority(
    mysql_version: str, private_mysql: Callable[..., MysqlServer], tmp_path: Path
) -> None:
    authority = Authority.create(tmp_path)
    stranger = Authority.create(tmp_path, "stranger")
    server = private_mysql(mysql_version, authority=authority)
    with tcp(server, authority) as session, session.cursor() as cursor:
        cursor.execute("SHOW SESSION STATUS LIKE 'Ssl_cipher'")
        assert cursor.fetchall()[0][1]
    with pytest.raises(pymysql.OperationalError, match="certificate"):
        tcp(server, stranger)


def tcp(server: MysqlServer, trusted: Authority) -> "pymysql.Connection[Any]":
    return pymysql.connect(
        host=server.host,
        port=server.port,
        user="root",
        ssl_ca=str(trusted.file),
        ssl_verify_identity=True,
    )
