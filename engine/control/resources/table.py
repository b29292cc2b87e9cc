"""What is known of one table of a replication: a fact beside its record. (pure)

Its key is `table/<schema>.<table>` with the source's names (`key`), so that facts come in the order
in which tables are listed.
"""

from collections.abc import Iterable
from typing import Final

from engine.control.resources.document import Stored
from engine.control.resources.replication import Progress
from engine.model.state import TableState

PREFIX: Final = "table/"


class TableFacts(Stored, frozen=True, kw_only=True):
    """Counts add up over the processes of one start; a start that begins anew sets them to 0."""

    schema: str
    table: str
    state: str
    """The worker's word (`engine.model.state.TableState`), or empty: not begun."""
    loaded: int = 0
    """Rows copied by the load, durable."""
    estimated: int | None = None
    inserts: int = 0
    updates: int = 0
    deletes: int = 0
    truncations: int = 0
    rejected: int = 0
    """Rows that were not applied, and are kept in the target's quarantine table."""
    load_start: float | None = None
    load_end: float | None = None
    reloaded: bool = False
    """It was loaded again, by ReloadReplicationTables."""
    error: str = ""
    changed: float = 0.0
    """When this was written last; seconds since 1970."""


LOADED: Final = frozenset({TableState.LOADED.value, TableState.STREAMING.value})
LOADING: Final = frozenset({TableState.LOADING.value})
ERRORED: Final = frozenset({TableState.SUSPENDED.value, TableState.NEEDS_RELOAD.value})
"""A fact's `state`, as AWS counts tables; every other one waits to be loaded."""


def progress(tables: Iterable[TableFacts]) -> Progress:
    """All tables of a replication together."""
    counted = dict.fromkeys(("loaded", "loading", "queued", "errored"), 0)
    rows = done = 0
    for facts in tables:
        counted[_counted(facts.state)] += 1
        # A table without rows, or without an estimate, is some work too.
        whole = max(facts.loaded, 1 if facts.state in LOADED else facts.estimated or 1)
        rows += whole
        done += whole if facts.state in LOADED else facts.loaded
    open_ = counted["loading"] + counted["queued"] + counted["errored"]
    percent = 100 * done // rows if rows else 0
    return Progress(percent=min(percent, 99) if open_ else percent, **counted)


def _counted(state: str) -> str:
    if state in LOADED:
        return "loaded"
    if state in LOADING:
        return "loading"
    return "errored" if state in ERRORED else "queued"


def key(schema: str, table: str) -> str:
    """The fact's key."""
    return f"{PREFIX}{schema}.{table}"
