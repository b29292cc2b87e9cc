"""The account as AWS shows it: how much of each resource there is, and may be."""

from collections.abc import Mapping
from typing import Final

from engine.control.api.call import Call, operation
from engine.control.api.keys import Access

RESOURCES_MAX: Final = 10_000
"""Resources of one kind, at most: what describing them is measured with."""

QUOTAS: Final[Mapping[str, str]] = {
    "ReplicationInstances": "instance",
    "Endpoints": "endpoint",
    "EventSubscriptions": "subscription",
    "ReplicationSubnetGroups": "subnet_group",
    "Certificates": "certificate",
    "ReplicationTasks": "task",
    "ReplicationConfigs": "replication",
}
"""AWS's names of what it counts, with our kinds of records. It counts replications too, under no
name it has published."""


@operation("DescribeAccountAttributes", access=Access.READ)
async def describe_account_attributes(call: Call) -> Mapping[str, object]:
    """Each quota with what is used of it, counted at one moment."""
    async with call.services.store.read() as reading:
        quotas = [
            {"AccountQuotaName": name, "Used": await reading.count(kind), "Max": RESOURCES_MAX}
            for name, kind in QUOTAS.items()
        ]
    return {
        "AccountQuotas": quotas,
        "UniqueAccountIdentifier": f"dms-{call.services.home.account}",
    }
