"""Subnet groups: scripts make them before anything else. There is no network of a cloud here, so
they are kept and shown, and nothing depends on them."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from engine.control.api.arn import Kind
from engine.control.api.call import Call, operation
from engine.control.api.faults import (
    InvalidParameterValueException,
    InvalidResourceStateFault,
    ReplicationSubnetGroupDoesNotCoverEnoughAZs,
    ResourceAlreadyExistsFault,
    ResourceNotFoundFault,
)
from engine.control.api.filters import filters
from engine.control.api.identifiers import subnet_group_identifier, tags
from engine.control.api.keys import Access
from engine.control.api.quotas import check_room
from engine.control.resources.document import decode, encode
from engine.control.resources.instance import KIND as INSTANCE
from engine.control.resources.replication import KIND as REPLICATION
from engine.control.resources.subnet_group import KIND, SubnetGroup
from engine.control.store.contract import Reading
from engine.control.store.records import Record

NO_EFFECT: Final[Mapping[str, str]] = {
    "SubnetIds": "there is no network of a cloud here: kept and shown",
    "ReplicationSubnetGroupDescription": "kept and shown",
}

SUBNETS_MIN: Final = 2
"""AWS asks for two: a standby of its own stands in the other."""

SUBNETS_MAX: Final = 60
"""AWS's quota of subnets in a group."""

DESCRIPTION_CHARACTERS_MAX: Final = 1_000


@operation("CreateReplicationSubnetGroup", access=Access.ADMIN)
async def create_replication_subnet_group(call: Call) -> Mapping[str, object]:
    """A group of at least two subnets."""
    group = SubnetGroup(
        name=subnet_group_identifier(call.request["ReplicationSubnetGroupIdentifier"]),
        description=_description(call.request["ReplicationSubnetGroupDescription"]),
        subnets=_subnets(call.request["SubnetIds"]),
    )
    given = tags(call.request.get("Tags", ()))
    async with call.services.store.write() as writing:
        if await writing.get(KIND, group.name) is not None:
            raise ResourceAlreadyExistsFault(
                f"The replication subnet group {group.name} already exists.",
                resource_arn=call.services.home.arn(Kind.SUBNET_GROUP, group.name),
            )
        await check_room(writing, "ReplicationSubnetGroups")
        await writing.insert(Record(KIND, group.name, group.name, encode(group)))
        await writing.tag(KIND, group.name, given)
    return {"ReplicationSubnetGroup": _shown(call, group)}


@operation("ModifyReplicationSubnetGroup", access=Access.ADMIN)
async def modify_replication_subnet_group(call: Call) -> Mapping[str, object]:
    """Other subnets, in place of those that it had, and another description where one is given."""
    subnets = _subnets(call.request["SubnetIds"])
    async with call.services.store.write() as writing:
        record = await _existing(call, writing)
        before = decode(SubnetGroup, record.document)
        description = call.request.get("ReplicationSubnetGroupDescription", before.description)
        group = SubnetGroup(
            name=before.name, description=_description(description), subnets=subnets
        )
        changed = Record(KIND, record.id, record.name, encode(group), revision=record.revision)
        await writing.update(changed)
    return {"ReplicationSubnetGroup": _shown(call, group)}


@operation("DeleteReplicationSubnetGroup", access=Access.ADMIN)
async def delete_replication_subnet_group(call: Call) -> Mapping[str, object]:
    """A group that nothing names is deleted."""
    async with call.services.store.write() as writing:
        record = await _existing(call, writing)
        user = await _user(writing, record.id)
        if user:
            raise InvalidResourceStateFault(
                f"The replication subnet group {record.id} is used by the {user}: delete that"
                " first, or give it another group."
            )
        await writing.delete(KIND, record.id)
    return {}


@operation("DescribeReplicationSubnetGroups", access=Access.READ)
async def describe_replication_subnet_groups(call: Call) -> Mapping[str, object]:
    """Groups by name. One that is asked for and is not there is a ResourceNotFoundFault."""
    page = call.services.pages.asked(call.operation, call.request)
    asked = filters(call.operation, call.request).get("replication-subnet-group-id")
    where = {} if asked is None else {"name": [name.lower() for name in asked]}
    async with call.services.store.read() as reading:
        found = await reading.find(KIND, where, after=page.after, limit=page.limit + 1)
    if asked is not None and not found and not page.after:
        raise ResourceNotFoundFault(f"Replication subnet group {asked[0]} not found.")
    shown, marker = call.services.pages.cut(page, found, lambda record: record.name)
    groups = [_shown(call, decode(SubnetGroup, record.document)) for record in shown]
    return {"Marker": marker, "ReplicationSubnetGroups": groups}


async def _existing(call: Call, reading: Reading) -> Record:
    name = call.request["ReplicationSubnetGroupIdentifier"]
    record = await reading.get(KIND, name.lower())
    if record is None:
        raise ResourceNotFoundFault(f"Replication subnet group {name} not found.")
    return record


async def _user(reading: Reading, group: str) -> str:
    """What names the group in its document, as words; empty for nothing."""
    for kind, place in ((INSTANCE, ()), (REPLICATION, ("config", "compute"))):
        for record in await reading.find(kind):
            found: Any = record.document
            for step in place:
                found = found[step]
            if found.get("subnet_group", "").lower() == group:
                return f"{kind} {record.name}"
    return ""


def _subnets(given: Sequence[str]) -> tuple[str, ...]:
    subnets = tuple(dict.fromkeys(given))
    if len(subnets) < SUBNETS_MIN:
        raise ReplicationSubnetGroupDoesNotCoverEnoughAZs(
            f"The replication subnet group must have at least {SUBNETS_MIN} subnets."
        )
    if len(subnets) > SUBNETS_MAX or not all(0 < len(subnet) <= 255 for subnet in subnets):
        raise InvalidParameterValueException(
            f"SubnetIds must have at most {SUBNETS_MAX} values of 1 to 255 characters."
        )
    return subnets


def _description(text: str) -> str:
    if len(text) > DESCRIPTION_CHARACTERS_MAX or not text.isprintable():
        raise InvalidParameterValueException(
            "The parameter ReplicationSubnetGroupDescription must have at most"
            f" {DESCRIPTION_CHARACTERS_MAX:,} characters, all of them printable."
        )
    return text


def _shown(call: Call, group: SubnetGroup) -> Mapping[str, object]:
    zone = {"Name": f"{call.services.home.region}a"}
    return {
        "ReplicationSubnetGroupIdentifier": group.name,
        "ReplicationSubnetGroupDescription": group.description,
        "SubnetGroupStatus": "Complete",
        "Subnets": [
            {
                "SubnetIdentifier": subnet,
                "SubnetAvailabilityZone": zone,
                "SubnetStatus": "Active",
            }
            for subnet in group.subnets
        ],
        "SupportedNetworkTypes": ["IPV4", "DUAL"],
        "IsReadOnly": False,
    }
