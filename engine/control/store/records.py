"""What the store keeps: records, small facts beside them, events, and who acts. (pure)

Documents are JSON (objects with string keys; numbers within 64 bits or floats that are finite).
What is secret in them is sealed before it comes here.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

Document: TypeAlias = Mapping[str, Any]

Where: TypeAlias = Mapping[str, Collection[str]]
"""Which records: for a field, "id" or "name", any of these values; all of the keys must hold."""


@dataclass(frozen=True, slots=True)
class Record:
    """One resource. `id` (last part of the ARN) and `name` (the user's identifier; the caller has
    lower-cased it) are each unique within `kind`, and neither is empty."""

    kind: str
    id: str
    name: str
    document: Document
    fields: Mapping[str, str] = field(default_factory=dict)
    """What it can be found by beside id and name."""
    revision: int = 0
    """Set by the store: 1 at first, one more with each update, which compares it."""
    created: float = 0.0
    updated: float = 0.0
    """Set by the store from its own clock: seconds since 1970, UTC."""

    def __post_init__(self) -> None:
        if not (self.kind and self.id and self.name):
            raise ValueError("a record has a kind, an id and a name")


@dataclass(frozen=True, slots=True)
class Fact:
    """A small document beside a record: statistics of one table, one hour of capacity."""

    key: str
    document: Document


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. `number` (unique, growing) and `at` are set by the store."""

    source_type: str
    source_id: str
    message: str
    categories: tuple[str, ...] = ()
    document: Document = field(default_factory=dict)
    """What else is to be kept of it."""
    number: int = 0
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events; what is empty or None does not restrict. `since` counts, `until` does not."""

    source_type: str = ""
    source_id: str = ""
    categories: Collection[str] = ()
    since: float | None = None
    until: float | None = None


EVERY_EVENT: Final = EventFilter()


@dataclass(frozen=True, slots=True)
class LeaseRow:
    """Which daemon acts on this store. `number` grows with every change of holder and never
    shrinks; the lease runs out `seconds` after `renewed` (the store's clock)."""

    holder: str = ""
    number: int = 0
    renewed: float = 0.0
    seconds: float = 0.0

    def free(self, now: float) -> bool:
        """Whether anybody may take it at the store's time `now`."""
        return not self.holder or now >= self.renewed + self.seconds
