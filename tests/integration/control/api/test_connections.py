"""Connections tested and schemas read over the API, by botocore's own client."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import pytest

from engine.control.acting import Looked
from engine.control.api.arn import Kind
from engine.control.looker import EndpointLooker
from engine.control.looks import Looks
from engine.control.prober import DatabaseProber
from engine.control.resources.instance import DEFAULT_ID
from engine.control.store.contract import Reading, Store, Writing
from engine.control.vault import Vault
from engine.observe.log import Line, Log
from engine.seams import SystemClock
from tests.integration.control.api.asking import arn, pages, put, put_endpoint, refused
from tests.integration.control.api.daemon import READER, Daemon, serving
from tests.servers.mysql import MysqlDatabase
from tests.servers.postgres import Cluster

CANARY: Final = "s3cr3t-c4n4ry"
INSTANCE: Final = arn(Kind.INSTANCE, DEFAULT_ID)
ENDPOINT: Final = arn(Kind.ENDPOINT, "SHOP")
PAIR: Final[dict[str, Any]] = {"EndpointArn": ENDPOINT, "ReplicationInstanceArn": INSTANCE}


@dataclass
class Held:
    """A prober that finds what a test says, when it says so."""

    looked: Looked = field(default_factory=Looked)
    asked: list[str] = field(default_factory=list[str])
    may: asyncio.Event = field(default_factory=asyncio.Event)

    async def connect(self, endpoint: str) -> Looked:
        return await self._look(f"connect {endpoint}")

    async def schemas(self, endpoint: str) -> Looked:
        return await self._look(f"schemas {endpoint}")

    async def _look(self, what: str) -> Looked:
        self.asked.append(what)
        await self.may.wait()
        return self.looked


@pytest.fixture
def held() -> Held:
    return Held()


@pytest.fixture
async def daemon(tmp_path: Path, held: Held) -> AsyncIterator[Daemon]:
    async with serving(tmp_path, prober=lambda _store, _vault: held) as running:
        await put_endpoint(running, "SHOP", EndpointIdentifier="Shop")
        yield running


async def connections(daemon: Daemon, **params: Any) -> list[dict[str, Any]]:
    answer = await daemon.call("describe_connections", READER, **params)
    found: list[dict[str, Any]] = answer["Connections"]
    return found


async def outcome(daemon: Daemon) -> dict[str, Any]:
    """The one connection, when it is not being tested any more."""
    async with asyncio.timeout(60):
        while True:
            (found,) = await connections(daemon)
            if found["Status"] != "testing":
                return found
            await asyncio.sleep(0.05)


async def refreshed(daemon: Daemon, endpoint: str = ENDPOINT) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while True:
            answer = await daemon.call("describe_refresh_schemas_status", EndpointArn=endpoint)
            found: dict[str, Any] = answer["RefreshSchemasStatus"]
            if found["Status"] != "refreshing":
                return found
            await asyncio.sleep(0.05)


def named(name: str, *values: str) -> dict[str, Any]:
    return {"Filters": [{"Name": name, "Values": list(values)}]}


async def test_a_connection_is_tested_beside_the_answer(daemon: Daemon, held: Held) -> None:
    shown = {
        **PAIR,
        "Status": "testing",
        "LastFailureMessage": "",
        "EndpointIdentifier": "Shop",
        "ReplicationInstanceIdentifier": DEFAULT_ID,
    }
    assert await connections(daemon) == []
    assert (await daemon.call("test_connection", **PAIR))["Connection"] == shown
    assert (await daemon.call("test_connection", **PAIR))["Connection"] == shown
    assert await connections(daemon, **named("endpoint-arn", ENDPOINT)) == [shown]
    held.may.set()
    assert await outcome(daemon) == {**shown, "Status": "successful"}
    assert held.asked == ["connect SHOP"], "asked for twice, tried once"
    client = daemon.client()
    waiter = client.get_waiter("test_connection_succeeds")
    await asyncio.to_thread(waiter.wait, **named("endpoint-arn", ENDPOINT))
    client.close()
    held.looked = Looked("the server said no")
    await daemon.call("test_connection", **PAIR)
    failed = await outcome(daemon)
    assert failed["Status"] == "failed"
    assert failed["LastFailureMessage"] == "Test Endpoint failed: the server said no"
    gone = await daemon.call("delete_connection", **PAIR)
    assert gone["Connection"] == {**failed, "Status": "deleting"}
    assert await connections(daemon) == []
    with refused("ResourceNotFoundFault"):
        await daemon.call("delete_connection", **PAIR)


async def test_a_look_outlives_the_daemon(tmp_path: Path, held: Held) -> None:
    async with serving(tmp_path, prober=lambda _store, _vault: held) as daemon:
        await put_endpoint(daemon, "SHOP")
        await daemon.call("test_connection", **PAIR)
        await daemon.call("refresh_schemas", **PAIR)
        while len(held.asked) < 2:
            await asyncio.sleep(0.02)
    async with serving(tmp_path) as daemon:
        assert (await outcome(daemon))["Status"] == "successful"
        assert (await refreshed(daemon))["Status"] == "successful"
        assert daemon.idle.asked == [("connect", "SHOP"), ("schemas", "SHOP")]


class LateStore:
    """A store whose readings come to their reader when a test says so."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.readings = 0
        self.may = asyncio.Event()
        self.may.set()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Reading]:
        async with self._store.read() as reading:
            yield reading
        self.readings += 1
        await self.may.wait()

    def write(self) -> AbstractAsyncContextManager[Writing]:
        return self._store.write()


async def test_a_look_that_ends_while_the_next_is_sought_is_not_taken_for_it(
    daemon: Daemon, tmp_path: Path, held: Held
) -> None:
    await daemon.call("test_connection", **PAIR)
    while not held.asked:
        await asyncio.sleep(0.02)
    late = LateStore(daemon.store)
    other = Held()
    looker = EndpointLooker(cast("Store", late), other, Log(list[Line]().append, SystemClock()))
    running = asyncio.create_task(looker.run())
    while not other.asked:
        await asyncio.sleep(0.02)
    late.may.clear()
    looker.wake()
    while late.readings < 2:
        await asyncio.sleep(0.02)
    other.may.set()
    assert (await outcome(daemon))["Status"] == "successful"
    await asyncio.sleep(0)
    late.may.set()
    while late.readings < 3:
        await asyncio.sleep(0.02)
    running.cancel()
    await asyncio.wait([running])
    assert other.asked == ["connect SHOP"]


async def test_what_was_found_counts_for_what_was_asked_alone(daemon: Daemon, held: Held) -> None:
    """Not for a connection of the same pair that is asked for after a change of the endpoint."""
    await daemon.call("test_connection", **PAIR)
    while not held.asked:
        await asyncio.sleep(0.02)
    await daemon.call("modify_endpoint", EndpointArn=ENDPOINT, ServerName="elsewhere")
    assert await connections(daemon) == []
    await daemon.call("test_connection", **PAIR)
    held.looked = Looked("of the first")
    first, held.may = held.may, asyncio.Event()
    first.set()
    while len(held.asked) < 2:
        await asyncio.sleep(0.02)
    assert (await connections(daemon))[0]["Status"] == "testing"
    held.looked = Looked("of the second")
    held.may.set()
    assert (await outcome(daemon))["LastFailureMessage"].endswith("of the second")


async def test_a_defect_of_the_prober_is_a_failure_that_is_logged(
    daemon: Daemon, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_endpoint: str) -> Looked:
        raise ValueError(CANARY)

    monkeypatch.setattr(held, "connect", fail)
    await daemon.call("test_connection", **PAIR)
    failed = await outcome(daemon)
    assert failed["LastFailureMessage"] == "Test Endpoint failed: unexpected ValueError"
    assert "look.defect" in daemon.log
    assert CANARY not in daemon.log


async def test_only_what_is_there_is_looked_at(daemon: Daemon) -> None:
    await put_endpoint(daemon, "TARGET", EndpointType="target")
    for method in ("test_connection", "delete_connection", "refresh_schemas"):
        for wrong in (
            {"EndpointArn": arn(Kind.ENDPOINT, "X")},
            {"ReplicationInstanceArn": arn(Kind.INSTANCE, "X")},
        ):
            with refused("ResourceNotFoundFault"):
                await daemon.call(method, **{**PAIR, **wrong})
        for name in PAIR:
            with refused("InvalidParameterValueException", name):
                await daemon.call(method, **{**PAIR, name: "shop"})
    for method in ("describe_schemas", "describe_refresh_schemas_status"):
        with refused("ResourceNotFoundFault"):
            await daemon.call(method, EndpointArn=arn(Kind.ENDPOINT, "X"))
        with refused("InvalidResourceStateFault", "call RefreshSchemas first"):
            await daemon.call(method, EndpointArn=ENDPOINT)
    with refused("InvalidResourceStateFault", "The endpoint is a target"):
        await daemon.call(
            "refresh_schemas", **{**PAIR, "EndpointArn": arn(Kind.ENDPOINT, "TARGET")}
        )
    for name, kind in (
        ("endpoint-arn", Kind.ENDPOINT),
        ("replication-instance-arn", Kind.INSTANCE),
    ):
        with refused("ResourceNotFoundFault"):
            await connections(daemon, **named(name, arn(kind, "X")))
    assert await connections(daemon, **named("endpoint-arn", ENDPOINT)) == []
    assert await connections(daemon, **named("replication-instance-arn", INSTANCE)) == []


async def test_connections_by_filters_and_pages(daemon: Daemon, held: Held) -> None:
    held.may.set()
    await put(daemon, "instance", "OTHER")
    names = [f"E{number:02}" for number in range(21)]
    for name in names:
        await put_endpoint(daemon, name)
        pair = {**PAIR, "EndpointArn": arn(Kind.ENDPOINT, name)}
        await daemon.call("test_connection", **pair)
    other = {**PAIR, "ReplicationInstanceArn": arn(Kind.INSTANCE, "OTHER")}
    answer = await daemon.call("test_connection", **other)
    assert answer["Connection"]["ReplicationInstanceIdentifier"] == "other"
    found = await pages(daemon, "describe_connections", "Connections", MaxRecords=20)
    assert [each["EndpointArn"].rpartition(":")[2] for each in found] == [*names, "SHOP"]
    filtered = await connections(
        daemon, **named("replication-instance-arn", other["ReplicationInstanceArn"])
    )
    assert [each["EndpointArn"] for each in filtered] == [ENDPOINT]
    await daemon.call("delete_endpoint", EndpointArn=arn(Kind.ENDPOINT, "E00"))
    assert len(await pages(daemon, "describe_connections", "Connections", MaxRecords=20)) == 21


async def test_schemas_are_read_and_stay_until_they_are_read_again(
    daemon: Daemon, held: Held
) -> None:
    answer = await daemon.call("refresh_schemas", **PAIR)
    assert answer["RefreshSchemasStatus"] == {**PAIR, "Status": "refreshing"}
    with refused("InvalidResourceStateFault", "the refresh is refreshing"):
        await daemon.call("describe_schemas", EndpointArn=ENDPOINT)
    schemas = [f"s{number:02}" for number in range(30)]
    held.looked = Looked(schemas=schemas)
    held.may.set()
    done = await refreshed(daemon)
    assert (done["Status"], "LastFailureMessage" in done) == ("successful", False)
    found = await pages(daemon, "describe_schemas", "Schemas", MaxRecords=20, EndpointArn=ENDPOINT)
    assert found == schemas
    held.looked = Looked("the server is gone")
    await daemon.call("refresh_schemas", **PAIR)
    failed = await refreshed(daemon)
    assert (failed["Status"], failed["LastFailureMessage"]) == ("failed", "the server is gone")
    assert failed["LastRefreshDate"] == done["LastRefreshDate"]
    assert (await daemon.call("describe_schemas", EndpointArn=ENDPOINT))["Schemas"] == schemas


@pytest.mark.parametrize("major", ["15", "18"])
async def test_real_servers_are_looked_at(
    tmp_path: Path, private_cluster: Callable[..., Cluster], major: str
) -> None:
    cluster = private_cluster(major)
    cluster.access("host all all 127.0.0.1/32 scram-sha-256")
    cluster.execute(f"CREATE ROLE app LOGIN REPLICATION PASSWORD '{CANARY}'")
    cluster.execute("CREATE SCHEMA sales; CREATE TABLE sales.t (id int); CREATE TABLE t (id int)")

    def databases(store: Store, vault: Vault) -> DatabaseProber:
        return DatabaseProber(Looks(store, vault, tmp_path / "looks", {}, os.environ))

    async with serving(tmp_path, prober=databases) as daemon:
        answer = await daemon.call(
            "create_endpoint",
            EndpointIdentifier="real",
            EndpointType="source",
            EngineName="postgres",
            ServerName="127.0.0.1",
            Port=cluster.port,
            DatabaseName="postgres",
            Username="app",
            Password=CANARY,
        )
        endpoint = answer["Endpoint"]["EndpointArn"]
        pair = {**PAIR, "EndpointArn": endpoint}
        await daemon.call("test_connection", **pair)
        assert await outcome(daemon) == {
            **pair,
            "Status": "successful",
            "LastFailureMessage": "",
            "EndpointIdentifier": "real",
            "ReplicationInstanceIdentifier": DEFAULT_ID,
        }
        await daemon.call("refresh_schemas", **pair)
        assert (await refreshed(daemon, endpoint))["Status"] == "successful"
        found = await daemon.call("describe_schemas", EndpointArn=endpoint)
        assert found["Schemas"] == ["public", "sales"]
        wrong = f"not-{CANARY}"
        await daemon.call("modify_endpoint", EndpointArn=endpoint, Password=wrong)
        await daemon.call("test_connection", **pair)
        failed = await outcome(daemon)
        assert failed["Status"] == "failed"
        assert "password authentication failed" in failed["LastFailureMessage"]
        assert CANARY not in f"{failed} {daemon.log} {daemon.audit}"
        for file in tmp_path.rglob("*"):
            assert not file.is_file() or CANARY.encode() not in file.read_bytes()


async def test_a_server_of_another_family_is_looked_at(
    tmp_path: Path, mysql_database: MysqlDatabase
) -> None:
    """With AWS's form of its endpoint: no database named."""
    server, name = mysql_database.server, mysql_database.name
    user = f"app_{name}"
    server.execute(
        f"CREATE USER {user}@'%' IDENTIFIED BY '{CANARY}';"
        f" GRANT ALL ON *.* TO {user}@'%'; CREATE TABLE {name}.t (id int PRIMARY KEY)"
    )

    def databases(store: Store, vault: Vault) -> DatabaseProber:
        return DatabaseProber(Looks(store, vault, tmp_path / "looks", {}, os.environ))

    try:
        async with serving(tmp_path, prober=databases) as daemon:
            answer = await daemon.call(
                "create_endpoint",
                EndpointIdentifier="real",
                EndpointType="source",
                EngineName="mariadb" if "mariadb" in server.name else "mysql",
                ServerName="127.0.0.1",
                Port=server.port,
                Username=user,
                Password=CANARY,
            )
            pair = {**PAIR, "EndpointArn": answer["Endpoint"]["EndpointArn"]}
            await daemon.call("test_connection", **pair)
            found = await outcome(daemon)
            assert (found["Status"], found["LastFailureMessage"]) == ("successful", "")
            await daemon.call("refresh_schemas", **pair)
            done = await refreshed(daemon, pair["EndpointArn"])
            assert done["Status"] == "successful", done
            schemas = await daemon.call("describe_schemas", EndpointArn=pair["EndpointArn"])
            assert name in schemas["Schemas"]
    finally:
        server.execute(f"DROP USER {user}@'%'")
