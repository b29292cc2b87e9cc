"""Endpoints: where replications read from and write to."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import msgspec

from engine.control.api.arn import Kind, draw
from engine.control.api.call import Call, operation
from engine.control.api.encryption_keys import key_name
from engine.control.api.endpoint_members import (
    Members,
    created,
    gathered,
    modified,
    of_request,
    shown,
    structures,
)
from engine.control.api.endpoint_rules import check, check_ours
from engine.control.api.endpoint_users import check_at_rest, named, users
from engine.control.api.faults import (
    InvalidResourceStateFault,
    ResourceAlreadyExistsFault,
    ResourceNotFoundFault,
)
from engine.control.api.filters import filters
from engine.control.api.identifiers import resource_identifier, tags
from engine.control.api.keys import Access
from engine.control.api.quotas import check_room
from engine.control.happenings import (
    ENDPOINT_CREATED,
    ENDPOINT_DELETED,
    ENDPOINT_MODIFIED,
    Happening,
    SourceType,
)
from engine.control.resources.certificate import KIND as CERTIFICATE
from engine.control.resources.connection import KIND as CONNECTION
from engine.control.resources.document import decode, encode
from engine.control.resources.endpoint import KIND, Endpoint, members_place
from engine.control.resources.schemas import KIND as SCHEMAS
from engine.control.sealing import seal_secrets
from engine.control.store.contract import Reading, Writing
from engine.control.store.records import Record
from engine.control.translate.listing import Note
from engine.control.translate.names import ENGINES
from engine.observe.redact import clean

_OTHERS: Final = structures().keys() - {engine.settings for engine in ENGINES.values()}

NO_EFFECT: Final[Mapping[str, str]] = {
    **dict.fromkeys(sorted(_OTHERS), "for engines that are not run: kept and shown"),
    "ServiceAccessRoleArn": "there are no roles of AWS here: kept and shown",
    "ExternalTableDefinition": "for endpoints that hold no tables, which are not run: kept and"
    " shown",
}

_SECRET: Final = (
    "a file (`file:/path`) or a variable of the daemon's environment (`env:NAME`) with AWS's JSON"
    " in it; a name of AWS's is kept, and fails the connection"
)

PARTLY: Final[Mapping[str, str]] = {
    "EngineName": "every engine is kept; a replication of one that is not run is refused",
    "ExtraConnectionAttributes": "of engines that are run, one that is not known is refused, as on"
    " AWS; those without effect are told in the endpoint's event",
    "KmsKeyId": "names one of the daemon's own keys, a file NAME.key",
    "SslMode": "`none` uses TLS where the server has it, and does not check who answers",
    **{f"{engine.settings}.SecretsManagerSecretId": _SECRET for engine in ENGINES.values()},
}

ACTIVE: Final = "active"
DELETING: Final = "deleting"


@operation("CreateEndpoint", access=Access.ADMIN)
async def create_endpoint(call: Call) -> Mapping[str, object]:
    """An endpoint of any engine of AWS's. What is secret is sealed before it is stored."""
    request = call.request
    members = created(of_request(call.operation, request))
    members = created(gathered(members, members["EngineName"]))
    notes = check(members, call.services.addresses)
    given = tags(request.get("Tags", ()))
    wanted = request.get("ResourceIdentifier")
    name = resource_identifier(wanted) if wanted else draw(call.services.random)
    record = _record(name, Endpoint(members=_sealed(call, name, members)))
    async with call.services.store.write() as writing:
        await _check_free(call, writing, record)
        await check_room(writing, "Endpoints")
        await _check_certificate(call, writing, members)
        record = await writing.insert(record)
        await writing.tag(KIND, name, given)
        await _tell(writing, ENDPOINT_CREATED, members, notes)
    return {"Endpoint": _shown(call, record)}


@operation("ModifyEndpoint", access=Access.ADMIN)
async def modify_endpoint(call: Call) -> Mapping[str, object]:
    """What is given is changed, the rest stays; a blank text takes away what was there. Nothing is
    modified while a replication of it runs."""
    request = call.request
    changes = of_request(call.operation, request)
    async with call.services.store.write() as writing:
        record = await existing(call, writing)
        kept = decode(Endpoint, record.document)
        changes = gathered(changes, changes.get("EngineName", kept.members["EngineName"]))
        members = modified(kept.members, changes, exact=request.get("ExactSettings", False))
        using = await users(writing, record.id)
        check_at_rest(kept.members["EndpointIdentifier"], using)
        if using and members["EndpointType"] != kept.members["EndpointType"]:
            raise InvalidResourceStateFault(
                f"EndpointType cannot be modified: the endpoint is used by {named(using)}."
            )
        notes = check(members, call.services.addresses)
        check_ours(kept.ours, members)
        sealed = _sealed(call, record.id, members)
        after = _record(record.id, msgspec.structs.replace(kept, members=sealed))
        after = replace(after, revision=record.revision)
        await _check_free(call, writing, after)
        await _check_certificate(call, writing, members)
        record = await writing.update(after)
        await _forget_looks(writing, record.id)
        await _tell(writing, ENDPOINT_MODIFIED, members, notes)
    return {"Endpoint": _shown(call, record)}


@operation("DeleteEndpoint", access=Access.ADMIN)
async def delete_endpoint(call: Call) -> Mapping[str, object]:
    """An endpoint that no replication refers to is deleted with its connections."""
    async with call.services.store.write() as writing:
        record = await existing(call, writing)
        kept = decode(Endpoint, record.document)
        using = await users(writing, record.id)
        if using:
            raise InvalidResourceStateFault(
                f"Endpoint {kept.members['EndpointIdentifier']} is part of {named(using)}: delete"
                " that first."
            )
        await _forget_looks(writing, record.id)
        await writing.delete(KIND, record.id)
        await _tell(writing, ENDPOINT_DELETED, kept.members, ())
    return {"Endpoint": {**_shown(call, record), "Status": DELETING}}


@operation("DescribeEndpoints", access=Access.READ)
async def describe_endpoints(call: Call) -> Mapping[str, object]:
    """Endpoints by name. One that is asked for and is not there is a ResourceNotFoundFault."""
    page = call.services.pages.asked(call.operation, call.request)
    asked = filters(call.operation, call.request)
    where: dict[str, Sequence[str]] = {}
    if "endpoint-arn" in asked:
        home = call.services.home
        arns = asked["endpoint-arn"]
        where["id"] = [home.name(arn, Kind.ENDPOINT, parameter="endpoint-arn") for arn in arns]
    for name, field in (
        ("endpoint-id", "name"),
        ("endpoint-type", "type"),
        ("engine-name", "engine"),
    ):
        if name in asked:
            where[field] = [value.lower() for value in asked[name]]
    async with call.services.store.read() as reading:
        found = await reading.find(KIND, where, after=page.after, limit=page.limit + 1)
    if not found and not page.after and where.keys() & {"id", "name"}:
        raise ResourceNotFoundFault("No Endpoints found matching provided filters")
    records, marker = call.services.pages.cut(page, found, lambda record: record.name)
    return {"Marker": marker, "Endpoints": [_shown(call, record) for record in records]}


async def existing(call: Call, reading: Reading) -> Record:
    """The endpoint that a request's EndpointArn names. Raises a fault where there is none."""
    arn = call.request["EndpointArn"]
    name = call.services.home.name(arn, Kind.ENDPOINT, parameter="EndpointArn")
    record = await reading.get(KIND, name)
    if record is None:
        raise ResourceNotFoundFault(f"Endpoint {arn} not found.")
    return record


def _sealed(call: Call, id: str, members: Members) -> Members:
    """What is not sealed yet is, under the key that the endpoint names."""
    vault = call.services.vault
    key = key_name(members.get("KmsKeyId", ""), vault)
    return seal_secrets(vault, members_place(id), members, key=key)


def _record(id: str, endpoint: Endpoint) -> Record:
    members = endpoint.members
    fields = {"type": members["EndpointType"], "engine": members["EngineName"]}
    if "CertificateArn" in members:
        fields["certificate"] = _certificate(members)
    name = str(members["EndpointIdentifier"]).lower()
    return Record(KIND, id, name, encode(endpoint), fields)


async def _check_free(call: Call, reading: Reading, wanted: Record) -> None:
    """That neither identifier is another's."""
    same = [await reading.named(KIND, wanted.name)]
    if not wanted.revision:
        same.append(await reading.get(KIND, wanted.id))
    for record in same:
        if record is not None and (record.id != wanted.id or not wanted.revision):
            raise ResourceAlreadyExistsFault(
                f"Endpoint {wanted.name} already exists.",
                resource_arn=call.services.home.arn(Kind.ENDPOINT, record.id),
            )


async def _check_certificate(call: Call, reading: Reading, members: Members) -> None:
    arn = members.get("CertificateArn")
    if not arn:
        return
    call.services.home.name(arn, Kind.CERTIFICATE, parameter="CertificateArn")
    if await reading.get(CERTIFICATE, _certificate(members)) is None:
        raise ResourceNotFoundFault(f"Certificate {arn} not found.")


def _certificate(members: Members) -> str:
    """The record's id."""
    return str(members["CertificateArn"]).rpartition(":")[2]


async def _forget_looks(writing: Writing, endpoint: str) -> None:
    """What was found at another address, or with another password, says nothing any more."""
    for record in await writing.find(CONNECTION, {"endpoint": [endpoint]}):
        await writing.delete(CONNECTION, record.id)
    if await writing.get(SCHEMAS, endpoint):
        await writing.delete(SCHEMAS, endpoint)


async def _tell(
    writing: Writing, happening: Happening, members: Members, notes: Sequence[Note]
) -> None:
    idle = ", ".join(dict.fromkeys(note.subject for note in notes))
    detail = f"Settings without effect: {idle}." if idle else ""
    name = str(members["EndpointIdentifier"])
    await writing.add_event(happening.event(SourceType.ENDPOINT, name, clean(detail)))


def _shown(call: Call, record: Record) -> dict[str, Any]:
    return {
        **shown(decode(Endpoint, record.document).members),
        "EndpointArn": call.services.home.arn(Kind.ENDPOINT, record.id),
        "Status": ACTIVE,
        "IsReadOnly": False,
    }
