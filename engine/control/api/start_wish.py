"""What a start is asked for, by its members: `StartReplication`, `StartReplicationTask`. (pure)

What we cannot honour is refused with why, at once: a start that begins or ends elsewhere than it
was told would be worse than none.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import msgspec

from engine.control import lifecycle
from engine.control.api.faults import (
    InvalidParameterCombinationException,
    InvalidParameterValueException,
)
from engine.control.lifecycle import StartType
from engine.control.resources.replication import Face, Life, Replication, Wish
from engine.control.translate.names import ENGINES
from engine.control.translate.positions import start, stop_position

START_TIME: Final = "CdcStartTime"
START_POSITION: Final = "CdcStartPosition"
STOP_POSITION: Final = "CdcStopPosition"

POSITIONS: Final = (START_TIME, START_POSITION, STOP_POSITION)
"""Members that say where a start begins and ends."""


def wish(
    request: Mapping[str, Any],
    start_type: str,
    replication: Replication,
    source: str,
    *,
    at: float,
) -> Wish:
    """The start that a request asks for.

    Args:
        request: its members, of which `POSITIONS` are read.
        start_type: its `StartReplicationType`, or the task's.
        replication: as it is now.
        source: AWS's name of the source's engine.
        at: the wall clock's time.

    Raises:
        InvalidParameterValueException: a value that we do not take.
        lifecycle.RefusedError: not now, or not together.
    """
    kind, life = _start_type(start_type), replication.life
    begin = lifecycle.begin(
        life.status,
        lifecycle.Wish(
            type=kind,
            replication_type=replication.config.type,
            has_start_time=START_TIME in request,
            has_start_position=bool(request.get(START_POSITION)),
        ),
        ran=life.ran,
    )
    asked = _positions(request, source, replication.config.type)
    kept = life.wish if replication.config.face is Face.TASK else None
    if kept is not None:
        # A task has positions of its own: those of its creation, or of its newest start.
        changes_only = replication.config.type == "cdc"
        if changes_only and not life.ran and not asked.begins:
            asked = replace(asked, position=kept.start_position, time=kept.start_time)
        if not asked.stop and replication.config.type != "full-load":
            asked = replace(asked, stop=kept.stop_position)
    return Wish(
        type=kind,
        begin=begin,
        start_time=asked.time,
        start_position=asked.position,
        stop_position=asked.stop,
        at=at,
    )


def positions(
    request: Mapping[str, Any], source: str, replication_type: str, life: Life
) -> Wish | None:
    """What the creation or a modification of a task says of positions, to be kept for its next
    start; what it does not say stays. Raises faults."""
    asked = _positions(request, source, replication_type)
    if asked.begins and replication_type != "cdc":
        raise InvalidParameterCombinationException(
            f"{asked.begins} needs MigrationType cdc: with a full load the changes begin at its"
            " snapshot."
        )
    if asked.begins and life.ran:
        raise InvalidParameterCombinationException(
            f"{asked.begins} is for the first start: the stored position would be lost; delete the"
            " task and create it again to begin elsewhere."
        )
    if not any(member in request for member in POSITIONS):
        return life.wish
    wished = life.wish or Wish(type=StartType.START, begin=lifecycle.Begin.FRESH)
    if START_TIME in request or START_POSITION in request:
        # The one takes the place of the other.
        wished = msgspec.structs.replace(
            wished, start_time=asked.time, start_position=asked.position
        )
    if STOP_POSITION in request:
        wished = msgspec.structs.replace(wished, stop_position=asked.stop)
    return wished


def _start_type(text: str) -> StartType:
    for kind in StartType:
        if kind == text.lower():
            return kind
    raise InvalidParameterValueException(
        f"Invalid value for StartReplicationType. Must be one of: {', '.join(StartType)}."
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    """Texts of start and stop as they were given, as they are shown again, and the start time in
    seconds since 1970."""

    time: float | None = None
    position: str = ""
    stop: str = ""

    @property
    def begins(self) -> str:
        """The member that says where it begins, if one does."""
        if self.time is not None:
            return START_TIME
        return START_POSITION if self.position else ""


def _positions(request: Mapping[str, Any], source: str, replication_type: str) -> _Asked:
    time: datetime | None = request.get(START_TIME)
    position: str = request.get(START_POSITION, "")
    if time is not None and position:
        raise InvalidParameterCombinationException(
            f"{START_TIME} and {START_POSITION} exclude each other: give one of them."
        )
    if position:
        _check(start, position, source, START_POSITION)
    seconds = None if time is None else time.timestamp()
    return _Asked(seconds, position, _stop_position(request, source, replication_type))


def _stop_position(request: Mapping[str, Any], source: str, replication_type: str) -> str:
    text: str = request.get(STOP_POSITION, "")
    if not text:
        return ""
    if replication_type == "full-load":
        raise InvalidParameterCombinationException(
            f"{STOP_POSITION} is for changes, and a full-load replication has none."
        )
    _check(stop_position, text, source, STOP_POSITION)
    return text


def _check(read: Callable[[str, str], object], text: str, source: str, parameter: str) -> None:
    try:
        read(text, ENGINES[source].ours)
    except ValueError as error:
        raise InvalidParameterValueException(
            f"The parameter {parameter} is not valid for a {source} source: {error}."
        ) from None
