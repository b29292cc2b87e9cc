"""Counting what was applied, per table (pure)."""

from collections.abc import Sequence
from contextlib import suppress
from operator import itemgetter
from typing import Final, cast

from engine.model.batch import Run, TableCounts
from engine.model.change import DELETE, INSERT, UPDATE, Change, Event, Truncate
from engine.model.relation import Relation, TableName

_KIND: Final = itemgetter(0)

_KINDS: Final = (0, INSERT, UPDATE, DELETE)


class Tally:
    """Counts of one target transaction; shown to the metrics once it is durable."""

    def __init__(self) -> None:
        self.tables: dict[TableName, TableCounts] = {}
        self.bytes = 0

    def add(self, events: Sequence[Event], table: TableName | None = None) -> None:
        """Count events. `table`: the one that all of them are of, where that is known: then it
        costs a row half as much."""
        if table is not None:
            with suppress(TypeError):  # a Truncate or SchemaChanged among them
                found = bytes(map(_KIND, cast(Sequence[Change], events)))
                self._count(table, [found.count(kind) for kind in _KINDS])
                return
        last: Relation | None = None
        kinds = [0, 0, 0, 0]
        for event in events:
            if event.__class__ is Change:
                if event[1] is not last:
                    self._keep(last, kinds)
                    last = event[1]
                    kinds = [0, 0, 0, 0]
                kinds[event[0]] += 1
            elif isinstance(event, Truncate):
                for relation in event.relations:
                    self._of(relation.table).truncates += 1
        self._keep(last, kinds)

    def add_arranged(
        self, changes: Sequence[Change], runs: Sequence[Run], table: TableName | None = None
    ) -> None:
        """Count changes by the runs that they were arranged in. Folding only ever makes fewer rows
        of changes: where there are as many, each is a row of its own kind, and none is looked
        at."""
        if sum([len(run.rows) for run in runs]) != len(changes):
            self.add(changes, table)
            return
        for run in runs:
            kinds = [0, 0, 0, 0]
            kinds[run.kind] = len(run.rows)
            self._count(run.relation.table, kinds)

    def merge(self, other: "Tally") -> None:
        """Add what another has counted."""
        for table, counts in other.tables.items():
            mine = self._of(table)
            mine.inserts += counts.inserts
            mine.updates += counts.updates
            mine.deletes += counts.deletes
            mine.truncates += counts.truncates
        self.bytes += other.bytes

    def _of(self, table: TableName) -> TableCounts:
        counts = self.tables.get(table)
        if counts is None:
            counts = self.tables[table] = TableCounts()
        return counts

    def _keep(self, relation: Relation | None, kinds: list[int]) -> None:
        if relation is None:
            return
        self._count(relation.table, kinds)

    def _count(self, table: TableName, kinds: Sequence[int]) -> None:
        counts = self._of(table)
        counts.inserts += kinds[INSERT]
        counts.updates += kinds[UPDATE]
        counts.deletes += kinds[DELETE]
