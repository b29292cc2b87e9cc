"""What the sessions of one target have found out about its tables, for each other.

A plan is of one relation version, by identity: a new version is always compiled against the table
as it is then. What is handed on may have been made wrong by somebody who alters the target, as what
a session remembers by itself may: nobody is given a plan that is old, or one that was read before
somebody found his memory wrong, and who was given one holds it for no newer than what he remembers.
"""

import asyncio
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from engine.model.relation import Relation

SHARED_SECONDS: Final = 60.0
"""Age at which a plan is not handed on any more. A stream's sessions meet its tables soon after
they are opened; once a minute a table costs the target nothing, whatever their number."""

PLANS_MAX: Final = 2000
"""Plans that are kept; beyond, all are forgotten."""

P = TypeVar("P")


@dataclass(frozen=True, slots=True)
class Shared(Generic[P]):
    """`read_at`: when its reading began, in seconds of the event loop."""

    relation: Relation
    plan: P
    read_at: float


class SharedPlans(Generic[P]):
    """One for a target and all its sessions."""

    def __init__(self) -> None:
        self._times_forgotten = 0
        self._plans: dict[tuple[int, str], Shared[P]] = {}

    def find(
        self, relation: Relation, form: str = "", *, seconds: float = SHARED_SECONDS
    ) -> Shared[P] | None:
        """What somebody has read within so many seconds for this relation version. `form`: how its
        rows come, where that makes another plan."""
        found = self._plans.get((id(relation), form))
        if found is None or _now() >= found.read_at + seconds:
            return None
        return found

    def begin(self, relation: Relation) -> "Reading":
        """Before a table is read; `share` takes what comes of it."""
        return Reading(relation, self._times_forgotten, _now())

    def share(self, reading: "Reading", plan: P, form: str = "") -> Shared[P]:
        """What was read, for the others too unless something was forgotten meanwhile."""
        shared = Shared(reading.relation, plan, reading.read_at)
        if reading.times_forgotten == self._times_forgotten:
            if len(self._plans) >= PLANS_MAX:
                self._plans.clear()
            self._plans[id(reading.relation), form] = shared
        return shared

    def forget(self) -> None:
        """Tables were altered, or a plan proved wrong: no plan whose reading began before now is
        handed on."""
        self._times_forgotten += 1
        self._plans.clear()


@dataclass(frozen=True, slots=True)
class Reading:
    """One that has begun."""

    relation: Relation
    times_forgotten: int
    read_at: float


def _now() -> float:
    return asyncio.get_running_loop().time()
