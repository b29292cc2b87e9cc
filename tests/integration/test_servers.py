"""The test servers themselves: a broken fixture must not look like a broken engine."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tests.servers.postgres import Cluster, Database

GONE_TIMEOUT_SECONDS = 20.0

ABANDON = """
import os, signal, sys
from tests.servers.postgres import Cluster
cluster = Cluster(sys.argv[1])
cluster.start()
print(cluster.directory, cluster.pid, flush=True)
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


def test_source_and_target_databases_are_empty(
    source_database: Database, target_database: Database
) -> None:
    for database in (source_database, target_database):
        found = database.execute("SELECT count(*) FROM pg_class WHERE relnamespace >= 16384")
        assert found == [(0,)]


def test_the_server_of_a_killed_test_process_ends_and_leaves_no_files(postgres: Cluster) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ABANDON, postgres.major],
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
