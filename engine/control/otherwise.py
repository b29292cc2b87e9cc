"""What a replication does otherwise than AWS DMS would with the same settings. (pure)

A start says it in an event: no default of ours is in force in silence where another one is shown.
"""

import json
from dataclasses import dataclass
from typing import Final

from engine.config.settings import parse_given
from engine.control.resources.replication import Config

LOADS: Final = frozenset({"full-load", "full-load-and-cdc"})
STREAMS: Final = frozenset({"cdc", "full-load-and-cdc"})


@dataclass(frozen=True, slots=True)
class Difference:
    """A default of AWS's that is not ours: while none of `keys` is written, nor `ours` (a key of
    the replication file), `text` holds for replications of these types."""

    keys: tuple[str, ...]
    ours: tuple[str, str]
    types: frozenset[str]
    text: str


DIFFERENCES: Final = (
    Difference(
        ("FullLoadSettings.TargetTablePrepMode",),
        ("load", "prepare"),
        LOADS,
        "FullLoadSettings.TargetTablePrepMode was not set: tables that are there are kept, where"
        " AWS's DROP_AND_CREATE would drop them",
    ),
    Difference(
        ("TargetMetadata.BatchApplyEnabled",),
        ("apply", "mode"),
        STREAMS,
        "TargetMetadata.BatchApplyEnabled was not set: tables are applied beside each other, each"
        " in its own order, where AWS would apply one transaction after another",
    ),
    Difference(
        tuple(f"ErrorBehavior.ApplyError{word}Policy" for word in ("Insert", "Update", "Delete")),
        ("apply", "on_row_error"),
        STREAMS,
        "ErrorBehavior.ApplyError...Policy was not set: a row that the target refuses stops its"
        " table, where AWS would skip the row",
    ),
)


def otherwise(config: Config) -> tuple[str, ...]:
    """One sentence for each default of ours that is in force and is not AWS's, and for what a
    replication has none of. Settings that do nothing are named by who runs it."""
    _, settings = parse_given(json.dumps(config.settings), replication_type=config.type)
    found = [
        difference.text
        for difference in DIFFERENCES
        if config.type in difference.types
        and not settings.written.intersection(difference.keys)
        and difference.ours[1] not in (config.ours.get(difference.ours[0]) or {})
    ]
    if config.supplemental:
        found.append("SupplementalSettings (TaskData) has no effect: it is for Neptune targets")
    return tuple(found)
