"""Serverless replications as they are configured: created, modified, deleted, described."""

from collections.abc import Mapping
from typing import Final

from engine.control.api import compute, documents
from engine.control.api.call import Call, operation
from engine.control.api.identifiers import identifier
from engine.control.api.keys import Access
from engine.control.api.replication_acts import Change, check_subnet_group, create, delete, modify
from engine.control.api.replication_answers import config_described, config_shown
from engine.control.api.replication_records import Kept, page_of, sides
from engine.control.resources.replication import Config, Face, Life

_NETWORK: Final = "there is no network of a cloud here: kept and shown"

NO_EFFECT: Final[Mapping[str, str]] = {
    "ComputeConfig.AvailabilityZone": _NETWORK,
    "ComputeConfig.DnsNameServers": _NETWORK,
    "ComputeConfig.MultiAZ": "a standby daemon takes over all replications, whatever they say: kept"
    " and shown",
    "ComputeConfig.PreferredMaintenanceWindow": "upkeep keeps to the daemon's own window: held to"
    " its rules, drawn where none is given, kept and shown",
    "ComputeConfig.ReplicationSubnetGroupId": f"it must be there; {_NETWORK}",
    "ComputeConfig.VpcSecurityGroupIds": _NETWORK,
    "SupplementalSettings": "for Neptune targets: kept and shown",
}

PARTLY: Final[Mapping[str, str]] = {
    "ComputeConfig.KmsKeyId": "where it names one of the daemon's own keys, a file NAME.key, the"
    " key of rows that are kept aside is sealed under it; any other is kept and shown",
}


@operation("CreateReplicationConfig", access=Access.ADMIN)
async def create_replication_config(call: Call) -> Mapping[str, object]:
    """A replication that runs once it is started."""
    request, services = call.request, call.services
    name = identifier(request["ReplicationConfigIdentifier"], "ReplicationConfigIdentifier")
    sizes = compute.created(request["ComputeConfig"], services.random.uniform(0.0, 1.0))
    kind = request["ReplicationType"]
    settings = documents.settings(request.get("ReplicationSettings") or "{}", kind)
    now = services.clock.wall()
    async with services.store.write() as writing:
        ends = await sides(
            writing, services.home, request["SourceEndpointArn"], request["TargetEndpointArn"]
        )
        await check_subnet_group(writing, sizes.subnet_group)
        config = Config(
            name=name,
            source=ends.source.id,
            target=ends.target.id,
            type=kind,
            compute=sizes,
            mappings=documents.mappings(request["TableMappings"], ends.target.engine.name),
            settings=settings,
            supplemental=request.get("SupplementalSettings", ""),
            created=now,
            updated=now,
        )
        kept = await create(writing, call, config, Life())
    return _answer(call, kept)


@operation("ModifyReplicationConfig", access=Access.ADMIN)
async def modify_replication_config(call: Call) -> Mapping[str, object]:
    """What is given replaces what was; keys of the settings that are not given stay."""
    request = call.request
    name = request.get("ReplicationConfigIdentifier", "")
    change = Change(
        name=identifier(name, "ReplicationConfigIdentifier") if name else "",
        source_arn=request.get("SourceEndpointArn", ""),
        target_arn=request.get("TargetEndpointArn", ""),
        type=request.get("ReplicationType", ""),
        mappings=request.get("TableMappings", ""),
        settings=request.get("ReplicationSettings", ""),
        supplemental=request.get("SupplementalSettings"),
        compute=request.get("ComputeConfig", {}),
    )
    return _answer(call, await modify(call, Face.CONFIG, change))


@operation("DeleteReplicationConfig", access=Access.ADMIN)
async def delete_replication_config(call: Call) -> Mapping[str, object]:
    """With what was made for it at its databases, soon after the answer."""
    return _answer(call, await delete(call, Face.CONFIG))


@operation("DescribeReplicationConfigs", access=Access.READ)
async def describe_replication_configs(call: Call) -> Mapping[str, object]:
    """A page of them, by name."""
    asked = call.services.pages.asked(call.operation, call.request)
    async with call.services.store.read() as reading:
        kept, marker = await page_of(reading, call, Face.CONFIG, asked)
    home = call.services.home
    shown = [config_described(home, each.id, each.replication) for each in kept]
    return {"ReplicationConfigs": shown, "Marker": marker}


def _answer(call: Call, kept: Kept) -> Mapping[str, object]:
    shown = config_shown(call.services.home, kept.id, kept.replication)
    return {"ReplicationConfig": shown}
