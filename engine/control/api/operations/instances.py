"""Classic replication instances. Nothing runs on one: it is a name that tasks, connections and
refreshed schemas are put under, and its class says how large its tasks may grow. The instance
`penstock` is this daemon, and always there."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import msgspec

from engine.control import happenings
from engine.control.api import compute
from engine.control.api.arn import Kind, draw
from engine.control.api.call import Call, operation
from engine.control.api.faults import (
    InvalidParameterCombinationException,
    InvalidParameterValueException,
    InvalidResourceStateFault,
    ResourceAlreadyExistsFault,
)
from engine.control.api.identifiers import instance_identifier, resource_identifier, tags
from engine.control.api.instance_records import (
    ARN,
    DEFAULT,
    THE_DAEMON,
    KeptInstance,
    checked_class,
    instance_by_arn,
    instances_page,
    record_fields,
    shown,
)
from engine.control.api.keys import Access
from engine.control.api.operations.versions import STORAGE_GB
from engine.control.api.quotas import check_room
from engine.control.api.replication_acts import check_subnet_group
from engine.control.api.replication_records import Kept
from engine.control.happenings import Happening, SourceType
from engine.control.lifecycle import AT_REST
from engine.control.resources import connection, replication
from engine.control.resources.document import encode
from engine.control.resources.instance import DEFAULT_ID, KIND, Instance
from engine.control.store.contract import Reading, Writing
from engine.control.store.records import Record
from engine.version import VERSION

_NETWORK: Final = "there is no network of a cloud here: kept and shown"

NO_EFFECT: Final[Mapping[str, str]] = {
    "AllocatedStorage": "the disk is the machine's: kept and shown",
    "ApplyImmediately": "everything is applied at once",
    "AllowMajorVersionUpgrade": "the version that runs is the one that is installed",
    "AutoMinorVersionUpgrade": "the version that runs is the one that is installed: kept and shown",
    "AvailabilityZone": _NETWORK,
    "DnsNameServers": _NETWORK,
    "EngineVersion": "the version that runs is the one that is installed: kept and shown",
    "ForceFailover": "there is nothing to fail over",
    "ForcePlannedFailover": "there is nothing to fail over",
    "KmsKeyId": "nothing is stored on it: kept and shown",
    "MultiAZ": "a standby daemon takes over all of them: kept and shown",
    "NetworkType": _NETWORK,
    "PreferredMaintenanceWindow": "upkeep keeps to the daemon's own window: kept and shown",
    "PubliclyAccessible": _NETWORK,
    "ReplicationSubnetGroupIdentifier": f"it must be there; {_NETWORK}",
    "VpcSecurityGroupIds": _NETWORK,
}

REFUSED: Final[Mapping[str, str]] = {
    "KerberosAuthenticationSettings": "for Oracle and SQL Server",
}

FIELDS: Final[Mapping[str, str]] = {
    "AllocatedStorage": "storage",
    "AutoMinorVersionUpgrade": "auto_upgrade",
    "AvailabilityZone": "availability_zone",
    "DnsNameServers": "dns_name_servers",
    "EngineVersion": "engine_version",
    "KmsKeyId": "kms_key",
    "MultiAZ": "multi_az",
    "NetworkType": "network_type",
    "PreferredMaintenanceWindow": "window",
    "PubliclyAccessible": "public",
    "ReplicationInstanceClass": "size",
    "ReplicationInstanceIdentifier": "name",
    "ReplicationSubnetGroupIdentifier": "subnet_group",
    "VpcSecurityGroupIds": "security_groups",
}
"""AWS's members, with ours."""

NETWORK_TYPES: Final = ("IPV4", "IPV6", "DUAL")

_VERSION: Final = re.compile(r"[0-9]{1,4}(?:\.[0-9]{1,4}){0,3}[A-Za-z0-9.+-]{0,16}", re.ASCII)


@operation("CreateReplicationInstance", access=Access.ADMIN)
async def create_replication_instance(call: Call) -> Mapping[str, object]:
    """Answered as `creating`, and available at once."""
    services = call.services
    drawn = compute.drawn_window(services.random.uniform(0.0, 1.0))
    plain = Instance(
        name="", size="", window=drawn, engine_version=VERSION, created=services.clock.wall()
    )
    instance = _with(plain, call.request)
    given = tags(call.request.get("Tags", ()))
    async with services.store.write() as writing:
        await _check_free(writing, call, instance.name)
        await check_subnet_group(writing, instance.subnet_group)
        await check_room(writing, "ReplicationInstances")
        end = await _new_id(writing, call)
        record = Record(KIND, end, instance.name, encode(instance), record_fields(instance))
        kept = KeptInstance(end, instance, await writing.insert(record))
        await writing.tag(KIND, end, given)
        await _say(writing, happenings.INSTANCE_CREATED, instance)
    return {"ReplicationInstance": shown(services.home, kept, "creating")}


@operation("ModifyReplicationInstance", access=Access.ADMIN)
async def modify_replication_instance(call: Call) -> Mapping[str, object]:
    """What is given replaces what was. Another class is another limit of its tasks, so none of them
    may run while it changes."""
    async with call.services.store.write() as writing:
        kept = await _own(writing, call, "modified")
        instance = _with(kept.instance, call.request)
        if instance == kept.instance:
            return {"ReplicationInstance": shown(call.services.home, kept)}
        if instance.name != kept.instance.name:
            await _check_free(writing, call, instance.name)
        changed = KeptInstance(kept.id, instance)
        if changed.units != kept.units:
            await _limit_tasks(writing, changed)
        assert kept.record is not None
        record = replace(
            kept.record,
            name=instance.name,
            document=encode(instance),
            fields=record_fields(instance),
        )
        await writing.update(record)
        await _say(writing, happenings.INSTANCE_MODIFIED, instance)
    return {"ReplicationInstance": shown(call.services.home, changed)}


@operation("DeleteReplicationInstance", access=Access.ADMIN)
async def delete_replication_instance(call: Call) -> Mapping[str, object]:
    """With the connections that were tested from it; it must have no task."""
    async with call.services.store.write() as writing:
        kept = await _own(writing, call, "deleted")
        tasks = await writing.count(replication.KIND, {"instance": (kept.id,)})
        if tasks:
            raise InvalidResourceStateFault(
                f"Replication instance {kept.instance.name} has tasks ({tasks:,}): delete them, or"
                " move them to another one first."
            )
        for record in await writing.find(connection.KIND, {"instance": (kept.id,)}):
            await writing.delete(connection.KIND, record.id)
        await writing.delete(KIND, kept.id)
        await _say(writing, happenings.INSTANCE_DELETED, kept.instance)
    return {"ReplicationInstance": shown(call.services.home, kept, "deleting")}


@operation("RebootReplicationInstance", access=Access.ADMIN)
async def reboot_replication_instance(call: Call) -> Mapping[str, object]:
    """Answered as `rebooting`; nothing runs on it, so no task is interrupted."""
    if call.request.get("ForceFailover") and call.request.get("ForcePlannedFailover"):
        raise InvalidParameterCombinationException(
            "ForceFailover and ForcePlannedFailover exclude each other."
        )
    async with call.services.store.read() as reading:
        kept = await _named(reading, call)
    return {"ReplicationInstance": shown(call.services.home, kept, "rebooting")}


@operation("DescribeReplicationInstances", access=Access.READ)
async def describe_replication_instances(call: Call) -> Mapping[str, object]:
    """A page of them, by identifier; this daemon is one."""
    asked = call.services.pages.asked(call.operation, call.request)
    async with call.services.store.read() as reading:
        kept, marker = await instances_page(reading, call, asked)
    return {
        "ReplicationInstances": [shown(call.services.home, each) for each in kept],
        "Marker": marker,
    }


@operation("DescribeReplicationInstanceTaskLogs", access=Access.READ)
async def describe_replication_instance_task_logs(call: Call) -> Mapping[str, object]:
    """The tasks of an instance that have a log. Logs are files of the daemon's own, which drops
    old ones by itself, so none has a size that anybody has to watch."""
    asked = call.services.pages.asked(call.operation, call.request)
    async with call.services.store.read() as reading:
        kept = await _named(reading, call)
        where = {"instance": (kept.id,)}
        records = await reading.find(
            replication.KIND, where, after=asked.after, limit=asked.limit + 1
        )
    page, marker = call.services.pages.cut(asked, records, lambda record: record.name)
    home = call.services.home
    return {
        ARN: home.arn(Kind.INSTANCE, kept.id),
        "ReplicationInstanceTaskLogs": [
            {
                "ReplicationTaskName": task.config.name,
                "ReplicationTaskArn": home.arn(Kind.TASK, task.id),
            }
            for task in map(Kept.of, page)
            if task.life.times.start is not None
        ],
        "Marker": marker,
    }


# --- what is asked for ---


def _with(before: Instance, request: Mapping[str, Any]) -> Instance:
    """The instance with what is given, checked. Raises faults."""
    if request.get("KerberosAuthenticationSettings"):
        raise InvalidParameterValueException(
            "KerberosAuthenticationSettings are for Oracle and SQL Server, which are not run here."
        )
    values = {ours: request[member] for member, ours in FIELDS.items() if member in request}
    if "name" in values:
        values["name"] = instance_identifier(values["name"])
    if "size" in values:
        values["size"] = checked_class(values["size"])
    if "security_groups" in values:
        values["security_groups"] = tuple(values["security_groups"])
    if "window" in values:
        values["window"] = (
            compute.window(values["window"], "PreferredMaintenanceWindow") or before.window
        )
    instance = msgspec.structs.replace(before, **values)
    _check(instance)
    return instance


def _check(instance: Instance) -> None:
    least, most = STORAGE_GB
    if not least <= instance.storage <= most:
        raise InvalidParameterValueException(
            f"Invalid value {instance.storage} for AllocatedStorage. Must be between {least} and"
            f" {most}."
        )
    if not _VERSION.fullmatch(instance.engine_version):
        raise InvalidParameterValueException(
            f"The parameter EngineVersion is not a version. The one that runs is {VERSION}."
        )
    if instance.network_type and instance.network_type.upper() not in NETWORK_TYPES:
        raise InvalidParameterValueException(
            f"Invalid value for NetworkType. Must be one of: {', '.join(NETWORK_TYPES)}."
        )
    compute.check_name_servers(instance.dns_name_servers, "DnsNameServers")
    if instance.multi_az and instance.availability_zone:
        raise InvalidParameterCombinationException(
            "AvailabilityZone cannot be given with MultiAZ: there would be two zones."
        )


# --- in the store ---


async def _named(reading: Reading, call: Call) -> KeptInstance:
    return await instance_by_arn(reading, call.services.home, call.request[ARN], ARN)


async def _own(reading: Reading, call: Call, doing: str) -> KeptInstance:
    """The instance that is meant, unless it is the daemon."""
    kept = await _named(reading, call)
    if kept is THE_DAEMON:
        raise InvalidResourceStateFault(
            f"The replication instance {DEFAULT_ID} is this daemon, and cannot be {doing}: its"
            " memory is [serve] memory of its configuration."
        )
    return kept


async def _check_free(reading: Reading, call: Call, name: str) -> None:
    record = await reading.named(KIND, name)
    if record is None and name != DEFAULT.name:
        return
    end = DEFAULT_ID if record is None else record.id
    raise ResourceAlreadyExistsFault(
        f"Replication instance already exists: ReplicationInstanceIdentifier {name} is in use.",
        resource_arn=call.services.home.arn(Kind.INSTANCE, end),
    )


async def _new_id(reading: Reading, call: Call) -> str:
    """The end of its ARN: drawn, or the user's."""
    wanted = call.request.get("ResourceIdentifier", "")
    if not wanted:
        return draw(call.services.random)
    end = resource_identifier(wanted)
    if end == DEFAULT_ID or await reading.get(KIND, end) is not None:
        raise ResourceAlreadyExistsFault(
            f"ResourceIdentifier {end} is in use, by another replication instance.",
            resource_arn=call.services.home.arn(Kind.INSTANCE, end),
        )
    return end


async def _limit_tasks(writing: Writing, instance: KeptInstance) -> None:
    """Let its tasks grow as far as its class has room for. Raises InvalidResourceStateFault."""
    records = await writing.find(replication.KIND, {"instance": (instance.id,)})
    for task in map(Kept.of, records):
        if task.life.status not in AT_REST:
            raise InvalidResourceStateFault(
                f"ReplicationInstanceClass cannot change while the task {task.config.name} of the"
                f" instance is {task.life.status}: stop it first."
            )
        sizes = msgspec.structs.replace(task.config.compute, units_max=instance.units)
        await task.put(writing, config=msgspec.structs.replace(task.config, compute=sizes))


async def _say(writing: Writing, happening: Happening, instance: Instance) -> None:
    await writing.add_event(happening.event(SourceType.INSTANCE, instance.name))
