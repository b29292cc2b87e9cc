"""What is known of one table of a replication: a fact beside its record. (pure)

Its key is `table/<schema>.<table>` with the source's names (`key`), so that facts come in the order
in which tables are listed.
"""

from typing import Final

from engine.control.resources.document import Stored

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
    load_start: float | None = None
    load_end: float | None = None
    reloaded: bool = False
    """It was loaded again, by ReloadReplicationTables."""
    error: str = ""
    changed: float = 0.0
    """When this was written last; seconds since 1970."""


def key(schema: str, table: str) -> str:
    """The fact's key."""
    return f"{PREFIX}{schema}.{table}"
