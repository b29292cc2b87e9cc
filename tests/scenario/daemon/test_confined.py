"""The daemon, and a run without it, under what their systemd units let them do."""

import shutil
from pathlib import Path

import pytest

from tests.conftest import need
from tests.deployed import UNITS
from tests.scenario.daemon.replicated import replicated, start
from tests.scenario.daemon.serving import Serving
from tests.scenario.running import PENSTOCK, Replication, Run
from tests.servers import confined
from tests.servers.postgres import Database

SERVE, RUN = UNITS


@pytest.fixture(scope="module", autouse=True)
def means() -> None:
    """What puts a unit's restrictions into force without systemd."""
    need(confined.LIBRARY, confined.seccomp)
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze, which knows groups of system calls, is not on this machine")


def filled(database: Database) -> Database:
    database.execute(
        "CREATE TABLE t (id int PRIMARY KEY, v text);"
        " INSERT INTO t SELECT g, 'row ' || g FROM generate_series(1, 500) g"
    )
    return database


def test_the_restrictions_are_in_force(tmp_path: Path) -> None:
    allowed = confined.calls(SERVE)
    assert {"read", "connect", "fsync", "clone"} <= allowed
    assert not {"chroot", "setuid", "mount", "ptrace", "bpf", "init_module"} & allowed


def test_the_daemon_does_its_work(tmp_path: Path, source: Database, target: Database) -> None:
    with Serving(tmp_path, command=[*confined.words(SERVE), *PENSTOCK]) as daemon:
        it = replicated(daemon, "orders", filled(source), target)
        start(daemon, it.arn)
        daemon.await_status(it.arn, "running")
        source.execute("INSERT INTO t VALUES (1001, 'new'); DELETE FROM t WHERE id < 10")
        daemon.until(it.rows("t"), "the changes")
        assert daemon.get("/healthz")[0] == 200
        assert Path(f"/proc/{daemon.worker()}/status").read_text().count("Seccomp:\t2") == 1
        assert daemon.stop() == 0


def test_a_run_does_its_work(tmp_path: Path, source: Database, target: Database) -> None:
    it = Replication.between(tmp_path, "orders", filled(source), target)
    words = ["run", f"--state-dir={tmp_path / 'overflow'}", str(it.file)]
    with Run(words, {}, [*confined.words(RUN), *PENSTOCK]) as run:
        run.state("streaming")
        source.execute("UPDATE t SET v = 'later' WHERE id < 10")
        it.await_applied()
        assert run.stop() == 0
    assert it.differences() == []
