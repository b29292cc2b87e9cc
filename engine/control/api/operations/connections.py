"""Connections: tested, and what schemas a source has. What is asked for is looked at beside the
answer (`engine.control.looker`)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from engine.control.api.arn import Kind
from engine.control.api.call import Call, operation
from engine.control.api.faults import InvalidResourceStateFault, ResourceNotFoundFault
from engine.control.api.filters import filters
from engine.control.api.keys import Access
from engine.control.api.operations.endpoints import existing
from engine.control.endpoint_side import role_of
from engine.control.resources.connection import KIND, Connection, Status
from engine.control.resources.document import decode, encode
from engine.control.resources.endpoint import KIND as ENDPOINT
from engine.control.resources.endpoint import Endpoint
from engine.control.resources.instance import DEFAULT_ID
from engine.control.resources.instance import KIND as INSTANCE
from engine.control.resources.schemas import KIND as SCHEMAS
from engine.control.resources.schemas import Schemas
from engine.control.resources.schemas import Status as Refresh
from engine.control.store.contract import Reading, Writing
from engine.control.store.records import Record

DELETING: Final = "deleting"

FAILED: Final = "Test Endpoint failed:"
"""How AWS begins what it says of a connection that failed."""

FILTERS: Final[Mapping[str, tuple[Kind, str, str]]] = {
    "endpoint-arn": (Kind.ENDPOINT, ENDPOINT, "endpoint"),
    "replication-instance-arn": (Kind.INSTANCE, INSTANCE, "instance"),
}
"""Of connections: what an ARN is of, its kind of record, the field of a connection's record."""


@operation("TestConnection", access=Access.ADMIN)
async def test_connection(call: Call) -> Mapping[str, object]:
    """A connection is tried from now on; DescribeConnections tells what came of it. One that is
    being tried already is not tried twice."""
    async with call.services.store.write() as writing:
        endpoint = await existing(call, writing)
        instance = await _instance(call, writing)
        wanted = Connection(endpoint=endpoint.id, instance=instance, status=Status.TESTING)
        await _put(writing, Record(KIND, wanted.id, wanted.id, encode(wanted), wanted.fields))
        shown = await _shown(call, writing, [wanted])
    call.services.looker.wake()
    return {"Connection": shown[0]}


@operation("DescribeConnections", access=Access.READ)
async def describe_connections(call: Call) -> Mapping[str, object]:
    """Connections that were tested. An endpoint or instance that is asked for and is not there is
    a ResourceNotFoundFault."""
    page = call.services.pages.asked(call.operation, call.request)
    asked = filters(call.operation, call.request)
    where: dict[str, Sequence[str]] = {}
    for name, arns in asked.items():
        kind, _, field = FILTERS[name]
        where[field] = [call.services.home.name(arn, kind, parameter=name) for arn in arns]
    async with call.services.store.read() as reading:
        found = await reading.find(KIND, where, after=page.after, limit=page.limit + 1)
        if not found:
            for name, arns in asked.items():
                _, stored, field = FILTERS[name]
                if not await _any(reading, stored, where[field]):
                    raise ResourceNotFoundFault(f"Resource {arns[0]} not found.")
        records, marker = call.services.pages.cut(page, found, lambda record: record.name)
        connections = [decode(Connection, record.document) for record in records]
        shown = await _shown(call, reading, connections)
    return {"Marker": marker, "Connections": shown}


@operation("DeleteConnection", access=Access.ADMIN)
async def delete_connection(call: Call) -> Mapping[str, object]:
    """What is known of a connection is forgotten."""
    async with call.services.store.write() as writing:
        endpoint = await existing(call, writing)
        instance = await _instance(call, writing)
        wanted = Connection(endpoint=endpoint.id, instance=instance, status=Status.TESTING)
        record = await writing.get(KIND, wanted.id)
        if record is None:
            raise ResourceNotFoundFault("There is no connection of this endpoint and instance.")
        shown = await _shown(call, writing, [decode(Connection, record.document)])
        await writing.delete(KIND, record.id)
    return {"Connection": {**shown[0], "Status": DELETING}}


@operation("RefreshSchemas", access=Access.ADMIN)
async def refresh_schemas(call: Call) -> Mapping[str, object]:
    """The schemas of a source are read from now on; DescribeRefreshSchemasStatus tells how far that
    is. What was read before is shown until then."""
    async with call.services.store.write() as writing:
        endpoint = await existing(call, writing)
        instance = await _instance(call, writing)
        if role_of(decode(Endpoint, endpoint.document)) != "source":
            raise InvalidResourceStateFault(
                "The endpoint is a target. Schemas are read of source endpoints."
            )
        record = await writing.get(SCHEMAS, endpoint.id)
        before = decode(Schemas, record.document) if record else None
        wanted = Schemas(
            instance=instance,
            status=Refresh.REFRESHING,
            refreshed=before.refreshed if before else None,
            names=before.names if before else (),
        )
        made = Record(SCHEMAS, endpoint.id, endpoint.id, encode(wanted), wanted.fields)
        await _put(writing, made)
    call.services.looker.wake()
    return {"RefreshSchemasStatus": _refresh_shown(call, endpoint.id, wanted)}


@operation("DescribeRefreshSchemasStatus", access=Access.READ)
async def describe_refresh_schemas_status(call: Call) -> Mapping[str, object]:
    """How the newest refresh is, or was."""
    async with call.services.store.read() as reading:
        endpoint = await existing(call, reading)
        found = await _schemas(reading, endpoint)
    return {"RefreshSchemasStatus": _refresh_shown(call, endpoint.id, found)}


@operation("DescribeSchemas", access=Access.READ)
async def describe_schemas(call: Call) -> Mapping[str, object]:
    """Names of schemas that hold tables, as they were read last, sorted."""
    page = call.services.pages.asked(call.operation, call.request)
    async with call.services.store.read() as reading:
        found = await _schemas(reading, await existing(call, reading))
    if found.refreshed is None:
        raise InvalidResourceStateFault(
            f"The schemas of the endpoint were not read yet: the refresh is {found.status}."
        )
    behind = [name for name in found.names if name > page.after]
    names, marker = call.services.pages.cut(page, behind, str)
    return {"Marker": marker, "Schemas": list(names)}


async def _instance(call: Call, reading: Reading) -> str:
    """The resource id of the instance that a request names."""
    arn = call.request["ReplicationInstanceArn"]
    parameter = "ReplicationInstanceArn"
    name = call.services.home.name(arn, Kind.INSTANCE, parameter=parameter)
    if not await _any(reading, INSTANCE, [name]):
        raise ResourceNotFoundFault(f"Replication instance {arn} not found.")
    return name


async def _any(reading: Reading, kind: str, ids: Sequence[str]) -> bool:
    """Whether one of them is there."""
    if kind == INSTANCE and DEFAULT_ID in ids:
        return True
    return bool(await reading.find(kind, {"id": ids}, limit=1))


async def _put(writing: Writing, wanted: Record) -> None:
    """Store what is to be looked at, unless it is looked at already."""
    record = await writing.get(wanted.kind, wanted.id)
    if record is None:
        await writing.insert(wanted)
    elif record.fields.get("status") != wanted.fields["status"]:
        await writing.update(replace(wanted, revision=record.revision))


async def _schemas(reading: Reading, endpoint: Record) -> Schemas:
    record = await reading.get(SCHEMAS, endpoint.id)
    if record is None:
        raise InvalidResourceStateFault(
            f"The schemas of endpoint {endpoint.name} were never read: call RefreshSchemas first."
        )
    return decode(Schemas, record.document)


async def _shown(
    call: Call, reading: Reading, connections: Sequence[Connection]
) -> list[dict[str, Any]]:
    home = call.services.home
    of_endpoints = await _found(reading, ENDPOINT, [each.endpoint for each in connections])
    of_instances = await _found(reading, INSTANCE, [each.instance for each in connections])
    endpoints = {record.id: _identifier(record) for record in of_endpoints}
    instances = {record.id: record.name for record in of_instances}
    return [
        {
            "ReplicationInstanceArn": home.arn(Kind.INSTANCE, each.instance),
            "EndpointArn": home.arn(Kind.ENDPOINT, each.endpoint),
            "Status": each.status,
            "LastFailureMessage": f"{FAILED} {each.failure}" if each.failure else "",
            "EndpointIdentifier": endpoints.get(each.endpoint),
            "ReplicationInstanceIdentifier": instances.get(each.instance, each.instance),
        }
        for each in connections
    ]


async def _found(reading: Reading, kind: str, ids: Sequence[str]) -> Sequence[Record]:
    return await reading.find(kind, {"id": sorted(set(ids))}) if ids else ()


def _identifier(endpoint: Record) -> str:
    return str(decode(Endpoint, endpoint.document).members["EndpointIdentifier"])


def _refresh_shown(call: Call, endpoint: str, found: Schemas) -> Mapping[str, object]:
    home = call.services.home
    return {
        "EndpointArn": home.arn(Kind.ENDPOINT, endpoint),
        "ReplicationInstanceArn": home.arn(Kind.INSTANCE, found.instance),
        "Status": found.status,
        "LastRefreshDate": found.refreshed,
        "LastFailureMessage": found.failure or None,
    }
