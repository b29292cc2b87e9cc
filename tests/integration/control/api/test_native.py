"""Our own routes and the commands' client, in front of the real dispatcher."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.config.limits import Limits
from engine.config.secret import Secret
from engine.config.serve import AccessKey, CostConfig, Role
from engine.control.acting import Figures
from engine.control.api.arn import Kind
from engine.control.api.native_logs import LOOK_SECONDS
from engine.control.client.address import Credentials, parse_address
from engine.control.client.daemon import Daemon as Client
from engine.control.client.errors import FaultError, UnreachableError, WrongRequestError
from engine.control.lifecycle import Provision, Status
from engine.control.logs.files import Stream
from engine.control.logs.lines import ENGINE_STREAM, GROUP, ORCHESTRATOR_STREAM
from engine.control.resources.document import encode
from engine.control.resources.endpoint import KIND as ENDPOINT
from engine.control.resources.endpoint import Endpoint, members_place
from engine.control.resources.replication import (
    KIND,
    Compute,
    Config,
    Life,
    Provisioned,
    Replication,
    Times,
)
from engine.control.sealing import seal_secrets
from engine.control.store.records import Record
from engine.seams import SystemClock
from tests.integration.control.api.daemon import ADMIN, OPEN, READER, Daemon, serving
from tests.servers.certificates import Authority

CANARY = "s3cr3t-c4n4ry"

RUNNING = Life(
    status=Status.RUNNING,
    wanted=True,
    ran=True,
    provisioned=Provisioned(state=Provision.PROVISIONED, units=2, at=100.0),
    times=Times(start=100.0),
)


def client(daemon: Daemon, key: AccessKey | None = ADMIN, *, scheme: str = "http") -> Client:
    credentials = Credentials(key.id, key.secret) if key else None
    address = parse_address(f"{scheme}://127.0.0.1:{daemon.port}")
    return Client(address, credentials, SystemClock())


async def asked(call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """A call of the client, which waits, beside the daemon's loop."""
    return await asyncio.to_thread(call, *arguments, **named)


async def put_endpoint(daemon: Daemon, name: str, role: str) -> None:
    given = {
        "EndpointIdentifier": name,
        "EndpointType": role,
        "EngineName": "postgres",
        "ServerName": "db",
        "Password": Secret(CANARY),
        "PostgreSQLSettings": {"Password": Secret(CANARY), "HeartbeatEnable": True},
    }
    members = seal_secrets(daemon.services.vault, members_place(name), given)
    document = encode(Endpoint(members=members))
    async with daemon.store.write() as writing:
        await writing.insert(Record(ENDPOINT, name, name, document, {"type": role}))


async def put(daemon: Daemon, name: str, life: Life | None = None, *, units: int = 4) -> None:
    config = Config(
        name=name.title(),
        source="shop",
        target="lake",
        type="full-load-and-cdc",
        compute=Compute(units_max=units),
        mappings='{"rules": []}',
        settings={"Logging": {"EnableLogging": True}},
        created=50.0,
    )
    document = encode(Replication(config=config, life=life or Life()))
    fields = {"source": "shop", "target": "lake"}
    async with daemon.store.write() as writing:
        await writing.insert(Record(KIND, f"{name.upper()}7", name, document, fields))


async def test_how_replications_do(tmp_path: Path) -> None:
    async with serving(tmp_path) as daemon:
        await put_endpoint(daemon, "shop", "source")
        await put(daemon, "orders", RUNNING)
        await put(daemon, "people")
        told = {"state": "streaming", "latency_target_seconds": 0.25, "units": 4, "load_rows": 7}
        daemon.idle.told["ORDERS7"] = Figures(told, unit_hours=3.5)
        daemon.idle.told["PEOPLE7"] = Figures(told)  # of its last run
        found = (await asked(client(daemon, READER).get, "replications"))["replications"]
        orders, people = found
        assert orders["identifier"] == "Orders"
        assert (orders["source"], orders["target"]) == ("shop", "lake")
        assert (orders["status"], orders["phase"], orders["since"]) == ("running", "streaming", 100)
        assert (orders["lag_seconds"], orders["units"], orders["unit_hours"]) == (0.25, 4, 3.5)
        assert people["status"] == "created"
        assert people["since"] == 50.0
        assert not {"phase", "lag_seconds", "units", "failures"} & people.keys()
        assert CANARY not in str(found)


async def test_many_come_in_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.control.api.native_replications.PAGE", 2)
    async with serving(tmp_path) as daemon:
        for name in ("a", "b", "c"):
            await put(daemon, name)
        first = await asked(client(daemon).get, "replications")
        assert [each["identifier"] for each in first["replications"]] == ["A", "B"]
        rest = await asked(client(daemon).get, "replications", after=first["after"])
        assert [each["identifier"] for each in rest["replications"]] == ["C"]
        assert "after" not in rest


@pytest.mark.parametrize("name", ["orders", "ORDERS", "ORDERS7"])
async def test_one_replication_with_what_was_given_and_what_it_costs(
    tmp_path: Path, name: str
) -> None:
    async with serving(tmp_path, prices=CostConfig(unit_hour=0.1, currency="EUR")) as daemon:
        await put(daemon, "orders", RUNNING)
        daemon.idle.told["ORDERS7"] = Figures(unit_hours=10.0)
        found = await asked(client(daemon).get, "replications", name)
        assert found["given"]["settings"] == {"Logging": {"EnableLogging": True}}
        assert found["given"]["units_max"] == 4
        assert (found["currency"], found["cost_month"]) == ("EUR", 1.0)
        assert found["cost_month_max"] / 0.4 / 24 == pytest.approx(30, abs=2)


async def test_what_aws_does_not_know_is_kept_beside(tmp_path: Path) -> None:
    async with serving(tmp_path) as daemon:
        await put(daemon, "orders")
        daemon_client = client(daemon)
        ours = {"apply": {"mode": "transactional"}, "replication": {"start_position": "0/1"}}
        path = ("replications", "orders", "ours")
        await asked(daemon_client.put, *path, document={"ours": ours})
        await asked(daemon_client.put, *path, document={"ours": ours})
        found = await asked(daemon_client.get, "replications", "orders")
        assert found["given"]["ours"] == ours
        async with daemon.store.read() as reading:
            (event,) = await reading.events()
        assert event.source_id == "Orders"
        assert [(e.operation, e.resource, e.result) for e in daemon.audit] == [
            ("PutReplicationOurs", "orders", "done")
        ] * 2


@pytest.mark.parametrize(
    ("ours", "said"),
    [
        ({"aply": {}}, "aply: unknown table (did you mean 'apply'?)"),
        ({"apply": {"mode": "fast"}}, "apply.mode: must be one of"),
        ({"apply": []}, "apply: expected a table, found a list"),
        ({"replication": {"id": "other"}}, "replication.id: unknown key"),
        ({"mapping": {"file": "/etc/passwd"}}, "mapping: unknown table"),
        ({"source": {"password_file": "/etc/passwd"}}, "source: unknown table"),
        ({"capacity": {"max": 4}}, "capacity.max: unknown key"),
    ],
)
async def test_what_is_kept_beside_is_checked(
    tmp_path: Path, ours: dict[str, Any], said: str
) -> None:
    async with serving(tmp_path) as daemon:
        await put(daemon, "orders")
        with pytest.raises(WrongRequestError) as caught:
            await asked(
                client(daemon).put, "replications", "orders", "ours", document={"ours": ours}
            )
        assert said in str(caught.value)
        assert caught.value.code == "InvalidParameterValueException"
        assert [entry.result for entry in daemon.audit] == ["InvalidParameterValueException"]


async def test_nothing_is_changed_while_it_runs(tmp_path: Path) -> None:
    async with serving(tmp_path) as daemon:
        await put_endpoint(daemon, "shop", "source")
        await put(daemon, "orders", RUNNING)
        for path, ours in (
            (("replications", "orders", "ours"), {"apply": {"mode": "transactional"}}),
            (("endpoints", "shop", "ours"), {"publication": "mine"}),
        ):
            with pytest.raises(FaultError, match=r"[Ss]top") as caught:
                await asked(client(daemon).put, *path, document={"ours": ours})
            assert caught.value.code == "InvalidResourceStateFault"
            assert caught.value.exit_code == 1


async def test_what_was_given_for_an_endpoint(tmp_path: Path) -> None:
    async with serving(tmp_path) as daemon:
        await put_endpoint(daemon, "shop", "source")
        await put(daemon, "orders")
        daemon_client = client(daemon)
        ours = {"heartbeat": "30s", "options": {"sslmode": "disable", "sslrootcert": "system"}}
        await asked(daemon_client.put, "endpoints", "Shop", "ours", document={"ours": ours})
        found = await asked(daemon_client.get, "endpoints", "shop")
        assert found["members"]["ServerName"] == "db"
        assert found["members"]["Password"] is None
        assert found["members"]["PostgreSQLSettings"] == {
            "Password": None,
            "HeartbeatEnable": True,
        }
        assert found["ours"] == ours
        assert found["used_by"] == [{"identifier": "Orders", "status": "created"}]
        assert CANARY not in str(found)


@pytest.mark.parametrize(
    ("ours", "said"),
    [
        ({"password_file": "/etc/shadow"}, "source.password_file: unknown key"),
        ({"url": "postgresql://x"}, "source.url: unknown key"),
        ({"options": {"host": "169.254.169.254"}}, "source.options.host: unknown key"),
        ({"options": {"socket": "/run/x"}}, "source.options.socket: unknown key"),
        ({"options": {"sslrootcert": "/etc/x"}}, "source.options.sslrootcert: unknown key"),
        ({"options": {"connect_timeout": 5}}, "source.options.connect_timeout: expected text"),
        ({"options": []}, "source.options: expected a table"),
        ({"heartbeat": "soon"}, "source.heartbeat"),
    ],
)
async def test_no_key_beside_leads_to_another_place(
    tmp_path: Path, ours: dict[str, Any], said: str
) -> None:
    async with serving(tmp_path) as daemon:
        await put_endpoint(daemon, "shop", "source")
        with pytest.raises(WrongRequestError) as caught:
            await asked(client(daemon).put, "endpoints", "shop", "ours", document={"ours": ours})
        assert said in str(caught.value)


async def test_secrets_are_compared_and_not_shown(tmp_path: Path) -> None:
    async with serving(tmp_path) as daemon:
        await put_endpoint(daemon, "shop", "source")
        secrets = {
            "Password": CANARY,
            "PostgreSQLSettings.Password": "other",
            "ServerName": "db",
            "Nothing": "",
        }
        document = {"secrets": secrets}
        answer = await asked(client(daemon).post, "endpoints", "shop", "secrets", document=document)
        assert answer == {"same": ["Password"]}
        assert [entry.operation for entry in daemon.audit] == ["CompareEndpointSecrets"]
        assert CANARY not in daemon.log + str(daemon.audit)
        raw = client(daemon)._native
        for wrong in (b'{"secrets": {"Password": 5}}', b'{"secrets": []}', b"[]", b"{", b""):
            with pytest.raises(WrongRequestError) as caught:
                await asked(raw, "POST", ("endpoints", "shop", "secrets"), {}, wrong)
            assert caught.value.code in ("SerializationException", "InvalidParameterValueException")


async def test_who_may_only_read_changes_and_compares_nothing(tmp_path: Path) -> None:
    async with serving(tmp_path) as daemon:
        await put_endpoint(daemon, "shop", "source")
        reader = client(daemon, READER)
        for call, path, document in (
            (reader.put, ("endpoints", "shop", "ours"), {"ours": {}}),
            (reader.put, ("replications", "x", "ours"), {"ours": {}}),
            (reader.post, ("endpoints", "shop", "secrets"), {"secrets": {"Password": CANARY}}),
        ):
            with pytest.raises(WrongRequestError, match="penstock:") as caught:
                await asked(call, *path, document=document)
            assert caught.value.code == "AccessDeniedException"
            assert caught.value.hint == "use a key with the role admin"
        assert {entry.result for entry in daemon.audit} == {"AccessDeniedException"}


async def test_a_bearer_token_is_a_caller_too(tmp_path: Path) -> None:
    async with serving(tmp_path) as daemon:
        head = b"GET /penstock/v1/replications HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        good = await daemon.raw(head + b"Authorization: Bearer the-token-of-probes\r\n\r\n")
        assert good.startswith(b"HTTP/1.1 200 ")
        bad = await daemon.raw(head + b"Authorization: Bearer the-token-of-probez\r\n\r\n")
        assert b"UnrecognizedClientException" in bad
        nobody = await daemon.raw(head + b"\r\n")
        assert b"MissingAuthenticationTokenException" in nobody


# --- the client's own errors ---


async def test_a_daemon_that_is_not_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    nobody = Client(parse_address(f"http://127.0.0.1:{port}"), None, SystemClock())
    with pytest.raises(UnreachableError, match=f"nobody listens at http://127.0.0.1:{port}") as e:
        nobody.get("replications")
    assert "penstock serve" in e.value.hint


async def test_something_else_that_answers(tmp_path: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        writer.close()

    async def silence(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    for serve, said in ((answer, "is no Penstock daemon (HTTP 200)"), (silence, "closed the")):
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            stranger = Client(parse_address(f"http://127.0.0.1:{port}"), None, SystemClock())
            with pytest.raises(UnreachableError) as caught:
                await asked(stranger.get, "replications")
            assert said in str(caught.value)


@pytest.mark.parametrize(
    ("key", "code", "hint"),
    [
        (None, "MissingAuthenticationTokenException", "the daemon has access keys: set PENSTOCK_"),
        (
            AccessKey("x", "AKIDNOBODY000000", ADMIN.secret, Role.ADMIN),
            "UnrecognizedClientException",
            "check PENSTOCK_ACCESS_KEY_ID",
        ),
        (
            AccessKey("x", ADMIN.id, Secret("wrong"), Role.ADMIN),
            "InvalidSignatureException",
            "clock",
        ),
    ],
)
async def test_keys_that_are_not_the_daemons(
    tmp_path: Path, key: AccessKey | None, code: str, hint: str
) -> None:
    async with serving(tmp_path) as daemon:
        for call in (
            lambda: client(daemon, key).get("replications"),
            lambda: client(daemon, key).call("DescribeAccountAttributes"),
        ):
            with pytest.raises(WrongRequestError) as caught:
                await asyncio.to_thread(call)
            assert caught.value.code == code
            assert hint in caught.value.hint
            assert caught.value.exit_code == 2


async def test_operations_of_aws_by_our_client(tmp_path: Path) -> None:
    async with serving(tmp_path, keys=OPEN) as daemon:
        nobody = client(daemon, None)
        answer = await asked(nobody.call, "DescribeAccountAttributes")
        assert answer["UniqueAccountIdentifier"] == "dms-000000000000"
        with pytest.raises(WrongRequestError, match="UnknownOperationException"):
            await asked(nobody.call, "DescribeNothing")
        with pytest.raises(WrongRequestError, match="UnknownOperationException"):
            await asked(nobody.get, "nothing")


async def test_tls_with_a_certificate_that_is_known_and_one_that_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority.create(tmp_path)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(*authority.sign(tmp_path, "127.0.0.1"))
    async with serving(tmp_path, tls=tls) as daemon:
        secure = client(daemon, scheme="https")
        with pytest.raises(UnreachableError, match="is not trusted") as caught:
            await asked(secure.get, "replications")
        assert "SSL_CERT_FILE" in caught.value.hint
        with pytest.raises(UnreachableError, match="closed the connection") as caught:
            await asked(client(daemon).get, "replications")
        assert "https://" in caught.value.hint
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
        assert await asked(secure.get, "replications") == {"replications": []}


async def test_plain_http_where_tls_is_spoken_to(tmp_path: Path) -> None:
    async with serving(tmp_path) as daemon:
        with pytest.raises(UnreachableError, match="does not speak TLS") as caught:
            await asked(client(daemon, scheme="https").get, "replications")
        assert "http://" in caught.value.hint


# --- logs ---


def write(daemon: Daemon, stream: str, *lines: str) -> None:
    path = Stream(GROUP.format(id="ORDERS7"), stream).path(daemon.logs)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write("".join(f"{line}\n" for line in lines))


ORCHESTRATOR = ORCHESTRATOR_STREAM.format(id="ORDERS7")
FIRST = ENGINE_STREAM.format(run="serv-res-id-1000-abc")
SECOND = ENGINE_STREAM.format(run="serv-res-id-2000-abc")


async def test_the_last_lines_and_those_that_come(tmp_path: Path) -> None:
    async with serving(tmp_path) as daemon:
        await put(daemon, "orders")
        logs = ("replications", "orders", "logs")
        reader = client(daemon, READER)
        assert (await asked(reader.get, *logs))["streams"] == {}
        write(daemon, ORCHESTRATOR, "a", "b", "c")
        write(daemon, FIRST, "old")
        write(daemon, SECOND, "1", "2", "3")
        read = await asked(reader.get, *logs, lines=2)
        assert read["streams"] == {ORCHESTRATOR: ["b", "c"], SECOND: ["2", "3"]}
        only = await asked(reader.get, *logs, lines=1, stream="engine")
        assert only["streams"] == {SECOND: ["3"]}
        only = await asked(reader.get, *logs, lines=1, stream="orchestrator")
        assert only["streams"] == {ORCHESTRATOR: ["c"]}
        read = await asked(reader.get, *logs, after=read["after"])
        assert read["streams"] == {}
        waiting = asyncio.create_task(asked(reader.get, *logs, after=read["after"], wait=20))
        await asyncio.sleep(LOOK_SECONDS)
        third = ENGINE_STREAM.format(run="serv-res-id-3000-abc")
        write(daemon, third, "new")
        read = await waiting
        assert read["streams"] == {third: ["new"]}
        assert SECOND not in read["after"]
        write(daemon, third, "newer")
        read = await asked(reader.get, *logs, after=read["after"], wait=20)
        assert read["streams"] == {third: ["newer"]}


async def test_following_from_before_the_first_line(tmp_path: Path) -> None:
    async with serving(tmp_path) as daemon:
        await put(daemon, "orders")
        logs = ("replications", "orders", "logs")
        read = await asked(client(daemon).get, *logs)
        write(daemon, ORCHESTRATOR, "a")
        read = await asked(client(daemon).get, *logs, after=read["after"], wait=20)
        assert read["streams"] == {ORCHESTRATOR: ["a"]}


async def test_waiting_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = Limits(call_seconds=1.0)
    async with serving(tmp_path, limits=limits) as daemon:
        await put(daemon, "orders")
        logs = ("replications", "orders", "logs")
        read = await asked(client(daemon).get, *logs, after="-", wait=20)
        assert read == {"streams": {}, "after": "-"}
        monkeypatch.setattr("engine.control.api.native_logs.WAITING_MAX", 0)
        with pytest.raises(FaultError, match="Rate exceeded"):
            await asked(client(daemon).get, *logs, after="-", wait=20)


@pytest.mark.parametrize(
    "query",
    [
        {"stream": "../../etc"},
        {"lines": "-1"},
        {"lines": 10_001},
        {"wait": "x"},
        {"after": "a"},
        {"after": "a:1:2"},
        {"after": "a:1:2:x"},
        {"after": f"a:1:{'9' * 30}:1"},
    ],
)
async def test_what_logs_cannot_be_asked_for(tmp_path: Path, query: dict[str, Any]) -> None:
    async with serving(tmp_path) as daemon:
        await put(daemon, "orders")
        with pytest.raises(WrongRequestError, match=f"The parameter {next(iter(query))} "):
            await asked(client(daemon).get, "replications", "orders", "logs", **query)


@pytest.mark.parametrize("name", ["nothing", "../x", "%", "", "a/b"])
async def test_what_is_not_there(tmp_path: Path, name: str) -> None:
    async with serving(tmp_path) as daemon:
        for path in (("replications", name), ("replications", name, "logs"), ("endpoints", name)):
            with pytest.raises(WrongRequestError) as caught:
                await asked(client(daemon).get, *path)
            assert caught.value.code in ("ResourceNotFoundFault", "UnknownOperationException")


async def test_a_character_that_no_store_takes(tmp_path: Path) -> None:
    async with serving(tmp_path) as daemon:
        await put_endpoint(daemon, "shop", "source")
        asking = client(daemon)
        ours = {"ours": {"options": {"application_name": "a\0b"}}}
        for call in (
            lambda: asking.get("replications", "a\0b"),
            lambda: asking.get("replications", after="a\0b"),
            lambda: asking.put("endpoints", "shop", "ours", document=ours),
            lambda: asking.put("endpoints", "shop", "ours", document={"ours": {"a\0b": [1]}}),
        ):
            with pytest.raises(WrongRequestError, match=r"U\+0000"):
                await asyncio.to_thread(call)


async def test_a_body_that_is_nested_too_deep(tmp_path: Path) -> None:
    async with serving(tmp_path) as daemon:
        await put_endpoint(daemon, "shop", "source")
        body = b'{"ours": {"a": ' + b"[" * 900 + b"]" * 900 + b"}}"
        with pytest.raises(WrongRequestError, match="nested deeper than 32 levels"):
            await asked(client(daemon)._native, "PUT", ("endpoints", "shop", "ours"), {}, body)


async def test_an_arn_names_what_it_names_here_alone(tmp_path: Path) -> None:
    """An endpoint may have a replication's id as the end of its ARN, and so may another's."""
    async with serving(tmp_path) as daemon:
        await put(daemon, "orders")
        arn = daemon.services.home.arn(Kind.REPLICATION, "ORDERS7")
        found = await asked(client(daemon).get, "replications", arn)
        assert found["arn"] == arn
        for other in (
            arn.replace(":replication-config:", ":endpoint:"),
            arn.replace(":replication-config:", ":task:"),
            arn.replace(":000000000000:", ":999999999999:"),
            arn.replace(":us-east-1:", ":eu-west-1:"),
        ):
            for more in ((), ("logs",), ("quarantine",)):
                with pytest.raises(FaultError, match="not found"):
                    await asked(client(daemon).get, "replications", other, *more)
