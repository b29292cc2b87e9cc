"""`[intervals]`: how often a replication looks at what no stream tells of. (pure)"""

from dataclasses import dataclass
from typing import ClassVar, Final

from engine.config.kind import Duration
from engine.config.section import Section, key

REQUESTS_SECONDS: Final = 2.0
"""A person who asked should see it begin."""

NEW_TABLES_SECONDS: Final = 20.0
"""They are to be there within a minute, load included."""

FOREIGN_KEYS_SECONDS: Final = 20.0
"""Until then a row that comes before its parent stops its table, which is tried again."""

PARTITIONS_SECONDS: Final = 10.0
"""Two questions to the source's catalog, and the most by which the log that it may let go of lags
behind."""

FRONTIER_SECONDS: Final = 1.0
"""A restart reads again at most about this much of the log; one small target transaction a second
is not felt."""

FRONTIER_IDLE_SECONDS: Final = 10.0
"""Log of other databases is released within this time."""

SECONDS_MAX: Final = 600.0


@dataclass(frozen=True, kw_only=True)
class IntervalsConfig(Section):
    """Times between two looks."""

    TABLE: ClassVar[str] = "intervals"

    requests_seconds: float = key(
        Duration(0.1, SECONDS_MAX),
        "For requests of `penstock reload`.",
        default=REQUESTS_SECONDS,
        name="requests",
    )
    new_tables_seconds: float = key(
        Duration(0.1, SECONDS_MAX),
        "For tables of the source that the mapping selects and that are not carried yet.",
        default=NEW_TABLES_SECONDS,
        name="new_tables",
    )
    foreign_keys_seconds: float = key(
        Duration(0.1, SECONDS_MAX),
        "For foreign keys and unique constraints that somebody has made meanwhile: they decide"
        " which tables are applied side by side.",
        default=FOREIGN_KEYS_SECONDS,
        name="foreign_keys",
    )
    partitions_seconds: float = key(
        Duration(0.1, SECONDS_MAX),
        "For partitions of the source that were dropped, detached, attached or emptied by"
        " themselves.",
        default=PARTITIONS_SECONDS,
        name="partitions",
    )
    frontier_seconds: float = key(
        Duration(0.1, SECONDS_MAX),
        "Between two stores of the position in the target, and with it between two reports to the"
        " source, while rows move.",
        default=FRONTIER_SECONDS,
        name="frontier",
    )
    frontier_idle_seconds: float = key(
        Duration(0.1, SECONDS_MAX),
        "The same while only the source's own log moves.",
        default=FRONTIER_IDLE_SECONDS,
        name="frontier_idle",
    )
