"""Replication instances: those that were created, and the one that is this daemon, as one list.

Nothing runs on an instance. Its class says how large tasks on it may grow; the daemon's own says
nothing, so they grow as any replication does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from engine.config.capacity import UNITS_MAX
from engine.control.api.arn import Home, Kind
from engine.control.api.call import Call
from engine.control.api.faults import InvalidParameterValueException, ResourceNotFoundFault
from engine.control.api.filters import filters
from engine.control.api.paging import Page
from engine.control.resources.document import decode
from engine.control.resources.instance import CLASS_GIB, DEFAULT_ID, KIND, Instance, units
from engine.control.store.contract import Reading
from engine.control.store.records import Record
from engine.control.window import Window
from engine.version import VERSION

DEFAULT: Final = Instance(
    name=DEFAULT_ID,
    size="dms.r5.xlarge",
    window=str(Window.drawn(0.0)),
    engine_version=VERSION,
    public=False,
)
"""The daemon. Its class has room for as many units as a replication may grow to where nobody says
otherwise (`UNITS_MAX`)."""

ARN: Final = "ReplicationInstanceArn"


@dataclass(frozen=True, slots=True)
class KeptInstance:
    """An instance by its id, with its record; the daemon has none."""

    id: str
    instance: Instance
    record: Record | None = None

    @classmethod
    def of(cls, record: Record) -> "KeptInstance":
        """Raises StateError for a document that is none of this version's."""
        return cls(record.id, decode(Instance, record.document), record)

    @property
    def units(self) -> int:
        """How large its tasks may grow."""
        return units(self.instance.size) or UNITS_MAX


THE_DAEMON: Final = KeptInstance(DEFAULT_ID, DEFAULT)


def record_fields(instance: Instance) -> dict[str, str]:
    """What its record is found by beside id and name."""
    return {"class": instance.size, "version": instance.engine_version}


async def instance_by_arn(reading: Reading, home: Home, arn: str, parameter: str) -> KeptInstance:
    """The instance of an ARN. Raises faults."""
    name = home.name(arn, Kind.INSTANCE, parameter=parameter)
    if name == DEFAULT_ID:
        return THE_DAEMON
    record = await reading.get(KIND, name)
    if record is None:
        raise ResourceNotFoundFault(f"Replication instance {arn} not found.")
    return KeptInstance.of(record)


async def instances_page(
    reading: Reading, call: Call, asked: Page
) -> tuple[Sequence[KeptInstance], str | None]:
    """Instances that a request's filters let through, by identifier, and the marker of the next
    page. Raises ResourceNotFoundFault where none of those that are asked for by name is there."""
    asked_for = filters(call.operation, call.request)
    where = _where(call.services.home, asked_for)
    records = await reading.find(KIND, where, after=asked.after, limit=asked.limit + 1)
    found = [KeptInstance.of(record) for record in records]
    if _matches(where) and asked.after < DEFAULT_ID:
        found.append(THE_DAEMON)
    named = {"replication-instance-arn", "replication-instance-id"} & asked_for.keys()
    if named and not found and not asked.after:
        raise ResourceNotFoundFault("No replication instances found matching the filters.")
    found.sort(key=lambda each: each.instance.name)
    return call.services.pages.cut(asked, found, lambda each: each.instance.name)


def _where(home: Home, asked: Mapping[str, Sequence[str]]) -> dict[str, frozenset[str]]:
    where: dict[str, frozenset[str]] = {}
    for name, values in asked.items():
        match name:
            case "replication-instance-arn":
                names = (home.name(arn, Kind.INSTANCE, parameter=name) for arn in values)
                where["id"] = frozenset(names)
            case "replication-instance-id":
                where["name"] = frozenset(value.lower() for value in values)
            case "replication-instance-class":
                where["class"] = frozenset(value.lower() for value in values)
            case _:
                where["version"] = frozenset(values)
    return where


def _matches(where: Mapping[str, frozenset[str]]) -> bool:
    """Whether the daemon is one of those."""
    own = {"id": DEFAULT_ID, "name": DEFAULT_ID, **record_fields(DEFAULT)}
    return all(own[name] in values for name, values in where.items())


def checked_class(text: str) -> str:
    """A class of instances as it is kept. Raises InvalidParameterValueException."""
    size = text.lower()
    if units(size) is None:
        raise InvalidParameterValueException(
            "Invalid value for ReplicationInstanceClass. Must be one of:"
            f" {', '.join(sorted(CLASS_GIB))}."
        )
    return size


def shown(home: Home, kept: KeptInstance, status: str = "available") -> dict[str, object]:
    """`ReplicationInstance`. There is no machine to wait for: it is available at once."""
    instance = kept.instance
    return {
        "ReplicationInstanceIdentifier": instance.name,
        "ReplicationInstanceClass": instance.size,
        "ReplicationInstanceStatus": status,
        "AllocatedStorage": instance.storage,
        "InstanceCreateTime": instance.created or None,
        "VpcSecurityGroups": [
            {"VpcSecurityGroupId": group, "Status": "active"} for group in instance.security_groups
        ],
        "AvailabilityZone": instance.availability_zone or f"{home.region}a",
        "ReplicationSubnetGroup": _group(instance),
        "PreferredMaintenanceWindow": instance.window,
        "PendingModifiedValues": {},
        "MultiAZ": instance.multi_az,
        "EngineVersion": instance.engine_version,
        "AutoMinorVersionUpgrade": instance.auto_upgrade,
        "KmsKeyId": instance.kms_key or None,
        "ReplicationInstanceArn": home.arn(Kind.INSTANCE, kept.id),
        "ReplicationInstancePublicIpAddresses": [],
        "ReplicationInstancePrivateIpAddresses": [],
        "PubliclyAccessible": instance.public,
        "DnsNameServers": instance.dns_name_servers or None,
        "NetworkType": instance.network_type or "IPV4",
    }


def _group(instance: Instance) -> dict[str, Any] | None:
    if not instance.subnet_group:
        return None
    return {
        "ReplicationSubnetGroupIdentifier": instance.subnet_group,
        "SubnetGroupStatus": "Complete",
    }
