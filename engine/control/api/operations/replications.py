"""Serverless replications as they run: started, stopped, described."""

from collections.abc import Mapping
from typing import Final

from engine.control.api.call import Call, operation
from engine.control.api.faults import InvalidParameterValueException
from engine.control.api.keys import Access
from engine.control.api.replication_acts import start, stop
from engine.control.api.replication_answers import replication_shown
from engine.control.api.replication_records import Kept, page_of
from engine.control.resources.replication import Face

REFUSED: Final[Mapping[str, str]] = {
    "PremigrationAssessmentSettings": "every start looks at both databases before it carries a row",
}

PARTLY: Final[Mapping[str, str]] = {
    "CdcStartTime": "of PostgreSQL what was committed since then must be in the log of the slot",
}


@operation("StartReplication", access=Access.ADMIN)
async def start_replication(call: Call) -> Mapping[str, object]:
    """The replication as `initializing`: Terraform takes no other status for one that starts."""
    if call.request.get("PremigrationAssessmentSettings"):
        raise InvalidParameterValueException(
            "PremigrationAssessmentSettings is not supported: every start looks at both databases"
            " before it carries a row, and fails with what it finds; leave the member out."
        )
    return _answer(call, await start(call, Face.CONFIG, call.request["StartReplicationType"]))


@operation("StopReplication", access=Access.ADMIN)
async def stop_replication(call: Call) -> Mapping[str, object]:
    """The replication as `stopping`; what it has read is written before it is `stopped`."""
    return _answer(call, await stop(call, Face.CONFIG))


@operation("DescribeReplications", access=Access.READ)
async def describe_replications(call: Call) -> Mapping[str, object]:
    """A page of them, by name."""
    asked = call.services.pages.asked(call.operation, call.request)
    async with call.services.store.read() as reading:
        kept, marker = await page_of(reading, call, Face.CONFIG, asked)
    return {"Replications": [_shown(call, each) for each in kept], "Marker": marker}


def _answer(call: Call, kept: Kept) -> Mapping[str, object]:
    return {"Replication": _shown(call, kept)}


def _shown(call: Call, kept: Kept) -> Mapping[str, object]:
    services = call.services
    return replication_shown(services.home, kept.id, kept.replication, services.clock.wall())
