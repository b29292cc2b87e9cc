"""How many resources of each kind there may be."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from engine.control.api.faults import ResourceQuotaExceededFault
from engine.control.resources.replication import KIND as REPLICATION
from engine.control.resources.replication import Face
from engine.control.store.contract import Reading
from engine.control.store.records import Where

RESOURCES_MAX: Final = 10_000
"""Resources of one kind, at most: what describing them is measured with."""


@dataclass(frozen=True, slots=True)
class Counted:
    """The records that a quota is about."""

    kind: str
    where: Where = field(default_factory=dict[str, tuple[str, ...]])


QUOTAS: Final[Mapping[str, Counted]] = {
    "ReplicationInstances": Counted("instance"),
    "Endpoints": Counted("endpoint"),
    "EventSubscriptions": Counted("subscription"),
    "ReplicationSubnetGroups": Counted("subnet_group"),
    "Certificates": Counted("certificate"),
    "ReplicationTasks": Counted(REPLICATION, {"face": (Face.TASK,)}),
    "ReplicationConfigs": Counted(REPLICATION, {"face": (Face.CONFIG,)}),
}
"""By AWS's names of what it counts. It counts replications too, under no name it has published."""


async def used(reading: Reading, name: str) -> int:
    """How many there are of what a quota is about."""
    counted = QUOTAS[name]
    return await reading.count(counted.kind, counted.where)


async def check_room(reading: Reading, name: str) -> None:
    """Raises ResourceQuotaExceededFault where one more would be too many."""
    if await used(reading, name) >= RESOURCES_MAX:
        raise ResourceQuotaExceededFault(
            f"The quota of {name} is reached: there are {RESOURCES_MAX:,}, and no more can be"
            " created; delete one that is not needed."
        )
