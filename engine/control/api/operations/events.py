"""Events: what happened to resources, for as long as `event_retention` keeps them."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from engine.control.api.call import Call, operation
from engine.control.api.faults import (
    InvalidParameterCombinationException,
    InvalidParameterValueException,
)
from engine.control.api.filters import filters
from engine.control.api.keys import Access
from engine.control.happenings import CATEGORIES, Category, SourceType
from engine.control.store.records import Event, EventFilter

DURATION_MINUTES_MAX: Final = 10 * 366 * 24 * 60
"""As long as events can be kept."""


@operation("DescribeEvents", access=Access.READ)
async def describe_events(call: Call) -> Mapping[str, object]:
    """Events in the order in which they happened: all that are kept, or those that are asked for.

    AWS does not say which are shown to whoever names no time; nothing is hidden here.
    """
    page = call.services.pages.asked(call.operation, call.request)
    only = _only(call)
    if only is None:
        return {"Events": []}
    async with call.services.store.read() as reading:
        after = int(page.after or 0)
        found = await reading.events(only, after=after, limit=page.limit + 1)
    shown, marker = call.services.pages.cut(page, found, lambda event: str(event.number))
    return {"Marker": marker, "Events": [_event(event) for event in shown]}


@operation("DescribeEventCategories", access=Access.READ)
async def describe_event_categories(call: Call) -> Mapping[str, object]:
    """Which categories the events of each kind of source may have."""
    filters(call.operation, call.request)
    asked = call.request.get("SourceType")
    return {
        "EventCategoryGroupList": [
            {"SourceType": source, "EventCategories": sorted(found)}
            for source, found in CATEGORIES.items()
            if asked is None or source == source_type(asked)
        ]
    }


def source_type(text: str) -> SourceType:
    """A kind of source by AWS's name, in any case. Raises InvalidParameterValueException."""
    try:
        return SourceType(text.lower())
    except ValueError:
        raise InvalidParameterValueException(
            f"Invalid value for SourceType. Must be one of: {', '.join(sorted(SourceType))}."
        ) from None


def categories(given: Sequence[str], source: SourceType | None) -> tuple[Category, ...]:
    """Categories by AWS's names, in any case, each once. Raises InvalidParameterValueException for
    one that events of this kind of source (None: of any) never have."""
    known = {
        str(category): category
        for kind, found in CATEGORIES.items()
        if source in (None, kind)
        for category in found
    }
    unknown = [name for name in given if name.lower() not in known]
    if unknown:
        raise InvalidParameterValueException(
            f"Invalid value for EventCategories. Must be of: {', '.join(sorted(known))}."
        )
    return tuple(dict.fromkeys(known[name.lower()] for name in given))


def _only(call: Call) -> EventFilter | None:
    """What a request asks for; None for what no event can be."""
    request = call.request
    source = source_type(request["SourceType"]) if "SourceType" in request else None
    identifiers = {request["SourceIdentifier"]} if request.get("SourceIdentifier") else None
    instances = filters(call.operation, request).get("replication-instance-id")
    if instances is not None:
        if len(instances) > 1:
            raise InvalidParameterValueException(
                "The filter replication-instance-id must have one value."
            )
        if source not in (None, SourceType.INSTANCE) or identifiers not in (None, set(instances)):
            return None
        source, identifiers = SourceType.INSTANCE, set(instances)
    since, until = _times(call)
    return EventFilter(
        source_type=source or "",
        source_id=min(identifiers or {""}),
        categories=categories(request.get("EventCategories", ()), source),
        since=since,
        until=until,
    )


def _times(call: Call) -> tuple[float | None, float | None]:
    """From when, and until when: seconds since 1970."""
    request = call.request
    since, until, minutes = (request.get(name) for name in ("StartTime", "EndTime", "Duration"))
    if minutes is not None:
        if not 1 <= minutes <= DURATION_MINUTES_MAX:
            raise InvalidParameterValueException(
                f"Invalid value for Duration. Must be from 1 to {DURATION_MINUTES_MAX} minutes."
            )
        length = timedelta(minutes=minutes).total_seconds()
        if since is not None and until is not None:
            raise InvalidParameterCombinationException(
                "StartTime, EndTime and Duration cannot be given together: two of them are enough."
            )
        if since is not None:
            return since.timestamp(), since.timestamp() + length
        end = call.services.clock.wall() if until is None else until.timestamp()
        return end - length, None if until is None else end
    if since is not None and until is not None and since > until:
        raise InvalidParameterCombinationException("StartTime must not be after EndTime.")
    return (
        None if since is None else since.timestamp(),
        None if until is None else until.timestamp(),
    )


def _event(event: Event) -> Mapping[str, Any]:
    return {
        "SourceIdentifier": event.source_id,
        "SourceType": event.source_type,
        "Message": event.message,
        "EventCategories": list(event.categories),
        "Date": event.at,
    }
