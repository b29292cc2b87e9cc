"""What the law goes on with after a restart, out of the decisions that were stored. (pure)

The size that was decided last, and the bar: growth that was seen not to help. Times of a process'
own clock mean nothing to the next one, so a bar is stored with the seconds that are left of it, and
the wall clock says how many have passed since. A wall clock cannot be relied on: one that went back
says nothing, and then there is no bar. All that costs is one try.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from engine.capacity.history import Record, last_units
from engine.capacity.law import BAR_DOUBLINGS_MAX, Bar
from engine.capacity.sample import Cause
from engine.config.capacity import UNITS, CapacityConfig

BACK_SECONDS_MAX: Final = 60.0
"""How far a wall clock may have gone back and still be believed: it is set right by seconds."""

AGE_SECONDS_MAX: Final = 86400.0
"""Age from which a stored bar says nothing: a target has another day by then."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """`units`: the size that was decided last; None: nothing was decided before."""

    units: int | None = None
    bar: Bar | None = None


def remembered(
    config: CapacityConfig, records: Sequence[Record], at: float, wall: float
) -> Remembered:
    """What was decided before, for a process that begins at a time of its own clock, and at one of
    the wall clock. Records are taken for what they are: anything may stand in them."""
    bars = [_bar(config, record, at, wall) for record in records if "bar" in record]
    return Remembered(last_units(records), bars[-1] if bars else None)


def stored_bar(bar: Bar | None, at: float) -> Mapping[str, object] | None:
    """The part of a record that tells of a bar, at a time of the process' own clock."""
    if bar is None or bar.until <= at:
        return None
    return {
        "units": bar.units,
        "seconds_left": bar.until - at,
        "rate": bar.rate,
        "cause": None if bar.cause is None else bar.cause.value,
        "doublings": bar.doublings,
    }


def _bar(config: CapacityConfig, record: Record, at: float, wall: float) -> Bar | None:
    text: Any = record["bar"]
    try:
        passed = wall - float(record["at"])
        bar = Bar(
            units=text["units"],
            until=at + float(text["seconds_left"]) - max(0.0, passed),
            rate=float(text["rate"]),
            cause=None if text["cause"] is None else Cause(text["cause"]),
            doublings=int(text["doublings"]),
        )
    except (TypeError, ValueError, KeyError):
        return None
    longest = config.bar_seconds * 2**BAR_DOUBLINGS_MAX
    believed = (
        -BACK_SECONDS_MAX <= passed <= AGE_SECONDS_MAX
        and bar.units in UNITS
        and at < bar.until <= at + longest
        and 0 <= bar.doublings <= BAR_DOUBLINGS_MAX
        and math.isfinite(bar.rate)
    )
    return bar if believed else None
