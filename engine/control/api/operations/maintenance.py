"""Pending maintenance: there never is any. Whoever runs the daemon installs its upgrades and those
of the system beneath it; its own housekeeping waits for the maintenance window by itself."""

from collections.abc import Mapping
from typing import Final

from engine.control.api.arn import Kind
from engine.control.api.call import Call, operation
from engine.control.api.faults import InvalidParameterValueException, ResourceNotFoundFault
from engine.control.api.filters import filters
from engine.control.api.keys import Access
from engine.control.resources.instance import DEFAULT_ID, KIND
from engine.control.store.contract import Reading

ACTIONS: Final = ("os-upgrade", "system-update", "db-upgrade", "os-patch")
OPT_INS: Final = ("immediate", "next-maintenance", "undo-opt-in")


@operation("DescribePendingMaintenanceActions", access=Access.READ)
async def describe_pending_maintenance_actions(call: Call) -> Mapping[str, object]:
    """None, of an instance that is there or of all."""
    call.services.pages.asked(call.operation, call.request)
    asked = filters(call.operation, call.request)
    arns = [call.request.get("ReplicationInstanceArn"), *asked.get("replication-instance-arn", ())]
    names = asked.get("replication-instance-id", ())
    async with call.services.store.read() as reading:
        for arn in arns:
            if arn:
                await _check_instance(call, reading, arn)
        for name in names:
            if name.lower() != DEFAULT_ID and not await reading.named(KIND, name.lower()):
                raise ResourceNotFoundFault(f"Replication instance {name} not found.")
    return {"PendingMaintenanceActions": []}


@operation("ApplyPendingMaintenanceAction", access=Access.ADMIN)
async def apply_pending_maintenance_action(call: Call) -> Mapping[str, object]:
    """A ResourceNotFoundFault: nothing is pending."""
    for name, known in (("ApplyAction", ACTIONS), ("OptInType", OPT_INS)):
        if call.request[name] not in known:
            raise InvalidParameterValueException(
                f"Invalid value for {name}. Must be one of: {', '.join(known)}."
            )
    arn = call.request["ReplicationInstanceArn"]
    async with call.services.store.read() as reading:
        await _check_instance(call, reading, arn)
    raise ResourceNotFoundFault(
        f"No {call.request['ApplyAction']} is pending for {arn}: upgrades are installed on the"
        " machine that the daemon runs on, and its housekeeping is done in the maintenance window."
    )


async def _check_instance(call: Call, reading: Reading, arn: str) -> None:
    name = call.services.home.name(arn, Kind.INSTANCE, parameter="ReplicationInstanceArn")
    if name != DEFAULT_ID and await reading.get(KIND, name) is None:
        raise ResourceNotFoundFault(f"Replication instance {arn} not found.")
