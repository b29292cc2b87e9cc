"""The account as AWS shows it: how much of each resource there is, and may be."""

from collections.abc import Mapping

from engine.control.api.call import Call, operation
from engine.control.api.keys import Access
from engine.control.api.quotas import QUOTAS, RESOURCES_MAX, used


@operation("DescribeAccountAttributes", access=Access.READ)
async def describe_account_attributes(call: Call) -> Mapping[str, object]:
    """Each quota with what is used of it, counted at one moment."""
    async with call.services.store.read() as reading:
        quotas = [
            {"AccountQuotaName": name, "Used": await used(reading, name), "Max": RESOURCES_MAX}
            for name in QUOTAS
        ]
    return {
        "AccountQuotas": quotas,
        "UniqueAccountIdentifier": f"dms-{call.services.home.account}",
    }
