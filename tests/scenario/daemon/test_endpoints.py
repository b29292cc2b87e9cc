"""Endpoints of a daemon that runs: looked at across its end, guarded, and their passwords nowhere
to be read."""

import base64
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from botocore.exceptions import ClientError

from tests.scenario.daemon.replicated import endpoint, replicated, start
from tests.scenario.daemon.serving import Serving
from tests.servers.postgres import Cluster, Database

CANARY: Final = "s3cr3t-c4n4ry"
INSTANCE: Final = "arn:aws:dms:us-east-1:000000000000:rep:penstock"


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A server that lets everybody in and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(60)
        yield listener


def at(database: Database, listener: socket.socket) -> dict[str, Any]:
    """Members of an endpoint of a database at another port."""
    return {"Port": listener.getsockname()[1], "DatabaseName": database.name}


def ask(daemon: Serving, arn: str) -> None:
    daemon.client().test_connection(EndpointArn=arn, ReplicationInstanceArn=INSTANCE)


def connection(daemon: Serving, arn: str) -> dict[str, Any]:
    filters = [{"Name": "endpoint-arn", "Values": [arn]}]
    (found,) = daemon.client().describe_connections(Filters=filters)["Connections"]
    return dict(found)


def ended(daemon: Serving, arn: str) -> dict[str, Any]:
    """A connection once it is not being tested any more."""
    daemon.until(lambda: connection(daemon, arn)["Status"] != "testing", "the connection")
    return connection(daemon, arn)


def test_no_connection_is_tested_for_ever(
    tmp_path: Path, source: Database, silent: socket.socket
) -> None:
    with Serving(tmp_path) as daemon:
        arn = endpoint(daemon.client(), "held", "source", source, **at(source, silent))
        ask(daemon, arn)
        with silent.accept()[0]:  # somebody looks
            daemon.kill()
    with Serving(tmp_path) as daemon, silent.accept()[0]:
        assert connection(daemon, arn)["Status"] == "testing"
        assert daemon.stop() == 0, "a look does not hold up a daemon"
    silent.close()
    with Serving(tmp_path) as daemon:
        found = ended(daemon, arn)
        assert list((daemon.state / "looks").iterdir()) == [], "nor what it was told is left"
        assert found["Status"] == "failed"
        assert "127.0.0.1" in found["LastFailureMessage"]


def test_an_endpoint_is_neither_the_daemon_nor_a_network_that_is_denied(
    tmp_path: Path, source: Database
) -> None:
    with Serving(tmp_path, config='[serve]\nendpoints_deny = ["::1"]\n') as daemon:
        dms = daemon.client()
        port = int(daemon.address.rpartition(":")[2])
        places: dict[str, dict[str, Any]] = {
            "itself": {"ServerName": "127.0.0.1", "Port": port},
            "denied": {"ServerName": "::1"},
            "cloud": {"ServerName": "169.254.169.254"},
        }
        for name, members in places.items():
            with pytest.raises(ClientError, match=r"InvalidParameterValueException.*is refused"):
                endpoint(dms, name, "source", source, **members)
        arn = endpoint(dms, "by-name", "source", source, ServerName="localhost", Port=port)
        ask(daemon, arn)
        found = ended(daemon, arn)
        assert found["Status"] == "failed"
        assert "which localhost leads to, is not for endpoints" in found["LastFailureMessage"]
        plain = endpoint(dms, "plain", "source", source)
        ask(daemon, plain)
        assert ended(daemon, plain)["Status"] == "successful"


@pytest.fixture
def guarded(private_cluster: Callable[..., Cluster]) -> Cluster:
    """A server that asks for a password."""
    cluster = private_cluster()
    cluster.access("host all all 127.0.0.1/32 scram-sha-256")
    cluster.execute(f"CREATE ROLE app SUPERUSER LOGIN PASSWORD '{CANARY}'")
    return cluster


def everything(daemon: Serving) -> str:
    """What whoever may read is told."""
    dms = daemon.client()
    answers: list[Any] = [
        dms.describe_endpoints(),
        dms.describe_connections(),
        dms.describe_replication_configs(),
        dms.describe_replications(),
        dms.describe_events(Duration=60),
        dms.describe_account_attributes(),
    ]
    paths = ["metrics", "healthz", "readyz", "penstock/v1/replications"]
    paths += [f"penstock/v1/endpoints/{name}" for name in ("canary-source", "canary-target")]
    own = "penstock/v1/replications/canary"
    paths += [own, f"{own}/logs", f"{own}/quarantine"]
    for path in paths:
        status, text = daemon.get(f"/{path}")
        assert status == 200, (path, text)
        answers.append(text)
    return str(answers)


def command_lines() -> str:
    """Of every process, as anybody on the machine may read them."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(file.read_bytes().decode(errors="replace"))
        except OSError:  # it has ended
            continue
    return "".join(found)


def test_a_password_is_nowhere_to_be_read(tmp_path: Path, guarded: Cluster) -> None:
    source, target = (Database.create(guarded, name) for name in ("a", "b"))
    source.execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
    login: dict[str, Any] = {"Username": "app", "Password": CANARY}
    with Serving(tmp_path) as daemon:
        dms = daemon.client()
        it = replicated(daemon, "canary", source, target, **login)
        ends = [each["EndpointArn"] for each in dms.describe_endpoints()["Endpoints"]]
        start(daemon, it.arn)
        failed = daemon.await_status(it.arn, "failed")
        assert "password" in str(failed["FailureMessages"]), "of the target, whose is another one"
        for arn in ends:
            ask(daemon, arn)
            ended(daemon, arn)
        dms.modify_endpoint(EndpointArn=ends[1], **login)
        start(daemon, it.arn)
        daemon.await_status(it.arn, "running")
        daemon.until(it.rows("t"), "the load")
        said = everything(daemon) + command_lines()
        files = contents(tmp_path)
        assert daemon.stop() == 0
        files |= {f"{name} later": data for name, data in contents(tmp_path).items()}
        said += daemon.story() + str(daemon.lines)
    assert f"{it.id}.toml" in str(sorted(files))
    assert '"Username": "app"' in said or "'Username': 'app'" in said
    assert CANARY not in said
    for form in (CANARY.encode(), base64.b64encode(CANARY.encode())[:-2]):
        assert [name for name, data in files.items() if form in data] == []


def contents(folder: Path) -> dict[str, bytes]:
    """Every file there, by name."""
    found = {}
    for file in folder.rglob("*"):
        if file.is_file():
            found[str(file)] = file.read_bytes()
    return found
