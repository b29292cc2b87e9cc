import asyncio
import ssl
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest
from botocore import UNSIGNED
from botocore.exceptions import ClientError, HTTPClientError

from engine.config.limits import Limits
from engine.config.secret import Secret
from engine.config.serve import AccessKey, Role
from engine.control.api.app import Shown
from engine.control.api.arn import Kind
from engine.control.api.audit import to_log
from engine.control.api.call import Call, operation
from engine.control.api.faults import ResourceAlreadyExistsFault
from engine.control.api.keys import Access, Keyring
from engine.control.store.errors import StoreFullError
from engine.control.store.records import Record
from engine.observe.log import Line
from engine.observe.writer import as_json
from tests.integration.control.api.daemon import ADMIN, OPEN, READER, serving
from tests.servers.certificates import Authority
from tests.unit.control.api.signing import KEY_ID, SECRET, changed, signed

CANARY = "s3cr3t-c4n4ry"

NOBODY = AccessKey("a", "AKIDNOBODY000000", ADMIN.secret, Role.ADMIN)

ENDPOINT: dict[str, Any] = {
    "EndpointIdentifier": "shop",
    "EndpointType": "source",
    "EngineName": "postgres",
    "Password": CANARY,
    "PostgreSQLSettings": {"Password": CANARY},
}


@operation("CreateEndpoint", access=Access.ADMIN)
async def create(call: Call) -> Mapping[str, object]:
    arn = call.services.home.arn(Kind.ENDPOINT, "AAAA")
    return {"Endpoint": {"EndpointArn": arn, "Username": call.identity.name}}


@operation("CreateEndpoint", access=Access.ADMIN)
async def create_again(call: Call) -> Mapping[str, object]:
    arn = call.services.home.arn(Kind.ENDPOINT, "AAAA")
    raise ResourceAlreadyExistsFault("Endpoint already in use", resource_arn=arn)


@operation("CreateEndpoint", access=Access.ADMIN)
async def fail(call: Call) -> Mapping[str, object]:
    raise ValueError(f"a driver quotes {call.request['Password']}")


@operation("DescribeEndpoints", access=Access.READ)
async def answer_wrongly(call: Call) -> Mapping[str, object]:
    return {"Endpoints": [{"Port": CANARY}]}


@operation("DescribeEndpoints", access=Access.READ)
async def take_long(call: Call) -> Mapping[str, object]:
    await asyncio.Event().wait()
    return {}


@operation("CreateEndpoint", access=Access.ADMIN)
async def find_no_room(call: Call) -> Mapping[str, object]:
    raise StoreFullError("there is no room", hint="free some")


def refused(error: pytest.ExceptionInfo[ClientError]) -> tuple[int, str, str]:
    answer = error.value.response
    status = answer["ResponseMetadata"]["HTTPStatusCode"]
    return status, answer["Error"]["Code"], answer["Error"]["Message"]


async def test_botocore_describes_the_account(tmp_path: Path) -> None:
    async with serving(tmp_path) as daemon:
        async with daemon.store.write() as writing:
            await writing.insert(Record("endpoint", "AAAA", "shop", {}))
        answer = await daemon.call("describe_account_attributes", READER)
    used = {quota["AccountQuotaName"]: quota["Used"] for quota in answer["AccountQuotas"]}
    assert (used["Endpoints"], used["ReplicationInstances"]) == (1, 0)
    assert answer["UniqueAccountIdentifier"] == "dms-000000000000"
    assert len(answer["ResponseMetadata"]["RequestId"]) == 36
    assert daemon.audit == []


async def test_a_call_that_changes_something_has_one_line_in_the_audit(tmp_path: Path) -> None:
    async with serving(tmp_path, create) as daemon:
        answer = await daemon.call("create_endpoint", **ENDPOINT)
    assert answer["Endpoint"]["Username"] == "ops"
    (entry,) = daemon.audit
    assert daemon.lines == []
    assert entry.request_id == answer["ResponseMetadata"]["RequestId"]
    lines: list[Line] = []
    to_log(lines.append)(1.5, entry)
    said = orjson.loads(as_json(lines[0]))
    assert {name: said[name] for name in ("who", "role", "peer", "operation", "resource")} == {
        "who": "ops",
        "role": "admin",
        "peer": "127.0.0.1",
        "operation": "CreateEndpoint",
        "resource": "shop",
    }
    assert (said["result"], said["action"]) == ("done", "api.audit")


async def test_whoever_is_not_known_is_told_in_the_words_of_aws(tmp_path: Path) -> None:
    impostor = AccessKey("a", ADMIN.id, Secret("another secret"), Role.ADMIN)
    async with serving(tmp_path) as daemon:
        with pytest.raises(ClientError) as error:
            await daemon.call("describe_account_attributes", impostor)
        assert refused(error)[:2] == (400, "InvalidSignatureException")
        with pytest.raises(ClientError) as error:
            await daemon.call("describe_account_attributes", NOBODY)
        assert refused(error)[:2] == (400, "UnrecognizedClientException")
        client = daemon.client(signature_version=UNSIGNED)
        with pytest.raises(ClientError) as error:
            await asyncio.to_thread(client.describe_account_attributes)
        assert refused(error)[:2] == (400, "MissingAuthenticationTokenException")
        client.close()
    assert daemon.log.count("api.refused") == 3
    assert ADMIN.secret.reveal() not in daemon.log


async def test_no_changed_request_runs_an_operation(tmp_path: Path) -> None:
    random = Random(3)
    keys = Keyring([AccessKey("ops", KEY_ID, Secret(SECRET), Role.ADMIN)])
    target = "AmazonDMSv20160101.CreateEndpoint"
    original = signed(orjson.dumps(ENDPOINT), target=target)
    async with serving(tmp_path, create, keys=keys) as daemon:
        assert (await daemon.dispatcher.answer(original, "10.0.0.1")).status == 200
        for _ in range(1_000):
            answer = await daemon.dispatcher.answer(changed(original, random), "10.0.0.1")
            assert answer.status in {400, 404}
    assert len(daemon.audit) == 1


async def test_a_read_only_key_changes_nothing(tmp_path: Path) -> None:
    async with serving(tmp_path, create) as daemon:
        with pytest.raises(ClientError) as error:
            await daemon.call("create_endpoint", READER, **ENDPOINT)
    status, code, message = refused(error)
    assert (status, code) == (400, "AccessDeniedException")
    assert "user/dashboard is not authorized to perform: dms:CreateEndpoint" in message
    assert [(entry.who, entry.result) for entry in daemon.audit] == [
        ("dashboard", "AccessDeniedException")
    ]


async def test_a_modelled_fault_is_an_exception_of_the_client_with_its_members(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path, create_again) as daemon:
        client = daemon.client()
        with pytest.raises(client.exceptions.ResourceAlreadyExistsFault) as error:
            await asyncio.to_thread(client.create_endpoint, **ENDPOINT)
        client.close()
    assert error.value.response["resourceArn"].endswith(":endpoint:AAAA")
    assert daemon.audit[0].result == "ResourceAlreadyExistsFault"


async def test_an_operation_that_is_not_served_is_refused_by_its_name(tmp_path: Path) -> None:
    async with serving(tmp_path) as daemon:
        with pytest.raises(ClientError) as error:
            await daemon.call("describe_fleet_advisor_databases")
    assert refused(error) == (
        400,
        "UnknownOperationException",
        "The operation DescribeFleetAdvisorDatabases of AWS DMS is not served here.",
    )


async def test_a_defect_of_ours_tells_the_caller_its_id_and_the_log_no_value(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path, fail, answer_wrongly) as daemon:
        for method, params in (("create_endpoint", ENDPOINT), ("describe_endpoints", {})):
            with pytest.raises(ClientError) as error:
                await daemon.call(method, **params)
            status, code, message = refused(error)
            assert (status, code) == (500, "InternalFailure")
            assert CANARY not in message
            assert error.value.response["ResponseMetadata"]["RequestId"] in daemon.log
    assert "ValueError" in daemon.log
    assert "DescribeEndpointsResponse.Endpoints[0].Port is a str" in daemon.log
    assert CANARY not in daemon.log


async def test_a_key_that_calls_too_often_is_told_to_wait_and_no_other(tmp_path: Path) -> None:
    keys = Keyring([AccessKey("ops", KEY_ID, Secret(SECRET), Role.ADMIN), READER])
    often = signed(orjson.dumps(ENDPOINT), target="AmazonDMSv20160101.CreateEndpoint")
    limits = Limits(calls_per_second=1, calls_burst=2)
    async with serving(tmp_path, create, keys=keys, limits=limits) as daemon:
        answers = [await daemon.dispatcher.answer(often, "10.0.0.1") for _ in range(200)]
        await daemon.call("describe_account_attributes", READER)
    bodies = {answer.body for answer in answers if answer.status == 400}
    assert bodies == {b'{"__type":"ThrottlingException","message":"Rate exceeded"}'}
    assert len(daemon.audit) == sum(answer.status == 200 for answer in answers) >= 2
    assert "api.failed" not in daemon.log


async def test_a_call_that_takes_too_long_and_a_full_store_are_told(tmp_path: Path) -> None:
    limits = Limits(call_seconds=0.05)
    async with serving(tmp_path, take_long, find_no_room, limits=limits) as daemon:
        with pytest.raises(ClientError) as error:
            await daemon.call("describe_endpoints")
        assert refused(error)[:2] == (503, "ServiceUnavailableException")
        with pytest.raises(ClientError) as error:
            await daemon.call("create_endpoint", **ENDPOINT)
        assert refused(error)[:2] == (400, "StorageQuotaExceededFault")
    assert daemon.log.count("api.failed") == 2


async def test_a_call_that_stands_when_the_daemon_stops_is_given_up(tmp_path: Path) -> None:
    begun = asyncio.Event()

    @operation("CreateEndpoint", access=Access.ADMIN)
    async def stand(call: Call) -> Mapping[str, object]:
        begun.set()
        return await take_long.run(call)

    async with serving(tmp_path, stand, limits=Limits(stop_seconds=1)) as daemon:
        standing = asyncio.create_task(daemon.call("create_endpoint", **ENDPOINT))
        await begun.wait()
    with pytest.raises((HTTPClientError, ClientError)):
        await standing
    assert [entry.result for entry in daemon.audit] == ["interrupted"]


async def test_over_tls_botocore_is_answered_and_nobody_else(tmp_path: Path) -> None:
    authority = Authority.create(tmp_path)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(*authority.sign(tmp_path, "127.0.0.1"))
    async with serving(tmp_path, tls=tls) as daemon:
        client = daemon.client(scheme="https", verify=str(authority.file))
        answer = await asyncio.to_thread(client.describe_account_attributes)
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
        client.close()
        assert await daemon.raw(request(b"{}")) == b""


async def test_connections_are_bounded(tmp_path: Path) -> None:
    async with serving(tmp_path, keys=OPEN, limits=Limits(connections=3)) as daemon:
        held = [await asyncio.open_connection("127.0.0.1", daemon.port) for _ in range(2)]
        assert b" 503 " in await daemon.raw(request(b"{}"))
        held[0][1].close()
        await held[0][1].wait_closed()
        answer = b""
        while b" 200 OK" not in answer:
            answer = await daemon.raw(request(b"{}"))
        held[1][1].close()


async def test_probes_are_answered_beside_the_api_to_anybody(tmp_path: Path) -> None:
    async def ready() -> Shown:
        return Shown(503, "store does not answer\n")

    async with serving(tmp_path, probes={"/readyz": ready}) as daemon:
        answer = await daemon.raw(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert answer.endswith(b"\r\n\r\nstore does not answer\n")


async def test_without_keys_this_machine_is_answered_and_no_page_from_elsewhere(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path, keys=OPEN) as daemon:
        await daemon.call(
            "describe_account_attributes", AccessKey("a", "b", Secret("c"), Role.ADMIN)
        )
        for host, status in ((b"localhost:1", b"200"), (b"evil.example", b"400")):
            answer = await daemon.raw(request(b"{}", host=host))
            assert answer.split(b" ")[1] == status


TARGET = b"AmazonDMSv20160101.DescribeAccountAttributes"


def request(
    body: bytes,
    *,
    line: bytes = b"POST / HTTP/1.1",
    host: bytes = b"localhost",
    kind: bytes = b"application/x-amz-json-1.1",
    target: bytes = TARGET,
    length: bytes | None = None,
) -> bytes:
    length = b"%d" % len(body) if length is None else length
    return b"\r\n".join(
        (
            line,
            b"Host: " + host,
            b"Connection: close",
            b"Content-Type: " + kind,
            b"X-Amz-Target: " + target,
            b"Content-Length: " + length,
            b"",
            body,
        )
    )


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (request(b"{}", kind=b"application/json; charset=utf-8"), 200, ""),
        (request(b"{}", line=b"GET / HTTP/1.1"), 404, "UnknownOperationException"),
        (request(b"{}", line=b"PUT / HTTP/1.1"), 404, "UnknownOperationException"),
        (request(b"{}", line=b"POST // HTTP/1.1"), 404, "UnknownOperationException"),
        (request(b"{}", line=b"POST /%2e HTTP/1.1"), 404, "UnknownOperationException"),
        (request(b"{}", kind=b"text/plain"), 404, "UnknownOperationException"),
        (request(b"{}", target=b"DescribeEndpoints"), 400, "UnknownOperationException"),
        (request(b"{}", target=TARGET.lower()), 400, "UnknownOperationException"),
        (request(b"{}", target=b"AmazonDMSv20160101.X\xff"), 400, "UnknownOperationException"),
        (request(b"{"), 400, "SerializationException"),
        (request(b"[]"), 400, "SerializationException"),
        (request(b"\xff"), 400, "SerializationException"),
        (request(b"", length=b"2000"), 413, "RequestEntityTooLargeException"),
        (request(b" " * 2_000), 413, "RequestEntityTooLargeException"),
        (request(b"{", length=b"9"), 408, "RequestTimeoutException"),
    ],
)
async def test_what_is_no_request_of_the_api_has_an_answer_of_it(
    tmp_path: Path, sent: bytes, status: int, code: str
) -> None:
    limits = Limits(body_bytes=1_000, body_seconds=0.3)
    async with serving(tmp_path, keys=OPEN, limits=limits) as daemon:
        answer = await daemon.raw(sent)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert int(head.split(b" ")[1]) == status
    assert b"content-type: application/x-amz-json-1.1" in head.lower()
    assert b"x-amzn-requestid: " in head.lower()
    assert orjson.loads(body).get("__type", "") == code


async def test_a_body_in_chunks_is_bounded_too(tmp_path: Path) -> None:
    sent = request(b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    chunk = b"64\r\n" + b" " * 100 + b"\r\n"
    async with serving(tmp_path, keys=OPEN, limits=Limits(body_bytes=1_000)) as daemon:
        assert b" 200 OK" in await daemon.raw(sent, chunk * 10, b"0\r\n\r\n")
        assert b" 413 " in await daemon.raw(sent, chunk * 11)


async def test_what_is_held_of_all_requests_at_once_is_bounded(tmp_path: Path) -> None:
    begun, done = asyncio.Event(), asyncio.Event()

    @operation("DescribeEndpoints", access=Access.READ)
    async def stand(call: Call) -> Mapping[str, object]:
        begun.set()
        await done.wait()
        return {}

    standing = request(b"{}" + b" " * 900, target=b"AmazonDMSv20160101.DescribeEndpoints")
    async with serving(tmp_path, stand, keys=OPEN, limits=Limits(bodies_bytes=1_500)) as daemon:
        first = asyncio.create_task(daemon.raw(standing))
        await begun.wait()
        assert b" 503 " in await daemon.raw(request(b"{}" + b" " * 900))
        assert b" 200 " in await daemon.raw(request(b"{}"))
        done.set()
        assert b" 200 " in await first
        assert b" 200 " in await daemon.raw(request(b"{}" + b" " * 900))


async def test_headers_are_bounded_in_bytes_and_in_time(tmp_path: Path) -> None:
    limits = Limits(header_bytes=2_000, header_seconds=0.3)
    async with serving(tmp_path, keys=OPEN, limits=limits) as daemon:
        long = b"X-Long: " + b"a" * 3_000
        assert b" 431 " in await daemon.raw(request(b"{}").replace(b"Host:", long + b"\r\nHost:"))
        assert b" 400 " in await daemon.raw(b"POST / HTTP/1.1\r\n" + long)
        assert await daemon.raw() == b""
        assert await daemon.raw(b"POST / HTTP/1.1\r\nHost: ", b"x") == b""
        reader, writer = await asyncio.open_connection("127.0.0.1", daemon.port)
        writer.write(request(b"{}").replace(b"Connection: close", b"X: y"))
        assert b" 200 OK" in await reader.readuntil(b"dms-000000000000")
        writer.write(b"POST / HT")
        assert await asyncio.wait_for(reader.read(), 10) == b'"}'
        writer.close()


async def test_no_secret_of_a_refused_request_is_in_any_output(tmp_path: Path) -> None:
    spoilt = [
        orjson.dumps({**ENDPOINT, "EndpointType": CANARY}),
        orjson.dumps({**ENDPOINT, "Port": CANARY}),
        orjson.dumps({**ENDPOINT, "EngineName": ""}),
        orjson.dumps({**ENDPOINT, "PostgreSQLSettings": CANARY}),
        orjson.dumps(ENDPOINT)[:-1],
        orjson.dumps(ENDPOINT) + b"}",
    ]
    async with serving(tmp_path, create, keys=OPEN) as daemon:
        answers = [
            await daemon.raw(request(body, target=b"AmazonDMSv20160101.CreateEndpoint"))
            for body in spoilt
        ]
    assert all(answer.startswith(b"HTTP/1.1 400") for answer in answers)
    assert CANARY.encode() not in b"".join(answers)
    assert CANARY not in daemon.log + str(daemon.audit)
    assert [entry.operation for entry in daemon.audit] == ["CreateEndpoint"] * len(spoilt)
