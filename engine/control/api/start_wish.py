"""What a start is asked for, by its members: `StartReplication`, `StartReplicationTask`. (pure)

What we cannot honour is refused with why, at once: a start that begins or ends elsewhere than it
was told would be worse than none.
"""

from collections.abc import Callable, Mapping
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
from engine.control.translate.positions import start_position, stop_position

POSITIONS: Final = ("CdcStartTime", "CdcStartPosition", "CdcStopPosition")
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
            has_start_time="CdcStartTime" in request,
            has_start_position=bool(request.get("CdcStartPosition")),
        ),
        ran=life.ran,
    )
    start, stop = _positions(request, source, replication.config.type)
    kept = life.wish if replication.config.face is Face.TASK else None
    if kept is not None:
        # A task has positions of its own: those of its creation, or of its newest start.
        changes_only = replication.config.type == "cdc"
        start = start or (kept.start_position if changes_only and not life.ran else "")
        stop = stop or (kept.stop_position if replication.config.type != "full-load" else "")
    return Wish(type=kind, begin=begin, start_position=start, stop_position=stop, at=at)


def positions(
    request: Mapping[str, Any], source: str, replication_type: str, life: Life
) -> Wish | None:
    """What the creation or a modification of a task says of positions, to be kept for its next
    start; what it does not say stays. Raises faults."""
    start, stop = _positions(request, source, replication_type)
    if start and replication_type != "cdc":
        raise InvalidParameterCombinationException(
            "CdcStartPosition needs MigrationType cdc: with a full load the changes begin at its"
            " snapshot."
        )
    if start and life.ran:
        raise InvalidParameterCombinationException(
            "CdcStartPosition is for the first start: the stored position would be lost; delete the"
            " task and create it again to begin elsewhere."
        )
    if not any(member in request for member in POSITIONS):
        return life.wish
    before = life.wish or Wish(type=StartType.START, begin=lifecycle.Begin.FRESH)
    return msgspec.structs.replace(
        before,
        start_position=start if "CdcStartPosition" in request else before.start_position,
        stop_position=stop if "CdcStopPosition" in request else before.stop_position,
    )


def _start_type(text: str) -> StartType:
    for kind in StartType:
        if kind == text.lower():
            return kind
    raise InvalidParameterValueException(
        f"Invalid value for StartReplicationType. Must be one of: {', '.join(StartType)}."
    )


def _positions(request: Mapping[str, Any], source: str, replication_type: str) -> tuple[str, str]:
    """The texts of start and stop as they were given: they are shown again."""
    if "CdcStartTime" in request:
        raise InvalidParameterValueException(
            "CdcStartTime is not supported: a log is entered at a position here, not at a time."
            " Give CdcStartPosition, or start without either to begin now."
        )
    start: str = request.get("CdcStartPosition", "")
    if start:
        _check(start_position, start, source, "CdcStartPosition")
    return start, _stop_position(request, source, replication_type)


def _stop_position(request: Mapping[str, Any], source: str, replication_type: str) -> str:
    text: str = request.get("CdcStopPosition", "")
    if not text:
        return ""
    if replication_type == "full-load":
        raise InvalidParameterCombinationException(
            "CdcStopPosition is for changes, and a full-load replication has none."
        )
    _check(stop_position, text, source, "CdcStopPosition")
    return text


def _check(read: Callable[[str, str], object], text: str, source: str, parameter: str) -> None:
    try:
        read(text, ENGINES[source].ours)
    except ValueError as error:
        raise InvalidParameterValueException(
            f"The parameter {parameter} is not valid for a {source} source: {error}."
        ) from None
