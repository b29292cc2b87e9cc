"""What both faces of a replication have in common when one is created, modified, started, stopped
and deleted: one transaction with its event, and then the fleet is told.

The fleet alone writes what comes of it.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from engine.config.replication import RESERVED_IDS, RESERVED_SUFFIX
from engine.control import happenings, lifecycle
from engine.control.api import compute, documents
from engine.control.api.arn import Kind, draw
from engine.control.api.call import Call
from engine.control.api.faults import (
    InvalidParameterValueException,
    InvalidResourceStateFault,
    ResourceAlreadyExistsFault,
    ResourceNotFoundFault,
)
from engine.control.api.identifiers import resource_identifier, tags
from engine.control.api.quotas import check_room
from engine.control.api.replication_records import (
    WORDS,
    Kept,
    by_arn,
    check_free,
    refusals,
    sides,
    source_engine,
)
from engine.control.api.start_wish import positions, wish
from engine.control.continuing import check_continues
from engine.control.happenings import Happening
from engine.control.lifecycle import Status
from engine.control.otherwise import otherwise
from engine.control.resources.document import encode
from engine.control.resources.replication import (
    KIND,
    Config,
    Face,
    Life,
    Replication,
)
from engine.control.resources.subnet_group import KIND as SUBNET_GROUP
from engine.control.store.contract import Reading, Writing
from engine.control.store.errors import StoreOutcomeUnknownError
from engine.control.store.records import Record

QUOTA: Final[Mapping[Face, str]] = {
    Face.CONFIG: "ReplicationConfigs",
    Face.TASK: "ReplicationTasks",
}

MEMBERS: Final[Mapping[Face, Mapping[str, str]]] = {
    Face.CONFIG: {
        "ReplicationConfigIdentifier": "name",
        "SourceEndpointArn": "source",
        "TargetEndpointArn": "target",
        "ReplicationType": "type",
        "TableMappings": "mappings",
        "ReplicationSettings": "settings",
        "SupplementalSettings": "supplemental",
    },
    Face.TASK: {
        "ReplicationTaskIdentifier": "name",
        "MigrationType": "type",
        "TableMappings": "mappings",
        "ReplicationTaskSettings": "settings",
        "TaskData": "supplemental",
    },
}
"""What a modification may change beside sizes: AWS's members with ours."""

SETTLED_SECONDS: Final = 1.0
"""After which a COMMIT that nobody waited for has come to its end, one way or the other."""

DEFAULT_SUBNET_GROUP: Final = "default"
"""AWS has this one in every account; it needs no record."""

OF_TASKS: Final[Mapping[Happening, Happening]] = {
    happenings.CREATED: happenings.TASK_CREATED,
    happenings.MODIFIED: happenings.TASK_MODIFIED,
}
"""What is said of tasks in other words."""

FOLDED: Final = "folded"
"""Field of a record with its id in lower case: what databases are told of a replication has no
capitals, so two ids that differ in them alone would be one there."""


async def create(writing: Writing, call: Call, config: Config, life: Life) -> Kept:
    """Store a new replication. Raises faults."""
    face = config.face
    await check_free(writing, call, face, config.name)
    await check_room(writing, QUOTA[face])
    end = await _new_id(writing, call)
    replication = Replication(config=config, life=life)
    fields = {**config.fields, FOLDED: end.lower()}
    record = Record(KIND, end, config.record_name, encode(replication), fields)
    kept = Kept(await writing.insert(record), replication)
    given = tags(call.request.get("Tags", ()))
    if given:
        await writing.tag(KIND, end, given)
    await say(writing, happenings.CREATED, config)
    return kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a modification says; None and '' say nothing."""

    name: str = ""
    source_arn: str = ""
    target_arn: str = ""
    type: str = ""
    mappings: str = ""
    settings: str = ""
    supplemental: str | None = None
    compute: Mapping[str, Any] = field(default_factory=dict[str, Any])
    positions: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Members that say where the next start begins and ends, of a task."""


async def modify(call: Call, face: Face, change: Change) -> Kept:
    """Store what changes of it; nothing may run. Raises faults."""
    async with call.services.store.write() as writing:
        kept = await by_arn(writing, call, face)
        config, life = await _amended(writing, call, kept, change)
        members = _changed(face, kept, config, life)
        units = compute.changed(kept.config.compute, config.compute)
        provisioned = kept.life.provisioned
        with refusals():
            lifecycle.check_modify(
                kept.life.status, provisioned.state if provisioned else None, members, units
            )
            if kept.life.ran:
                check_continues(kept.config, config)
        if not members and not units:
            return kept
        if config.name != kept.config.name:
            await check_free(writing, call, face, config.name, id=kept.id)
        config = msgspec.structs.replace(config, updated=call.services.clock.wall())
        kept = await kept.put(writing, config=config, life=life)
        detail = ", ".join(sorted((members - {"ComputeConfig"}) | units))
        await say(writing, happenings.MODIFIED, config, f"({detail})")
    call.services.fleet.wake(kept.id)
    return kept


async def _amended(reading: Reading, call: Call, kept: Kept, change: Change) -> tuple[Config, Life]:
    """The configuration and the life with what changes. Raises faults."""
    home, before = call.services.home, kept.config
    ends = await sides(
        reading,
        home,
        change.source_arn or home.arn(Kind.ENDPOINT, before.source),
        change.target_arn or home.arn(Kind.ENDPOINT, before.target),
    )
    kind = change.type or before.type
    sizes = compute.modified(before.compute, change.compute)
    await check_subnet_group(reading, sizes.subnet_group)
    # Settings hold under the type: another one may not take those that stay.
    settings = documents.settings_modified(before.settings, change.settings or "{}", kind)
    mappings = before.mappings
    if change.mappings or ends.target.id != before.target:
        mappings = documents.mappings(change.mappings or mappings, ends.target.engine.name)
    config = msgspec.structs.replace(
        before,
        name=change.name or before.name,
        source=ends.source.id,
        target=ends.target.id,
        type=kind,
        compute=sizes,
        mappings=mappings,
        settings=settings,
        supplemental=before.supplemental if change.supplemental is None else change.supplemental,
    )
    wished = positions(change.positions, ends.source.engine.name, kind, kept.life)
    return config, msgspec.structs.replace(kept.life, wish=wished)


def _changed(face: Face, kept: Kept, config: Config, life: Life) -> frozenset[str]:
    """Members whose values differ, by the names that they have on this face."""
    return frozenset(
        member
        for member, name in MEMBERS[face].items()
        if getattr(kept.config, name) != getattr(config, name)
    ) | ({"CdcStopPosition"} if life != kept.life else frozenset())


async def check_subnet_group(reading: Reading, name: str) -> None:
    """Raises ResourceNotFoundFault for a group that is not there."""
    if name in ("", DEFAULT_SUBNET_GROUP):
        return
    if await reading.named(SUBNET_GROUP, name.lower()) is None:
        raise ResourceNotFoundFault(f"Replication subnet group {name} not found.")


@contextlib.asynccontextmanager
async def _acted_on(call: Call, face: Face) -> AsyncIterator[tuple[Writing, Kept]]:
    """A transaction on a replication, of which the fleet is told. Raises faults."""
    fleet, about = call.services.fleet, ""
    try:
        async with call.services.store.write() as writing:
            kept = await by_arn(writing, call, face)
            about = kept.id
            yield writing, kept
    except (asyncio.CancelledError, StoreOutcomeUnknownError):
        # It may be stored all the same, and nobody else would look at it.
        if about:
            asyncio.get_running_loop().call_later(SETTLED_SECONDS, fleet.wake, about)
        raise
    fleet.wake(about)


async def start(call: Call, face: Face, start_type: str) -> Kept:
    """Let it run from now on; it is `initializing` when this returns. Raises faults."""
    services = call.services
    async with _acted_on(call, face) as (writing, found):
        source = await source_engine(writing, found.config)
        with refusals():
            wished = wish(
                call.request, start_type, found.replication, source, at=services.clock.wall()
            )
        life = msgspec.structs.replace(
            found.life,
            status=Status.INITIALIZING,
            wanted=True,
            wish=wished,
            stop_reason=None,
            failures=(),
        )
        kept = await found.put(writing, life=life)
        await _say_step(writing, kept, f"({wished.type})")
        other = otherwise(kept.config)
        if other:
            await say(writing, happenings.OTHERWISE, kept.config, f"{'; '.join(other)}.")
    return kept


async def stop(call: Call, face: Face) -> Kept:
    """Let it run no longer; it is `stopping` when this returns. Raises faults."""
    async with _acted_on(call, face) as (writing, found):
        with refusals():
            lifecycle.check_stop(found.life.status)
        life = msgspec.structs.replace(found.life, status=Status.STOPPING, wanted=False)
        kept = await found.put(writing, life=life)
        await _say_step(writing, kept)
    return kept


async def delete(call: Call, face: Face) -> Kept:
    """Let it go: it is `deleting` when this returns, and soon not there. Raises faults."""
    async with _acted_on(call, face) as (writing, found):
        with refusals():
            lifecycle.check_delete(found.life.status)
        life = msgspec.structs.replace(found.life, status=Status.DELETING, wanted=False)
        kept = await found.put(writing, life=life)
        await _say_step(writing, kept)
    return kept


def check_at_rest(kept: Kept, doing: str) -> None:
    """Raises InvalidResourceStateFault while it runs, or is about to."""
    if kept.life.status not in lifecycle.AT_REST:
        raise InvalidResourceStateFault(
            f"The {WORDS[kept.config.face].what.lower()} {kept.config.name} is"
            f" {kept.life.status}: stop it before it is {doing}."
        )


async def say(writing: Writing, happening: Happening, config: Config, detail: str = "") -> None:
    """Add an event about a replication, in the words that its face has for it."""
    if config.face is Face.TASK:
        happening = OF_TASKS.get(happening, happening)
    await writing.add_event(happening.event(WORDS[config.face].event_source, config.name, detail))


async def _say_step(writing: Writing, kept: Kept, detail: str = "") -> None:
    """The status that it has come to; AWS tells of it for serverless replications alone."""
    if kept.config.face is Face.CONFIG:
        await say(writing, happenings.STEPS[kept.life.status], kept.config, detail)


async def _new_id(reading: Reading, call: Call) -> str:
    """The end of its ARN: drawn, or the user's. Raises faults."""
    wanted = call.request.get("ResourceIdentifier", "")
    if not wanted:
        return draw(call.services.random)
    end, folded = resource_identifier(wanted), wanted.lower()
    if folded in RESERVED_IDS or folded.replace("-", "_").endswith(RESERVED_SUFFIX):
        raise InvalidParameterValueException(
            f"The parameter ResourceIdentifier is not valid: {end} has a meaning of its own here;"
            " choose another name."
        )
    others = await reading.find(KIND, {FOLDED: (folded,)}, limit=1)
    if others:
        other = Kept.of(others[0])
        words = WORDS[other.config.face]
        raise ResourceAlreadyExistsFault(
            f"ResourceIdentifier {end} is in use, by the {words.what.lower()}"
            f" {other.config.name}; names are unique whatever their case.",
            resource_arn=call.services.home.arn(words.kind, other.id),
        )
    return end
