"""A target restored to an older state: nothing may be missing afterwards, or it is said."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.scenario.conftest import Majors
from tests.scenario.running import Replication, Run, until
from tests.scenario.workload import broken_rules, create
from tests.scenario.writers import Writers
from tests.servers.postgres import Cluster, Database

PrivateCluster = Callable[..., Cluster]


class Backup:
    """A copy of a stopped cluster's files."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._copy = cluster.directory / "backup"

    def take(self) -> None:
        self._cluster.stop()
        self._replace(self._cluster.data, self._copy)
        self._cluster.start()

    def restore(self) -> None:
        """As after a power cut, so that no session has time for anything."""
        self._cluster.kill9()
        self._replace(self._copy, self._cluster.data)
        self._cluster.start()

    def _replace(self, origin: Path, place: Path) -> None:
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(origin, place)
        self._cluster._account.give(place)


@pytest.fixture
def target(private_cluster: PrivateCluster, majors: Majors) -> Database:
    return Database.create(private_cluster(majors[1]), "target")


@pytest.fixture
def backup(target: Database) -> Backup:
    return Backup(target.cluster)


LATE = {"acknowledge_delay": "1h"}
"""The source keeps its log: for targets that may lose what they reported."""


@pytest.mark.parametrize("mode", ["table-parallel", "transactional"])
def test_a_target_restored_while_running_reads_again_what_the_source_still_has(
    source: Database, target: Database, backup: Backup, tmp_path: Path, mode: str
) -> None:
    create(source)
    replication = Replication.between(
        tmp_path, f"restored-running-{mode}", source, target, apply={**LATE, "mode": mode}
    )
    replication.catch_up()
    backup.take()
    with Writers(source) as writers, replication.run() as run:
        run.state("streaming")
        _await_rows(target, run, 200)
        backup.restore()
        assert target.execute("SELECT count(*) FROM audit")[0][0] < 200
        _await_rows(target, run, 400)
        writers.stop()
        replication.await_tables(replication.tables(), run)
        assert run.stop() == 0
    assert broken_rules(target) == []


def test_a_target_restored_while_stopped_reads_again_what_the_source_still_has(
    source: Database, target: Database, backup: Backup, tmp_path: Path
) -> None:
    create(source)
    replication = Replication.between(tmp_path, "restored-stopped", source, target, apply=LATE)
    replication.catch_up()
    backup.take()
    with Writers(source), replication.run() as run:
        run.state("streaming")
        _await_rows(target, run, 200)
        assert run.stop() == 0
    replication.catch_up()
    backup.restore()
    assert replication.differences() != []
    replication.catch_up()
    assert replication.differences() == []


def test_a_target_restored_while_running_behind_what_the_source_was_told_stops(
    source: Database, target: Database, backup: Backup, tmp_path: Path
) -> None:
    create(source)
    replication = Replication.between(tmp_path, "lost-running", source, target)
    replication.catch_up()
    backup.take()
    with Writers(source) as writers, replication.run() as run:
        run.state("streaming")
        _await_rows(target, run, 200)
        writers.stop()
        replication.await_applied(run)
        backup.restore()
        assert run.wait() == 3
        assert "the target went back to" in run.ending


def test_a_target_restored_while_stopped_behind_what_the_source_was_told_stops(
    source: Database, target: Database, backup: Backup, tmp_path: Path
) -> None:
    create(source)
    replication = Replication.between(tmp_path, "lost-stopped", source, target)
    replication.catch_up()
    backup.take()
    with Writers(source) as writers, replication.run() as run:
        run.state("streaming")
        writers.stop()
        replication.await_applied(run)
        assert run.stop() == 0
    backup.restore()
    with replication.run() as run:
        assert run.wait() == 3
        assert "past the stored position" in run.ending


def test_a_target_restored_to_before_the_replication_existed_is_loaded_anew(
    source: Database, target: Database, backup: Backup, tmp_path: Path
) -> None:
    """The slot is there and the target knows nothing: the rows are loaded, none is missing."""
    create(source)
    replication = Replication.between(tmp_path, "restored-empty", source, target)
    backup.take()
    replication.catch_up()
    with Writers(source), replication.run() as run:
        run.state("streaming")
        _await_rows(target, run, 50)
        assert run.stop() == 0
    backup.restore()
    replication.catch_up()
    assert replication.differences() == []


def _await_rows(target: Database, run: Run, count: int) -> None:
    until(
        lambda: target.execute("SELECT count(*) FROM audit")[0][0] >= count,
        f"{count} rows in the target",
        run=run,
    )
