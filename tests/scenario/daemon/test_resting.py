"""A replication at rest: its slot keeps log, which nobody may find out by a full disk."""

import json
import urllib.request
from pathlib import Path

from tests.scenario.daemon.replicated import Replicated, replicated, start
from tests.scenario.daemon.serving import Serving
from tests.servers.postgres import Database

TOLD = "The source keeps log for a replication that does not run:"
GIVEN_UP = "The log that was kept for a replication was given up:"


def at_rest(daemon: Serving, source: Database, target: Database) -> Replicated:
    """One that ran, and keeps more than 2 MiB of log since."""
    source.execute("CREATE TABLE t (id int PRIMARY KEY, v text)")
    it = replicated(daemon, "idle", source, target)
    start(daemon, it.arn)
    daemon.await_status(it.arn, "running")
    daemon.until(it.rows("t"), "the load")
    daemon.client().stop_replication(ReplicationConfigArn=it.arn)
    daemon.await_status(it.arn, "stopped")
    source.execute("INSERT INTO t SELECT g, repeat('v', 100) FROM generate_series(1, 20000) g")
    return it


def kept(daemon: Serving, it: Replicated) -> float:
    """What `/metrics` says that the source keeps."""
    begins = f'penstock_source_retained_bytes{{replication="{it.id}"}} '
    lines = daemon.get("/metrics")[1].splitlines()
    return sum(float(line.removeprefix(begins)) for line in lines if line.startswith(begins))


def put(daemon: Serving, path: str, document: object) -> None:
    """What AWS has no name for."""
    request = urllib.request.Request(
        f"http://{daemon.address}/penstock/v1/{path}",
        json.dumps(document).encode(),
        {"Content-Type": "application/json"},
        method="PUT",
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 200


def messages(daemon: Serving) -> list[str]:
    return [event["Message"] for event in daemon.client().describe_events()["Events"]]


def test_what_is_kept_for_it_is_told(tmp_path: Path, source: Database, target: Database) -> None:
    with Serving(tmp_path) as daemon:
        it = at_rest(daemon, source, target)
        put(daemon, "endpoints/idle-source/ours", {"ours": {"wal_retained_warn": "1MiB"}})
        assert daemon.stop() == 0
    with Serving(tmp_path) as daemon:
        daemon.until(lambda: kept(daemon, it) > 2 << 20, "what the source keeps")
        daemon.until(lambda: any(text.startswith(TOLD) for text in messages(daemon)), "an event")
        with urllib.request.urlopen(
            f"http://{daemon.address}/penstock/v1/replications/idle", timeout=30
        ) as answer:
            assert json.load(answer)["retained_bytes"] > 2 << 20
        assert daemon.replication(it.arn)["Status"] == "stopped"
        start(daemon, it.arn, "resume-processing")
        daemon.await_status(it.arn, "running")
        daemon.until(it.rows("t"), "what was kept")
        lines = daemon.get("/metrics")[1].splitlines()
        heads = [line for line in lines if line.startswith("# TYPE penstock_source_retained_bytes")]
        assert len(heads) == 1
        assert daemon.stop() == 0


def test_it_is_given_up_where_that_was_declared(
    tmp_path: Path, source: Database, target: Database
) -> None:
    with Serving(tmp_path) as daemon:
        it = at_rest(daemon, source, target)
        ours = {"wal_retained_max": "2MiB", "wal_retained_policy": "give-up-slot"}
        put(daemon, "endpoints/idle-source/ours", {"ours": {"wal_retained_warn": "1MiB", **ours}})
        assert it.slots()
        assert daemon.stop() == 0
    with Serving(tmp_path) as daemon:
        daemon.until(lambda: not it.slots(), "the slot to go")
        daemon.until(lambda: any(text.startswith(GIVEN_UP) for text in messages(daemon)), "word")
        start(daemon, it.arn, "resume-processing")
        found = daemon.await_status(it.arn, "failed")
        assert "slot" in str(found["FailureMessages"]), "what it would miss is not passed over"
        start(daemon, it.arn, "reload-target")
        daemon.await_status(it.arn, "running")
        daemon.until(it.rows("t"), "the load")
