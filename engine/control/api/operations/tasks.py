"""Classic tasks: replications on an instance, in the words that AWS has for them."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from engine.control import happenings
from engine.control.api import compute, documents
from engine.control.api.call import Call, operation
from engine.control.api.faults import InvalidParameterValueException
from engine.control.api.identifiers import identifier
from engine.control.api.instance_records import ARN, instance_by_arn
from engine.control.api.keys import Access
from engine.control.api.replication_acts import (
    Change,
    check_at_rest,
    create,
    delete,
    modify,
    say,
    start,
    stop,
)
from engine.control.api.replication_records import Kept, by_arn, page_of, sides
from engine.control.api.start_wish import POSITIONS, positions
from engine.control.api.task_answers import CREATING, task_shown
from engine.control.resources.replication import Compute, Config, Face, Life

IDENTIFIER: Final = "ReplicationTaskIdentifier"
MOVED_TO: Final = "TargetReplicationInstanceArn"

NO_EFFECT: Final[Mapping[str, str]] = {"TaskData": "for Neptune targets: kept and shown"}

PARTLY: Final[Mapping[str, str]] = {
    "CdcStartTime": "of PostgreSQL what was committed since then must be in the log of the slot",
}


@operation("CreateReplicationTask", access=Access.ADMIN)
async def create_replication_task(call: Call) -> Mapping[str, object]:
    """Answered as `creating`, and ready at once."""
    request, services = call.request, call.services
    name = identifier(request[IDENTIFIER], IDENTIFIER)
    kind = request["MigrationType"]
    settings = documents.settings(request.get("ReplicationTaskSettings") or "{}", kind)
    window = compute.drawn_window(services.random.uniform(0.0, 1.0))
    now = services.clock.wall()
    async with services.store.write() as writing:
        instance = await instance_by_arn(writing, services.home, request[ARN], ARN)
        ends = await sides(
            writing, services.home, request["SourceEndpointArn"], request["TargetEndpointArn"]
        )
        config = Config(
            name=name,
            source=ends.source.id,
            target=ends.target.id,
            type=kind,
            compute=Compute(units_max=instance.units, window=window),
            mappings=documents.mappings(request["TableMappings"], ends.target.engine.name),
            settings=settings,
            supplemental=request.get("TaskData", ""),
            instance=instance.id,
            created=now,
            updated=now,
        )
        life = Life()
        life = msgspec.structs.replace(
            life, wish=positions(request, ends.source.engine.name, kind, life)
        )
        kept = await create(writing, call, config, life)
    return _answer(call, kept, CREATING)


@operation("ModifyReplicationTask", access=Access.ADMIN)
async def modify_replication_task(call: Call) -> Mapping[str, object]:
    """What is given replaces what was; keys of the settings that are not given stay."""
    request = call.request
    name = request.get(IDENTIFIER, "")
    change = Change(
        name=identifier(name, IDENTIFIER) if name else "",
        type=request.get("MigrationType", ""),
        mappings=request.get("TableMappings", ""),
        settings=request.get("ReplicationTaskSettings", ""),
        supplemental=request.get("TaskData"),
        positions={member: request[member] for member in POSITIONS if member in request},
    )
    return _answer(call, await modify(call, Face.TASK, change))


@operation("MoveReplicationTask", access=Access.ADMIN)
async def move_replication_task(call: Call) -> Mapping[str, object]:
    """Put on another instance: it may grow as far as that one's class has room for."""
    home = call.services.home
    async with call.services.store.write() as writing:
        kept = await by_arn(writing, call, Face.TASK)
        instance = await instance_by_arn(writing, home, call.request[MOVED_TO], MOVED_TO)
        check_at_rest(kept, "moved")
        if instance.id == kept.config.instance:
            raise InvalidParameterValueException(
                f"The parameter {MOVED_TO} is not valid: the task {kept.config.name} is on that"
                " instance."
            )
        sizes = msgspec.structs.replace(kept.config.compute, units_max=instance.units)
        moved = msgspec.structs.replace(
            kept.config, instance=instance.id, compute=sizes, updated=call.services.clock.wall()
        )
        kept = await kept.put(writing, config=moved)
        await say(writing, happenings.MODIFIED, moved, f"(moved to {instance.instance.name})")
    return _answer(call, kept)


@operation("DeleteReplicationTask", access=Access.ADMIN)
async def delete_replication_task(call: Call) -> Mapping[str, object]:
    """With what was made for it at its databases, soon after the answer."""
    return _answer(call, await delete(call, Face.TASK))


@operation("StartReplicationTask", access=Access.ADMIN)
async def start_replication_task(call: Call) -> Mapping[str, object]:
    """The task as `starting`."""
    kind = call.request["StartReplicationTaskType"]
    return _answer(call, await start(call, Face.TASK, kind))


@operation("StopReplicationTask", access=Access.ADMIN)
async def stop_replication_task(call: Call) -> Mapping[str, object]:
    """The task as `stopping`; what it has read is written before it is `stopped`."""
    return _answer(call, await stop(call, Face.TASK))


@operation("DescribeReplicationTasks", access=Access.READ)
async def describe_replication_tasks(call: Call) -> Mapping[str, object]:
    """A page of them, by name."""
    asked = call.services.pages.asked(call.operation, call.request)
    async with call.services.store.read() as reading:
        kept, marker = await page_of(reading, call, Face.TASK, asked)
    home, now = call.services.home, call.services.clock.wall()
    settings = not call.request.get("WithoutSettings", False)
    shown = [task_shown(home, each.id, each.replication, now, settings=settings) for each in kept]
    return {"ReplicationTasks": shown, "Marker": marker}


def _answer(call: Call, kept: Kept, status: str = "") -> Mapping[str, object]:
    services = call.services
    task: dict[str, Any] = task_shown(
        services.home, kept.id, kept.replication, services.clock.wall()
    )
    return {"ReplicationTask": task | ({"Status": status} if status else {})}
