"""What operations ask of those who act: who runs replications, who looks at databases. (contracts)

An operation stores what is wanted and then says so; whoever acts reads the store, does it, and
stores what came of it. A word that is lost with the process costs nothing: the next start of the
daemon reads the same store.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from engine.model.state import QuarantinedRow


@dataclass(frozen=True, slots=True)
class Looked:
    """What came of looking at a database. `failure` is empty when all is well, else the driver's
    reason as one line for people, without a secret; `schemas` where they were asked for, sorted."""

    failure: str = ""
    schemas: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Figures:
    """How a replication does at the moment."""

    told: Mapping[str, object] = field(default_factory=dict[str, object])
    """Its worker's newest `metrics` event (`engine.observe.report`) without `tables`: what was not
    measured is not there. Empty where no worker runs, or none has told anything yet."""
    unit_hours: float | None = None
    """Capacity units times hours of this calendar month (UTC), until now."""


class Fleet(Protocol):
    """All replications of this daemon."""

    def figures(self, replication: str) -> Figures:
        """Of the replication with this record id, from memory. Never waits, never raises."""
        ...

    def wake(self, replication: str) -> None:
        """The record with this id was changed (`life.wanted`, `life.status`): act on it. Never
        waits, never raises; the same word twice is one."""
        ...

    async def reload_tables(self, replication: str, tables: Sequence[str]) -> None:
        """Ask for tables (`schema.table`, as the source names them) of a running replication to be
        loaded again. Raises PenstockError when the request could not be noted."""
        ...


class Prober(Protocol):
    """Looks at one database in a process of its own."""

    async def connect(self, endpoint: str) -> Looked:
        """Try the connection of the endpoint with this record id."""
        ...

    async def schemas(self, endpoint: str) -> Looked:
        """The schemas of the (source) endpoint with this record id."""
        ...


class RowReader(Protocol):
    """Reads rows that replications kept aside in their targets."""

    async def rows(self, replication: str, target: str, after: int) -> Sequence[QuarantinedRow]:
        """A page of the replication's with this record id, as they are kept, behind number `after`,
        from the endpoint with the record id `target`; empty at the end.

        Raises PenstockError where they cannot be had.
        """
        ...


class Looker(Protocol):
    """Tests connections and reads schemas beside what the API answers."""

    def wake(self) -> None:
        """A record says that something is to be looked at: do it. Never waits, never raises."""
        ...
