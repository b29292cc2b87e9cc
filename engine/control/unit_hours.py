"""Capacity that a replication was provisioned with over time: what it costs. (pure)

A fact a calendar month (UTC), beside the replication's record.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from engine.control.resources.document import Stored

PREFIX: Final = "capacity/"

HOUR_SECONDS: Final = 3_600.0


class UnitSeconds(Stored, frozen=True, kw_only=True):
    """Capacity units times seconds of one month."""

    unit_seconds: float = 0.0


def key(at: float) -> str:
    """The key of the month that holds a moment (seconds since 1970)."""
    return f"{PREFIX}{datetime.fromtimestamp(at, UTC):%Y-%m}"


class UnitHours:
    """Adds up what is provisioned. `stored`: what is in the store by key."""

    def __init__(self, stored: Mapping[str, UnitSeconds]) -> None:
        self._seconds = {name: fact.unit_seconds for name, fact in stored.items()}
        self._changed = set[str]()

    def add(self, units: int, seconds: float, at: float) -> None:
        """That many units were provisioned for so long, until `at`."""
        if units and seconds > 0:
            month = key(at)
            self._seconds[month] = self._seconds.get(month, 0.0) + units * seconds
            self._changed.add(month)

    def of_month(self, at: float) -> float:
        """Unit hours of the month that holds a moment."""
        return self._seconds.get(key(at), 0.0) / HOUR_SECONDS

    @property
    def total(self) -> float:
        """Unit seconds of all months."""
        return sum(self._seconds.values())

    def take(self) -> dict[str, UnitSeconds]:
        """What has changed since the last call, by key."""
        months, self._changed = sorted(self._changed), set[str]()
        return {month: UnitSeconds(unit_seconds=self._seconds[month]) for month in months}
