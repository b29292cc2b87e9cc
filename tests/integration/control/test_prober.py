"""Short processes of the daemon, and the one that looks at an endpoint."""

import asyncio
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from engine import addresses
from engine.addresses import LOOPBACK, USUAL
from engine.config.secret import Secret
from engine.control import errand
from engine.control.acting import Looked
from engine.control.looks import Looks
from engine.control.prober import DatabaseProber
from engine.control.resources.certificate import Certificate
from engine.control.resources.document import encode
from engine.control.resources.endpoint import Endpoint, members_place
from engine.control.sealing import seal_secrets
from engine.control.store.records import Record
from engine.control.store.sqlite import SqliteStore
from engine.control.vault import Key, Vault
from engine.observe.report import Outcome
from tests.servers.certificates import Authority
from tests.servers.postgres import Cluster

CANARY: Final = "s3cr3t-c4n4ry"
VAULT: Final = Vault([Key.make()])


STUCK: Final = """
import os, pathlib, signal
pid = pathlib.Path(os.environ["PID_FILE"])
pid.with_suffix(".new").write_text(str(os.getpid()))
pid.with_suffix(".new").rename(pid)
signal.pause()
"""


def environment(folder: Path, module: str) -> dict[str, str]:
    """Where `python -m errand_of_test` runs a test's own text."""
    (folder / "errand_of_test.py").write_text(module)
    return {**os.environ, "PYTHONPATH": str(folder), "PID_FILE": str(folder / "pid")}


async def run(environment: Mapping[str, str], seconds: float = 60) -> Outcome:
    return await errand.run("errand_of_test", [], environment=environment, seconds=seconds)


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def test_a_process_that_dies_is_an_outcome(tmp_path: Path) -> None:
    outcome = await run(environment(tmp_path, "import os; os._exit(7)"))
    assert outcome.exit == 1
    assert "exit code 7" in outcome.reason


async def test_a_process_that_does_not_end_is_killed(tmp_path: Path) -> None:
    """When its time is over, and when whoever asked is cancelled."""
    stuck = environment(tmp_path, STUCK)
    started = Path(stuck["PID_FILE"])
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(run(stuck))
        async with asyncio.timeout(30):
            while not started.exists():
                await asyncio.sleep(0.02)
        running.cancel()
    assert gone(int(started.read_text()))
    outcome = await run(stuck, seconds=0.2)
    assert (outcome.exit, outcome.error) == (1, "ErrandTimeout")


@pytest.fixture
def guarded(private_cluster: Callable[..., Cluster], tmp_path: Path) -> Cluster:
    """A server that asks for a password, over TLS of an authority of its own."""
    cluster = private_cluster()
    for file in Authority.create(tmp_path).sign(cluster.data, "127.0.0.1"):
        cluster.give(file)
    cluster.configure(ssl="on")
    cluster.access("hostssl all all 127.0.0.1/32 scram-sha-256")
    cluster.restart()
    cluster.execute(f"CREATE ROLE app LOGIN REPLICATION PASSWORD '{CANARY}'")
    cluster.execute("CREATE SCHEMA sales; CREATE TABLE sales.t (id int); CREATE TABLE t (id int)")
    cluster.execute("GRANT USAGE ON SCHEMA sales TO app; GRANT SELECT ON sales.t, t TO app")
    return cluster


def members(cluster: Cluster, **more: Any) -> dict[str, Any]:
    return {
        "EndpointIdentifier": "shop",
        "EndpointType": "source",
        "EngineName": "postgres",
        "ServerName": "127.0.0.1",
        "Port": cluster.port,
        "DatabaseName": "postgres",
        "Username": "app",
        "Password": Secret(CANARY),
        "SslMode": "verify-full",
        "CertificateArn": "arn:aws:dms:us-east-1:000000000000:cert:authority",
        **more,
    }


async def store_endpoint(store: SqliteStore, members: Mapping[str, Any]) -> None:
    """As the endpoint with the id AB."""
    sealed = seal_secrets(VAULT, members_place("AB"), members)
    async with store.write() as writing:
        if await writing.get("endpoint", "AB"):
            await writing.delete("endpoint", "AB")
        await writing.insert(Record("endpoint", "AB", "shop", encode(Endpoint(members=sealed))))


async def test_an_endpoint_is_looked_at_with_its_secret_and_certificate(
    guarded: Cluster, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async with SqliteStore(tmp_path / "store.db") as store:
        prober = DatabaseProber(Looks(store, VAULT, tmp_path / "looks", {}, os.environ))
        guarding = {**os.environ, addresses.VARIABLE: str(USUAL.refuse(LOOPBACK, guarded.port))}
        authority = Certificate(name="authority", pem=(tmp_path / "authority.crt").read_text())
        async with store.write() as writing:
            await writing.insert(Record("certificate", "authority", "authority", encode(authority)))
        await store_endpoint(store, members(guarded))
        assert await prober.connect("AB") == Looked()
        assert await prober.schemas("AB") == Looked(schemas=("public", "sales"))
        await store_endpoint(store, members(guarded, EndpointType="target"))
        assert await prober.connect("AB") == Looked()
        failures = {}
        for name, wrong in {
            "password": members(guarded, Password=Secret(f"not-{CANARY}")),
            "port": members(guarded, Port=1),
            "engine": members(guarded, EngineName="oracle"),
            "authority": members(guarded, CertificateArn="", SslMode="verify-full"),
        }.items():
            await store_endpoint(store, wrong)
            failures[name] = (await prober.connect("AB")).failure
        await store_endpoint(store, members(guarded, ServerName="localhost"))
        held = DatabaseProber(Looks(store, VAULT, tmp_path / "looks", {}, guarding))
        failures["address"] = (await held.connect("AB")).failure
        failures["endpoint"] = (await prober.connect("CD")).failure
    assert "password authentication failed" in failures["password"]
    assert "127.0.0.1" in failures["port"]
    assert "Oracle (oracle) is not run by Penstock" in failures["engine"]
    assert "certificate" in failures["authority"]
    assert "which localhost leads to, is not for endpoints" in failures["address"]
    assert failures["endpoint"] == "there is no endpoint CD"
    assert CANARY not in f"{failures} {capfd.readouterr()}"
    assert CANARY.encode() not in (tmp_path / "store.db").read_bytes()
    assert list((tmp_path / "looks").iterdir()) == []
