"""Is a table on the target what the source's was at the table's position?"""

import base64
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

from connectors.memory.control import QUARANTINE
from connectors.memory.database import MemoryDatabase
from connectors.memory.storage import Cells, Table, pick
from engine.model.position import LogPosition
from engine.model.relation import Relation, TableName
from engine.model.state import RejectedRow
from tests.simulation.model import TableModel, by_bucket, without


class ViolationError(AssertionError):
    """An invariant does not hold."""


@dataclass
class Comparison:
    """Every table of the source beside its model. `quarantines`: refused rows are left out, and
    kept; `reached` counts situations."""

    source: MemoryDatabase
    target: MemoryDatabase
    reached: Counter[str]
    quarantines: bool
    models: dict[TableName, TableModel] = field(default_factory=dict[TableName, TableModel])
    checks: int = 0
    """Tables compared."""
    _bucket_models: dict[tuple[TableName, int], TableModel] = field(
        default_factory=dict[tuple[TableName, int], TableModel]
    )
    _splits: dict[tuple[TableName, int, int], tuple[Counter[Cells], Counter[Cells]]] = field(
        default_factory=dict[tuple[TableName, int, int], tuple[Counter[Cells], Counter[Cells]]]
    )
    """By table, bucket and number of buckets: a table's rows, and those of them in the bucket."""

    def add(self, table: Table) -> None:
        """A table that is made on the source."""
        self.models[table.relation.table] = TableModel(table.relation, self.source.log)

    def check(self, table: TableName, *positions: LogPosition) -> None:
        """Raises ViolationError when the target's rows are not the source's at that position; of
        several, each is that of one bucket of the table's keys."""
        self.checks += 1
        count = len(positions)
        there = _Parts(self.target, table, self.source.tables[table].primary_key, count)
        for bucket, position in enumerate(positions):
            expected = self._expected(table, bucket, count, position)
            model = self._model(table, bucket)
            actual = there.part(model.columns, bucket)
            if actual is not None and dict.__eq__(expected, actual):
                continue  # the Counter's own is many times slower
            if there.matches(model, position, bucket):
                continue
            if actual is None:
                raise ViolationError(
                    f"{table} at {position} has the columns {there.names}, not {model.columns}"
                )
            self._differ(table, bucket, count, position, expected, actual)

    def _differ(
        self,
        table: TableName,
        bucket: int,
        count: int,
        position: LogPosition,
        expected: Counter[Cells],
        actual: Counter[Cells],
    ) -> None:
        missing, extra = expected - actual, actual - expected
        if not extra and self.target.tables[table].cascaded:
            # A parent may stand in the midst of the transaction that comes next.
            missing = without(missing, self._model(table, bucket).deleted_next(position))
        if (missing or extra) and not self._kept_aside(table, position, missing + extra):
            raise ViolationError(
                f"{table} at {position} ({bucket + 1} of {count}): "
                f"missing {dict(missing)}, extra {dict(extra)}"
            )

    def check_models(self, end: LogPosition) -> None:
        """Raises ViolationError when a model is not its table, at the end of the log."""
        for table, model in self.models.items():
            if Counter(self.source.visible_rows(table)) != model.at(end):
                raise ViolationError(f"the model of {table} is wrong: mend the simulator")

    def _model(self, table: TableName, bucket: int) -> TableModel:
        """One for each bucket: they move forward side by side."""
        if not bucket:
            return self.models[table]
        made = self._bucket_models.get((table, bucket))
        if made is None:
            first = self.models[table].first
            made = self._bucket_models[table, bucket] = TableModel(first, self.source.log)
        return made

    def _expected(
        self, table: TableName, bucket: int, count: int, position: LogPosition
    ) -> Counter[Cells]:
        """The rows of one bucket, split off once for as long as they stay the same."""
        rows = self._model(table, bucket).at(position)
        known = self._splits.get((table, bucket, count))
        if known is None or known[0] is not rows:
            key = self.source.tables[table].primary_key
            known = self._splits[table, bucket, count] = (rows, by_bucket(rows, key, count)[bucket])
        return known[1]

    def _kept_aside(self, table: TableName, position: LogPosition, rows: Counter[Cells]) -> bool:
        """Whether a change of each of these rows is in the quarantine: I-23 and I-24."""
        key = self.source.tables[table].relation.key
        if not key or not self.quarantines:
            return False
        kept = [cast(RejectedRow, row[1]) for row in self.target.visible_rows(QUARANTINE)]
        named = {
            keys
            for row in kept
            if row.table == table and position.reaches(LogPosition.parse(row.position))
            for keys in _keys_of(row, self.source.tables[table].relation)
        }
        self.reached["row-kept"] += 1
        return all(pick(row, key) in named for row in rows)


class _Parts:
    """A table's rows on the target, by bucket, as read once; in the order of given columns, as a
    target's may stand in another one."""

    def __init__(
        self, target: MemoryDatabase, table: TableName, key: tuple[int, ...], count: int
    ) -> None:
        self.names = [column.name for column in target.tables[table].relation.columns]
        self._rows = target.visible_rows(table)
        self._key = key
        self._count = count
        self._known: dict[tuple[str, ...], Sequence[Counter[Cells]]] = {}

    def part(self, columns: Sequence[str], bucket: int) -> Counter[Cells] | None:
        """None when the table has other columns."""
        if sorted(columns) != sorted(self.names):
            return None
        order = tuple(columns)
        if order not in self._known:
            rows = self._rows
            if list(order) != self.names:
                places = tuple([self.names.index(name) for name in order])
                rows = [pick(row, places) for row in rows]
            self._known[order] = by_bucket(Counter(rows), self._key, self._count)
        return self._known[order][bucket]

    def matches(self, model: TableModel, position: LogPosition, bucket: int) -> bool:
        """Whether it stands between changes of columns that move no position."""
        return any(
            self.part(columns, bucket) == by_bucket(rows, self._key, self._count)[bucket]
            for rows, columns in model.within(position)
        )


def _keys_of(row: RejectedRow, relation: Relation) -> list[Cells]:
    """The keys that a kept change names: of its new row, and of its old one."""
    payload = json.loads(row.payload)
    names = [relation.columns[index].name for index in relation.key]
    images = [image for image in (payload["new"], payload["old"]) if image is not None]
    return [tuple([base64.b64decode(image[name]) for name in names]) for image in images]
