"""No room under a daemon's state: what it says, what goes on, and that all goes on with room."""

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final

import pytest
from botocore.exceptions import ClientError

from tests.scenario.daemon.disk import Disk, limited, small_disk
from tests.scenario.daemon.replicated import RULES, Replicated, endpoint, replicated, start
from tests.scenario.daemon.serving import Serving
from tests.servers.postgres import Database

MakeDisk = Callable[[Path], AbstractContextManager[Disk]]

CONFIG: Final = '[serve]\nlease = "3s"\n[limits]\ncalls_per_second = 10000\ncalls_burst = 10000\n'

TRIES_MAX: Final = 200
"""Changes until the log of the store has used up what it had of the disk: 4 MiB."""


def filled(database: Database) -> Database:
    database.execute("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a')")
    return database


def running(daemon: Serving, source: Database, target: Database) -> Replicated:
    it = replicated(daemon, "orders", filled(source), target)
    start(daemon, it.arn)
    daemon.await_status(it.arn, "running")
    daemon.until(it.rows("t"), "the load")
    return it


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


class Many:
    """Configurations that use up what is left of a disk."""

    def __init__(self, dms: Any, source: Database, target: Database) -> None:
        self._dms = dms
        self._ends = {
            "SourceEndpointArn": endpoint(dms, "many-source", "source", source),
            "TargetEndpointArn": endpoint(dms, "many-target", "target", target),
        }
        (rule,) = RULES["rules"]
        rules = [{**rule, "rule-id": f"{n}", "rule-name": f"r{n}"} for n in range(1, 300)]
        self._mappings = json.dumps({"rules": rules})
        self.answered: list[str] = []

    def create(self) -> None:
        """Another one."""
        name = f"many-{len(self.answered)}"
        self._dms.create_replication_config(
            ReplicationConfigIdentifier=name,
            ReplicationType="cdc",
            ComputeConfig={"MaxCapacityUnits": 1},
            TableMappings=self._mappings,
            **self._ends,
        )
        self.answered.append(name)

    def create_until_refused(self) -> None:
        """With AWS's fault for that, and nothing of the last one kept."""
        with pytest.raises(ClientError) as refused:
            self._create_all()
        assert code(refused) == "StorageQuotaExceededFault"
        assert "no room" in str(refused.value)

    def _create_all(self) -> None:
        for _ in range(TRIES_MAX):
            self.create()

    def kept(self) -> list[str]:
        """Those that are there."""
        every = pages(self._dms.describe_replication_configs, "ReplicationConfigs")
        return _many(each["ReplicationConfigIdentifier"] for each in every)

    def told(self) -> list[str]:
        """Those of which an event tells."""
        every = pages(self._dms.describe_events, "Events", SourceType="replication")
        return _many(each["SourceIdentifier"] for each in every)


def _many(names: Iterable[str]) -> list[str]:
    return sorted({name for name in names if name.startswith("many-")})


def pages(call: Callable[..., Any], member: str, **asked: str) -> Iterator[dict[str, Any]]:
    """What all pages of an answer hold."""
    answer = call(MaxRecords=100, **asked)
    yield from answer[member]
    while marker := answer.get("Marker"):
        answer = call(MaxRecords=100, Marker=marker, **asked)
        yield from answer[member]


@pytest.mark.parametrize("disk_of", [small_disk, limited])
def test_a_full_disk_stops_changes_and_nothing_else(
    tmp_path: Path, source: Database, target: Database, disk_of: MakeDisk
) -> None:
    with disk_of(tmp_path) as disk, Serving(tmp_path, config=CONFIG) as daemon:
        it = running(daemon, source, target)
        worker = daemon.worker()
        dms = daemon.client()
        many = Many(dms, source, target)
        disk.fill(daemon)
        many.create_until_refused()
        assert many.kept() == many.told() == sorted(many.answered)
        with pytest.raises(ClientError) as refused:
            dms.stop_replication(ReplicationConfigArn=it.arn)
        assert code(refused) == "StorageQuotaExceededFault"
        daemon.until(
            lambda: "the lease could not be renewed" in str(list(daemon.lines)), "it to be said"
        )
        source.execute("INSERT INTO t VALUES (2, 'on a full disk')")
        daemon.until(it.rows("t"), "what was written meanwhile")
        assert [daemon.get(path)[0] for path in ("/healthz", "/readyz", "/metrics")] == [200] * 3
        assert daemon.replication(it.arn)["Status"] == "running"
        assert daemon.worker() == worker
        os.kill(worker, signal.SIGKILL)
        source.execute("INSERT INTO t VALUES (3, 'for the next worker')")
        daemon.until(it.rows("t"), "the next worker")
        disk.make_room()
        many.create()
        assert many.kept() == sorted(many.answered)
        daemon.await_status(it.arn, "running")
        dms.stop_replication(ReplicationConfigArn=it.arn)
        assert daemon.await_status(it.arn, "stopped")["StopReason"] == "Stop Reason NORMAL"
        start(daemon, it.arn, "resume-processing")
        daemon.await_status(it.arn, "running")
        source.execute("INSERT INTO t VALUES (4, 'with room')")
        daemon.until(it.rows("t"), "all that was written")
        assert daemon.stop() == 0


@pytest.mark.parametrize("ended", [Serving.kill, Serving.stop])
def test_a_daemon_that_starts_on_a_full_disk_ends_and_the_next_one_with_room_goes_on(
    tmp_path: Path, source: Database, target: Database, ended: Callable[[Serving], object]
) -> None:
    """Nobody is told of statuses that no daemon looks after; a service manager starts it again."""
    with small_disk(tmp_path) as disk:
        with Serving(tmp_path, config=CONFIG) as daemon:
            it = running(daemon, source, target)
            many = Many(daemon.client(), source, target)
            disk.fill()
            many.create_until_refused()
            ended(daemon)
        disk.fill()
        with Serving(tmp_path, config=CONFIG) as daemon:
            assert daemon.wait() == 1
            assert "free space on its file system" in daemon.story()
            assert not [line for line in daemon.lines if line.get("action") == "api.listen"]
        disk.make_room()
        source.execute("INSERT INTO t VALUES (2, 'meanwhile')")
        with Serving(tmp_path, config=CONFIG) as daemon:
            daemon.await_status(it.arn, "running")
            daemon.until(it.rows("t"), "what was written meanwhile")
            assert daemon.stop() == 0


def test_a_daemon_whose_state_cannot_be_written_ends_with_the_reason(tmp_path: Path) -> None:
    with small_disk(tmp_path) as disk:
        disk.read_only()
        with Serving(tmp_path) as daemon:
            assert daemon.wait() == 1
            assert "Read-only file system" in daemon.story()
            assert "daemon's account may write there" in daemon.story()
        disk.writable()
        with Serving(tmp_path) as daemon:
            assert daemon.address
            assert daemon.stop() == 0
        disk.read_only()
        with Serving(tmp_path) as daemon:
            assert daemon.wait() == 1
            assert "Read-only file system" in daemon.story()
    (tmp_path / "file").write_text("no folder")
    with Serving(tmp_path / "file") as daemon:
        assert daemon.wait() == 1
        assert "Not a directory" in daemon.story()
        assert "--state-dir" in daemon.story()


def test_a_first_start_without_room_is_one_with_room_later(tmp_path: Path) -> None:
    with small_disk(tmp_path) as disk:
        disk.fill()
        with Serving(tmp_path) as daemon:
            assert daemon.wait() == 1
            assert "free space" in daemon.story()
        disk.make_room()
        with Serving(tmp_path) as daemon:
            assert daemon.get("/readyz")[0] == 200
            assert daemon.stop() == 0


def test_a_start_without_room_for_its_files_waits_and_says_why(
    tmp_path: Path, source: Database, target: Database
) -> None:
    """Its folder is on another disk than the store, or the store has room left in its log."""
    with Serving(tmp_path, config=CONFIG) as daemon:
        it = replicated(daemon, "orders", filled(source), target)
        folder = daemon.state / "replications"
        shutil.rmtree(folder, ignore_errors=True)
        folder.write_text("in the way")
        start(daemon, it.arn)
        daemon.until(lambda: waits(daemon, it.arn), "the reason")
        assert "cannot write" in str(daemon.replication(it.arn)["FailureMessages"])
        assert daemon.replication(it.arn)["Status"] == "initializing"
        folder.unlink()
        found = daemon.await_status(it.arn, "running")
        assert "FailureMessages" not in found
        daemon.until(it.rows("t"), "the load")
        daemon.kill()
    shutil.rmtree(folder)
    folder.write_text("in the way")
    with Serving(tmp_path, config=CONFIG) as daemon:
        daemon.until(lambda: waits(daemon, it.arn), "the reason")
        assert daemon.replication(it.arn)["Status"] == "replication_starting"
        daemon.client().stop_replication(ReplicationConfigArn=it.arn)
        assert "FailureMessages" not in daemon.await_status(it.arn, "stopped")
        folder.unlink()
        start(daemon, it.arn, "resume-processing")
        daemon.await_status(it.arn, "running")
        source.execute("INSERT INTO t VALUES (2, 'later')")
        daemon.until(it.rows("t"), "what was written meanwhile")
        assert daemon.stop() == 0


def test_an_endpoint_that_cannot_be_looked_at_for_want_of_room_says_so(
    tmp_path: Path, source: Database
) -> None:
    with Serving(tmp_path) as daemon:
        dms = daemon.client()
        arn = endpoint(dms, "orders-source", "source", source)
        instance = dms.describe_replication_instances()["ReplicationInstances"][0]
        looks = daemon.state / "looks"
        shutil.rmtree(looks, ignore_errors=True)
        looks.write_text("in the way")

        def tested() -> dict[str, Any]:
            (found,) = dms.describe_connections()["Connections"]
            return dict(found)

        dms.test_connection(
            ReplicationInstanceArn=instance["ReplicationInstanceArn"], EndpointArn=arn
        )
        daemon.until(lambda: tested()["Status"] != "testing", "the test")
        assert tested()["Status"] == "failed"
        assert "cannot write the files of a look" in tested()["LastFailureMessage"]
        assert daemon.stop() == 0


def waits(daemon: Serving, arn: str) -> bool:
    """Whether it says why it does not go on."""
    return bool(daemon.replication(arn).get("FailureMessages"))
