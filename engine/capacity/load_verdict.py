"""What limits a load: the rule, as a function of what was measured, and what helps (pure).

Tables' indexes and keys are made, and nothing is copied: `target`. Our core has no time left:
`cpu`. Otherwise a copier waits in turn for the one side and for the other. While there are fewer of
them than keep both sides at work, and a chunk waits for one more, that is what is to be changed:
`copiers`. With enough of them it is the side that they wait for most: `source` or `target`.
"""

from dataclasses import dataclass
from typing import Final

from engine.capacity.remedy import Finding
from engine.capacity.sample import Cause
from engine.capacity.verdict import CORE_SHARE
from engine.config.capacity import COPIERS_PER_UNIT

AT_WORK: Final = 0.5
"""Copiers at a chunk, or tables being finished, on average, from which there is something to say.
"""

MOST: Final = 0.5
"""Part of the copiers' time in which they wait for the source, from which it is most of it."""

ENOUGH: Final = COPIERS_PER_UNIT
"""Copiers from which both sides are at work all the time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadMeasured:
    """The last seconds of a load. Numbers of copiers are averages over that time."""

    core: float | None = None
    """See `Measured.core`."""
    decode: float = 0.0
    """Part of the time in which we made rows of what the source had sent."""
    copying: float = 0.0
    source: float = 0.0
    """Those of them that waited for the source's rows."""
    finishing: float = 0.0
    """Tables whose indexes and keys were made."""
    at_work: int = 0
    """Copiers at a chunk now: some may have joined just before."""
    has_more: bool = False
    """A chunk waits for one more copier."""

    @property
    def only_finishes(self) -> bool:
        """Whether indexes and keys are made, and nothing is copied."""
        return self.copying < AT_WORK <= self.finishing


def judge_load(now: LoadMeasured) -> Cause | None:
    """What limits the load; None where what was measured says nothing about that."""
    if now.copying < AT_WORK:
        return Cause.TARGET if now.only_finishes else None
    if now.core is not None and now.core >= CORE_SHARE:
        return Cause.CPU
    if now.has_more and max(now.copying, now.at_work) < ENOUGH - AT_WORK:
        return Cause.COPIERS
    return Cause.SOURCE if now.source >= MOST * now.copying else Cause.TARGET


def explain_load(cause: Cause, now: LoadMeasured) -> Finding:
    """A cause in words."""
    if cause is Cause.COPIERS:
        return Finding(
            f"{now.copying:.0f} of the copiers that there might be are at work, and chunks wait",
            f"set [load] parallel_tables to {ENOUGH} or more, or to 0 so that it follows capacity;"
            " where the target refuses sessions, raise its limit of connections",
        )
    if cause is Cause.CPU:
        return Finding(
            "our core is the limit: making the source's rows ready for the target takes"
            f" {now.decode:.0%} of its time, passing them on the rest",
            "larger units do not help, a process has one core: compile the loops per row (`make"
            " accelerate`), leave out tables or columns that are not needed ([mapping]), or split"
            " the tables over several replications",
        )
    if cause is Cause.SOURCE:
        return Finding(
            f"copiers wait for the source's rows {_part(now)} of their time",
            "look for what slows its reading: its disk, a table without statistics or with much"
            " dead space, the network between; more copiers read more tables at once ([load]"
            " parallel_tables, loaders_per_table)",
        )
    if now.only_finishes:
        return Finding(
            "the target makes indexes and keys of loaded tables",
            "give it memory and workers for that (PostgreSQL: maintenance_work_mem,"
            " max_parallel_maintenance_workers), and look whether other sessions hold locks on"
            " those tables",
        )
    return Finding(
        f"copiers wait for the target to take rows {_part(now)} of their time",
        "look at its cores and its disk, and at what its tables have already: indexes, keys and"
        " triggers are kept while rows arrive, so make them after the load where that is possible"
        ' ([load] prepare = "drop-and-create" leaves them to the end)',
    )


def _part(now: LoadMeasured) -> str:
    waiting = now.source if now.source >= MOST * now.copying else now.copying - now.source
    return f"{waiting / now.copying:.0%}"
