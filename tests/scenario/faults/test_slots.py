"""Slots and publications that somebody else took, dropped, changed or that the server gave up."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import psycopg
import pytest

from tests.scenario.conftest import each_of
from tests.scenario.faults.conftest import Replicate
from tests.scenario.faults.watched import ROW, Watched, assert_last_line_tells
from tests.scenario.running import until
from tests.servers.postgres import Cluster, Database
from tests.servers.versions import PAIRS

TABLE: Final = f"""
CREATE TABLE item (id int PRIMARY KEY, note text);
INSERT INTO item SELECT g, '{ROW}' FROM generate_series(1, 10) g
"""
MORE: Final = f"INSERT INTO item SELECT g, '{ROW}' FROM generate_series(%s::int, %s::int) g"


def _stopped(source: Database, replicate: Replicate) -> Watched:
    """A replication that has streamed and is stopped, with rows waiting for it."""
    source.execute(TABLE)
    replication = replicate()
    replication.catch_up()
    source.execute(MORE, 11, 20)
    return replication


def _begin_anew(replication: Watched) -> None:
    """What the message says works: clean up, then load again."""
    code, text = replication.command("cleanup", "--yes")
    assert code == 0, text
    file = replication.file
    file.write_text(file.read_text() + '[load]\nprepare = "truncate"\n')
    replication.catch_up()
    assert replication.differences() == []


@contextmanager
def _other_reader(replication: Watched) -> Iterator[None]:
    """A session that names itself `somebody` and reads the slot."""
    dsn, slot = replication.source.dsn, replication.slot
    reader = psycopg.connect(dsn, replication="database", application_name="somebody")
    with closing(reader):
        started = reader.pgconn.exec_(
            f'START_REPLICATION SLOT "{slot}" LOGICAL 0/0'
            f" (proto_version '1', publication_names '{slot}')".encode()
        )
        assert started.status == psycopg.pq.ExecStatus.COPY_BOTH
        yield


def test_a_slot_in_use_names_its_reader(source: Database, replicate: Replicate) -> None:
    replication = _stopped(source, replicate)
    with _other_reader(replication):
        last = replication.refused(code=3)
        assert "somebody" in last
        assert "--take-over" in last


def test_a_dropped_slot_needs_a_person(source: Database, replicate: Replicate) -> None:
    replication = _stopped(source, replicate)
    source.execute("SELECT pg_drop_replication_slot(%s)", replication.slot)
    last = replication.refused(code=3)
    assert replication.slot in last
    _begin_anew(replication)


def test_a_slot_made_again_does_not_pass_for_ours(source: Database, replicate: Replicate) -> None:
    replication = _stopped(source, replicate)
    source.execute("SELECT pg_drop_replication_slot(%s)", replication.slot)
    source.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", replication.slot)
    last = replication.refused(code=3)
    assert replication.slot in last
    assert "dropped and made again" in last
    _begin_anew(replication)


def _dropped(replication: Watched) -> bool:
    """End the slot's reader and drop the slot, before the reader is back."""
    execute = replication.source.execute
    slot = "FROM pg_replication_slots WHERE slot_name = %s"
    execute(f"SELECT pg_terminate_backend(active_pid) {slot} AND active", replication.slot)
    try:
        execute(f"SELECT pg_drop_replication_slot(slot_name) {slot}", replication.slot)
    except psycopg.errors.ObjectInUse:
        return False
    return not execute(f"SELECT 1 {slot}", replication.slot)


def test_a_slot_dropped_under_a_running_stream(source: Database, replicate: Replicate) -> None:
    source.execute(TABLE)
    replication = replicate()
    with replication.run() as run:
        run.state("streaming")
        replication.await_applied(run)
        until(lambda: _dropped(replication), "the slot to be dropped")
        assert run.wait() == 3, run.story()
        assert_last_line_tells(run)
        assert replication.slot in run.ending


def test_a_slot_given_up_by_the_server(source: Database, replicate: Replicate) -> None:
    replication = _stopped(source, replicate)
    source.cluster.configure(max_slot_wal_keep_size="1MB")
    source.cluster.reload()
    try:
        lost = "SELECT 1 FROM pg_replication_slots WHERE slot_name = %s AND wal_status = 'lost'"

        def given_up() -> bool:
            for _ in range(3):
                source.execute("CREATE TABLE IF NOT EXISTS noise (); DROP TABLE noise")
                source.execute("SELECT pg_switch_wal()")
            source.execute("CHECKPOINT")
            return bool(source.execute(lost, replication.slot))

        until(given_up, "the server to give the slot up")
        last = replication.refused(code=3)
        assert replication.slot in last
        assert "max_slot_wal_keep_size" in last
    finally:
        source.cluster.configure(max_slot_wal_keep_size="-1")
        source.cluster.reload()
    _begin_anew(replication)


IDLE_TIMEOUT_FROM: Final = 18
"""Major version that gives idle slots up."""


@pytest.mark.parametrize(
    "majors", each_of([pair for pair in PAIRS if int(pair[1]) >= IDLE_TIMEOUT_FROM]), indirect=True
)
def test_a_slot_given_up_for_being_idle(target_server: Cluster, tmp_path: Path) -> None:
    """PostgreSQL looks at each checkpoint."""
    cluster = target_server
    source, target = Database.create(cluster, "idle_from"), Database.create(cluster, "idle_to")
    source.execute(TABLE)
    replication = Watched.between(tmp_path, "idle", source, target)
    replication.catch_up()
    source.execute(MORE, 11, 20)
    cluster.configure(idle_replication_slot_timeout="1s")
    cluster.reload()
    try:
        lost = (
            "SELECT 1 FROM pg_replication_slots WHERE slot_name = %s"
            " AND invalidation_reason = 'idle_timeout'"
        )

        def given_up() -> bool:
            source.execute("CHECKPOINT")
            return bool(source.execute(lost, replication.slot))

        until(given_up, "the server to give the slot up")
        last = replication.refused(code=3)
        assert replication.slot in last
        assert "idle_timeout" in last
        assert "raise idle_replication_slot_timeout" in last
        code, text = replication.command("check")
        assert code == 1
        assert "stopped for 1 s" in text
        assert "slot-timeout" in text
    finally:
        cluster.configure(idle_replication_slot_timeout="0")
        cluster.reload()
    _begin_anew(replication)
    assert replication.command("cleanup", "--yes")[0] == 0
    source.drop()
    target.drop()


def _drop_publication(replication: Watched) -> None:
    replication.source.execute(f"DROP PUBLICATION {replication.slot}")


def _drop_table(replication: Watched) -> None:
    replication.source.execute(f"ALTER PUBLICATION {replication.slot} DROP TABLE item")


@pytest.mark.parametrize(
    ("harm", "named"),
    [(_drop_publication, "is missing"), (_drop_table, "public.item")],
    ids=["publication-dropped", "table-taken-out"],
)
def test_a_publication_that_is_not_as_we_left_it(
    source: Database, replicate: Replicate, harm: Callable[[Watched], None], named: str
) -> None:
    replication = _stopped(source, replicate)
    harm(replication)
    last = replication.refused()
    assert f"publication {replication.slot}" in last
    assert named in last
    _begin_anew(replication)


def test_a_publication_dropped_under_a_running_stream(
    source: Database, replicate: Replicate
) -> None:
    source.execute(TABLE)
    replication = replicate()
    with replication.run() as run:
        run.state("streaming")
        _drop_publication(replication)
        source.execute(MORE, 11, 20)
        assert run.wait() == 1, run.story()
        assert_last_line_tells(run)
        assert replication.slot in run.ending
        assert "publication" in run.ending
    _begin_anew(replication)
