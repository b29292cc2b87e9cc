"""A machine that makes no more processes for the daemon, as the kernel refuses them: EAGAIN."""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pytest
from botocore.exceptions import ClientError

from engine.control.lifecycle import STARTING
from tests.scenario.daemon.replicated import replicated, start
from tests.scenario.daemon.serving import Serving, workers_of
from tests.scenario.running import PENSTOCK
from tests.servers.postgres import Database

ACCOUNT: Final = 61_234
"""One whose processes the kernel counts, which it does not for root."""

REFUSED: Final = "no process could be started"


def as_account() -> Sequence[str]:
    """The command of `penstock` there, which may read and write what root's may; skips the test
    where there is none."""
    may = "+dac_override,+fowner,+chown"
    words = [
        *("setpriv", f"--reuid={ACCOUNT}", f"--regid={ACCOUNT}", "--clear-groups"),
        *(f"--inh-caps={may}", f"--ambient-caps={may}"),
    ]
    if os.geteuid() != 0 or not (shutil.which("setpriv") and shutil.which("prlimit")):
        pytest.skip("an account of its own for the daemon needs root, setpriv and prlimit")
    if subprocess.run([*words, "true"], capture_output=True).returncode:
        pytest.skip("no capabilities can be given here")
    return [*words, *PENSTOCK]


@contextlib.contextmanager
def no_processes(daemon: Serving) -> Iterator[None]:
    """It can make none meanwhile."""
    _limit(daemon, 1)
    try:
        yield
    finally:
        _limit(daemon, 4096)


def _limit(daemon: Serving, processes: int) -> None:
    """Its account may change that of its own processes."""
    account = as_account()[: -len(PENSTOCK)]
    words = ["prlimit", f"--pid={daemon.process.pid}", f"--nproc={processes}:"]
    subprocess.run([*account, *words], check=True)


def filled(database: Database) -> Database:
    database.execute("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a')")
    return database


def says(daemon: Serving, arn: str) -> str:
    """Why it does not go on."""
    return " ".join(daemon.replication(arn).get("FailureMessages", []))


def gone(daemon: Serving, arn: str) -> bool:
    try:
        daemon.replication(arn)
    except ClientError as error:
        return bool(error.response["Error"]["Code"] == "ResourceNotFoundFault")
    return False


def test_what_cannot_be_forked_is_tried_again_and_told(
    tmp_path: Path, source: Database, target: Database
) -> None:
    """The probe of a start, its worker, the worker after one that died, and a deletion's chore."""
    with Serving(tmp_path, command=as_account()) as daemon:
        it = replicated(daemon, "orders", filled(source), target)
        with no_processes(daemon):
            start(daemon, it.arn)
            daemon.until(lambda: REFUSED in says(daemon, it.arn), "the reason")
            assert daemon.replication(it.arn)["Status"] in STARTING
            assert daemon.get("/readyz")[0] == 200
            assert not workers_of(daemon.process.pid)
        assert "FailureMessages" not in daemon.await_status(it.arn, "running")
        daemon.until(it.rows("t"), "the load")
        with no_processes(daemon):
            os.kill(daemon.worker(), signal.SIGKILL)
            daemon.until(lambda: REFUSED in says(daemon, it.arn), "the reason")
            assert daemon.replication(it.arn)["Status"] == "replication_starting"
            source.execute("INSERT INTO t VALUES (2, 'meanwhile')")
        daemon.await_status(it.arn, "running")
        daemon.until(it.rows("t"), "what was written meanwhile")
        dms = daemon.client()
        dms.stop_replication(ReplicationConfigArn=it.arn)
        daemon.await_status(it.arn, "stopped")
        with no_processes(daemon):
            dms.delete_replication_config(ReplicationConfigArn=it.arn)
            daemon.until(lambda: REFUSED in says(daemon, it.arn), "the reason")
            assert daemon.replication(it.arn)["Status"] == "deleting"
        daemon.until(lambda: gone(daemon, it.arn), "it to be deleted")
        assert it.slots() == []
        assert daemon.stop() == 0


def test_a_stop_ends_the_wait_and_a_connection_that_cannot_be_tested_fails_with_the_reason(
    tmp_path: Path, source: Database, target: Database
) -> None:
    with Serving(tmp_path, command=as_account()) as daemon:
        it = replicated(daemon, "orders", filled(source), target)
        dms = daemon.client()
        endpoint = dms.describe_endpoints()["Endpoints"][0]["EndpointArn"]
        instance = dms.describe_replication_instances()["ReplicationInstances"][0]
        with no_processes(daemon):
            start(daemon, it.arn)
            daemon.until(lambda: REFUSED in says(daemon, it.arn), "the reason")
            dms.stop_replication(ReplicationConfigArn=it.arn)
            assert "FailureMessages" not in daemon.await_status(it.arn, "stopped")
            dms.test_connection(
                ReplicationInstanceArn=instance["ReplicationInstanceArn"], EndpointArn=endpoint
            )
            daemon.until(lambda: connection(dms)["Status"] != "testing", "the test")
            assert connection(dms)["Status"] == "failed"
            assert REFUSED in connection(dms)["LastFailureMessage"]
        assert daemon.stop() == 0


def connection(dms: Any) -> dict[str, Any]:
    (found,) = dms.describe_connections()["Connections"]
    return dict(found)
