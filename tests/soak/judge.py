"""Which of a soak's figures rise. (pure)"""

from collections.abc import Mapping, Sequence
from typing import Final

from connectors.postgres.visibility import PARSED_SNAPSHOTS_MAX
from tests.soak.trend import growth
from tests.soak.worker import LAG, PREFIX

WARM_UP: Final = 0.25
"""Share of the rounds that is not looked at: caches fill, pools come to their size."""

MEMORY: Final = "resident memory"

MAIN: Final = {
    MEMORY: "MiB",
    "blocks": "blocks",
    "descriptors": "open",
    "threads": "threads",
    "tasks": "tasks",
    "source connections": "open",
    "target connections": "open",
    "control rows": "rows",
    "folder": "MiB",
    LAG: "ms",
}
"""What is drawn and told of a soak, and its unit. All else is only judged."""

LAG_MAX: Final = 200.0
"""Milliseconds: the source drops a connection whose keepalives are late by far more."""

CACHES: Final = {
    f"{PREFIX}connectors.postgres.visibility.ParsedSnapshot": PARSED_SNAPSHOTS_MAX,
    f"{PREFIX}builtins.frozenset": PARSED_SNAPSHOTS_MAX,
}
"""Types that a cache of this size holds, one more for each reload: it may fill."""

MEMORY_GROWTH_MAX: Final = 3.0
"""MiB from the end of the warm-up to the end, however long that is."""

BLOCKS_PER_ROUND_MAX: Final = 20.0
"""Memory blocks of the interpreter: statistics of its own come and go by the dozen."""

OBJECTS_PER_ROUND_MAX: Final = 0.5
"""Of one type. What keeps one thing at each reconnect, reload or change keeps at least one."""

COUNT_GROWTH_MAX: Final = 0.5
"""Of whatever is a count: one more at the end than at the beginning is one too many."""


def rising(rounds: Sequence[Mapping[str, float]]) -> list[str]:
    """What rises, in words, of rounds whose first share is the warm-up. How late the loop is says
    something of the work, not of what is kept."""
    looked_at = rounds[round(len(rounds) * WARM_UP) :]
    names = sorted({name for figures in looked_at for name in figures} - {LAG})
    found: list[str] = []
    for name in names:
        values = [figures.get(name, 0.0) for figures in looked_at]
        grown = growth(values)
        if grown > growth_max(name, len(values)):
            found.append(
                f"{name} rises by {grown:.3g} in {len(values)} rounds,"
                f" from {values[0]:g} to {values[-1]:g}"
            )
    return found


def growth_max(name: str, rounds: int) -> float:
    """By how much a figure may rise over so many rounds."""
    if name == MEMORY:
        return MEMORY_GROWTH_MAX
    if name == "blocks":
        return BLOCKS_PER_ROUND_MAX * rounds
    if name.startswith(PREFIX):
        return max(OBJECTS_PER_ROUND_MAX * rounds, CACHES.get(name, 0))
    return COUNT_GROWTH_MAX
