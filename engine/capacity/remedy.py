"""What to do about what limits the flow, in words (pure)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from engine.capacity.sample import Cause
from engine.capacity.verdict import SERVED_SHARE, Measured
from engine.model.activity import Activity
from engine.model.relation import TableName

NAMED_MAX: Final = 3
"""Tables named in one line."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`detail`: what was found. `remedy`: what would help; empty where nothing is wrong."""

    detail: str
    remedy: str = ""


def explain(
    cause: Cause, now: Measured, activity: Activity | None, unindexed: Sequence[TableName]
) -> Finding:
    """A cause in words. `activity` is the newest; `unindexed`: tables in which rows are changed
    that no index finds by their key."""
    if cause is Cause.TARGET:
        return Finding("the target takes no more", _suspects(now, activity, unindexed))
    if cause is Cause.APPLIERS:
        return Finding(
            f"all {now.appliers} appliers are at work, lanes wait for one, and the target would"
            f" take more{_trip(now)}",
            "the number of appliers grows by itself up to [capacity] max: raise that, or"
            " [capacity] appliers_per_unit; a shorter way to the target helps as much",
        )
    if cause is Cause.CPU:
        return Finding(f"our core is the limit, most of it for {_work(now)}", _CPU_REMEDY)
    if cause is Cause.SOURCE:
        return Finding(
            f"the source sends changes {now.source_age:.0f} s after their commit, and we wait for"
            " them",
            "look for what slows its sending: the network between, its log's disk, a server"
            " without a free core (PostgreSQL: its walsender decodes on one)",
        )
    return Finding("nothing waits")


_CPU_REMEDY: Final = (
    "larger units do not help, a process has one core: leave out tables or columns that are not"
    " needed ([mapping]), compile the loops per row (`make accelerate`), or split the tables over"
    " several replications"
)


def _work(now: Measured) -> str:
    """What takes most of our core: what neither decodes nor routes makes the target's form."""
    core = now.core or 0.0
    shares = {
        "decoding the source's log": now.decode,
        "routing": now.route,
        "making the target's form": max(0.0, core - now.decode - now.route),
    }
    return max(shares, key=lambda name: shares[name])


def _trip(now: Measured) -> str:
    return "" if now.trip_seconds is None else f" (a round trip takes {_ms(now.trip_seconds)})"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


def _suspects(now: Measured, activity: Activity | None, unindexed: Sequence[TableName]) -> str:
    """The three of AWS's guide for a high CDCLatencyTarget, what was found to be true first."""
    served = now.served
    away = served is not None and served < SERVED_SHARE
    suspects = [
        (bool(unindexed), _index(unindexed), "a missing key or index"),
        (served is not None and not away, _bottleneck(activity), "a bottleneck on the target"),
        (away, f"the network: a batch is on its way most of the time{_trip(now)}", "the network"),
    ]
    found = [text for is_true, text, _ in suspects if is_true]
    others = [name for is_true, _, name in suspects if not is_true]
    return "; ".join([*found, f"not seen: {', '.join(others)}"] if others else found)


def _index(tables: Sequence[TableName]) -> str:
    names = ", ".join(map(str, tables[:NAMED_MAX]))
    more = f" and {len(tables) - NAMED_MAX} more" if len(tables) > NAMED_MAX else ""
    return (
        f"no primary key or index on the target for the key of {names}{more}: each change reads the"
        " whole table, so make one on the key's columns"
    )


def _bottleneck(activity: Activity | None) -> str:
    what = "a bottleneck on the target: its server is at work for our sessions all the time"
    if activity is None or not activity.working:
        return what
    waits = {
        "they wait for locks that other sessions hold": activity.locked,
        "they wait for its disk": activity.disk,
        "a trigger or function has them sleep": activity.sleeping,
    }
    most = max(waits, key=lambda wait: waits[wait])
    if waits[most] * 2 > activity.working:
        return f"{what}, and {most}"
    return f"{what}; look at its cores, and at triggers, foreign keys and many indexes of a table"
