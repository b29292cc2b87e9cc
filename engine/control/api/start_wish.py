"""What a start is asked for, by its members: `StartReplication`, `StartReplicationTask`. (pure)

What we cannot honour is refused with why, at once: a start that begins or ends elsewhere than it
was told would be worse than none.
"""

from collections.abc import Callable, Mapping
from typing import Any

from engine.control import lifecycle
from engine.control.api.faults import (
    InvalidParameterCombinationException,
    InvalidParameterValueException,
)
from engine.control.lifecycle import StartType
from engine.control.resources.replication import Replication, Wish
from engine.control.translate.names import ENGINES
from engine.control.translate.positions import start_position, stop_position


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
        request: its members; `CdcStartTime`, `CdcStartPosition` and `CdcStopPosition` are read.
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
    return Wish(
        type=kind,
        begin=begin,
        start_position=_start_position(request, source),
        stop_position=_stop_position(request, source, replication.config.type),
        at=at,
    )


def positions(request: Mapping[str, Any], source: str, replication_type: str) -> Wish | None:
    """What `CreateReplicationTask` and `ModifyReplicationTask` say of positions, to be kept for the
    first start; None where they say nothing. Raises faults."""
    given = {"CdcStartTime", "CdcStartPosition", "CdcStopPosition"} & request.keys()
    if not any(request[name] for name in given):
        return None
    started = request.get("CdcStartTime") or request.get("CdcStartPosition")
    if started and replication_type != "cdc":
        raise InvalidParameterCombinationException(
            "CdcStartTime and CdcStartPosition need MigrationType cdc: with a full load the changes"
            " begin at its snapshot"
        )
    return Wish(
        type=StartType.START,
        begin=lifecycle.Begin.FRESH,
        start_position=_start_position(request, source),
        stop_position=_stop_position(request, source, replication_type),
    )


def _start_type(text: str) -> StartType:
    for kind in StartType:
        if kind == text.lower():
            return kind
    raise InvalidParameterValueException(
        f"Invalid value for StartReplicationType. Must be one of: {', '.join(StartType)}."
    )


def _start_position(request: Mapping[str, Any], source: str) -> str:
    """The text as it was given: it is shown again."""
    if "CdcStartTime" in request:
        raise InvalidParameterValueException(
            "CdcStartTime is not supported: a log is entered at a position here, not at a time."
            " Give CdcStartPosition, or start without either to begin now."
        )
    text: str = request.get("CdcStartPosition", "")
    if text:
        _check(start_position, text, source, "CdcStartPosition")
    return text


def _stop_position(request: Mapping[str, Any], source: str, replication_type: str) -> str:
    text: str = request.get("CdcStopPosition", "")
    if not text:
        return ""
    if replication_type == "full-load":
        raise InvalidParameterCombinationException(
            "CdcStopPosition is for changes, and a full-load replication has none"
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
