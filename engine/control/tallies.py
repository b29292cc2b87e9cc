"""What a worker tells of its tables, added up over the processes of one start. (pure)"""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from engine.control.resources.replication import Progress
from engine.control.resources.table import ERRORED, LOADED, TableFacts, key, progress
from engine.model.state import TableState
from engine.observe.metrics import OTHER

COUNTS: Final = ("loaded", "inserts", "updates", "deletes", "truncations", "rejected")
"""What the counts of a `metrics` event are, in its order."""

BEING_LOADED: Final = frozenset({TableState.PENDING.value, TableState.LOADING.value})


class Tallies:
    """Facts of tables by their key in the store. `stored`: what is there of them already."""

    def __init__(self, stored: Mapping[str, TableFacts], wall: Callable[[], float]) -> None:
        self._facts = dict(stored)
        self._wall = wall
        self._before = {name: _counts(facts) for name, facts in stored.items()}
        """What counts before those of the process that runs now."""
        self._changed = set[str]()
        self._stopped: list[str] = []

    def began(self) -> None:
        """A process begins, whose counts begin at 0."""
        self._before = {name: _counts(facts) for name, facts in self._facts.items()}

    def counted(self, tables: object) -> None:
        """`tables` of a `metrics` event. More tables than are counted one by one are left out."""
        if not isinstance(tables, Mapping):
            return
        for name, counts in tables.items():
            if name != str(OTHER) and isinstance(counts, list):
                found, before = self._found(name), self._before.setdefault(name, [0] * len(COUNTS))
                sums = [old + int(new) for old, new in zip(before, counts, strict=False)]
                self._store(name, found, **dict(zip(COUNTS, sums, strict=False)))

    def known(self, tables: object) -> None:
        """`tables` of a `known` event: what earlier processes did, heard of or not."""
        if isinstance(tables, Mapping):
            for name, state in tables.items():
                facts = self._found(str(name))
                if facts.state != state:
                    self.table({"table": str(name), "state": state})

    def table(self, event: Mapping[str, object]) -> None:
        """A `table` event."""
        name, state = str(event.get("table", "")), str(event.get("state", ""))
        facts = self._found(name)
        members: dict[str, object] = {"state": state, "error": _error(event)}
        estimated = event.get("rows_estimated")
        if isinstance(estimated, int) and estimated > 0:
            members["estimated"] = estimated
        members |= self._load_times(name, facts, state)
        self._store(name, facts, **members)
        if state in ERRORED and facts.state not in ERRORED:
            self._stopped.append(name)

    def take(self) -> dict[str, TableFacts]:
        """Facts that have changed since the last call, by key."""
        names, self._changed = sorted(self._changed), set[str]()
        return {_key(name): self._facts[name] for name in names}

    def stopped(self) -> list[str]:
        """Tables that have stopped since the last call, in that order."""
        names, self._stopped = self._stopped, []
        return names

    def progress(self) -> Progress:
        """All of them together."""
        return progress(self._facts.values())

    def _load_times(self, name: str, facts: TableFacts, state: str) -> dict[str, object]:
        again: dict[str, object] = {}
        if state in BEING_LOADED and facts.state in LOADED | ERRORED:
            before = self._before.setdefault(name, [0] * len(COUNTS))
            before[0] -= facts.loaded
            again = {"loaded": 0, "reloaded": True, "load_start": None, "load_end": None}
        if state == TableState.LOADING.value and (facts.load_start is None or again):
            again["load_start"] = self._wall()
        if state in LOADED and facts.load_start is not None and facts.load_end is None:
            again["load_end"] = self._wall()
        return again

    def _found(self, name: str) -> TableFacts:
        schema, _, table = name.partition(".")
        return self._facts.get(name) or TableFacts(schema=schema, table=table, state="")

    def _store(self, name: str, facts: TableFacts, **members: object) -> None:
        changed = msgspec.structs.replace(facts, **members)
        if changed != facts or name not in self._facts:
            self._facts[name] = msgspec.structs.replace(changed, changed=self._wall())
            self._changed.add(name)


def by_name(facts: Mapping[str, TableFacts]) -> dict[str, TableFacts]:
    """Facts by the name that workers call a table by."""
    return {f"{each.schema}.{each.table}": each for each in facts.values()}


def _key(name: str) -> str:
    schema, _, table = name.partition(".")
    return key(schema, table)


def _counts(facts: TableFacts) -> list[int]:
    return [getattr(facts, name) for name in COUNTS]


def _error(event: Mapping[str, object]) -> str:
    reason, remedy = (str(event.get(name) or "") for name in ("reason", "remedy"))
    return f"{reason} ({remedy})" if reason and remedy else reason
