"""Runs of changes as SQL text. (pure)

Inserts go as one INSERT of many rows. Small runs of updates and deletes, and runs whose order
matters, become one statement per row; larger ones go through a staging table and one statement that
joins it by key. Many rows go into either by LOAD DATA where that is allowed: followed by a check
that every one was stored and nothing was warned of, it is as exact as an INSERT.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Final, TypeAlias

from connectors.mysql import load_statement, row_texts, statements
from connectors.mysql.column_plan import ColumnPlan
from connectors.mysql.plan import TablePlan
from connectors.mysql.row_texts import RowTexts
from engine.errors import RowRejectedError, SchemaMismatchError
from engine.model.batch import Run
from engine.model.change import DELETE, INSERT
from engine.model.value import UNCHANGED, Row

SINGLES_ROWS_MAX: Final = 8
"""Runs of at most so many rows are sent as a statement per row. Measured on both servers: a
statement with its check takes some 0.15 ms, a staging table 0.5 ms and a tenth of that a row."""

LOAD_ROWS_MIN: Final = 200
"""Rows from which LOAD DATA is used. Measured with six columns: it costs one more round trip, needs
as much of the server as an INSERT at some 100 rows (MariaDB) and 200 (MySQL), and a quarter to a
third less from 1,000 on."""

Stage: TypeAlias = Callable[[TablePlan, tuple[int, ...]], tuple[int, bool]]
"""Gives the number of the staging table for these columns, and whether it must be made."""


@dataclass(frozen=True, slots=True)
class Statement:
    """`rows` are those it must find, `at_most` allows fewer; `rows` -1: they are not counted.
    `watched`: a warning is a refusal. `data` are the lines of a LOAD DATA."""

    sql: bytes
    rows: int = -1
    at_most: bool = False
    watched: bool = False
    data: bytes = b""

    @property
    def check(self) -> bytes:
        """What must follow it; empty when nothing."""
        if self.rows >= 0:
            return statements.counted(self.rows, at_most=self.at_most)
        return statements.WATCHED if self.watched else b""


@dataclass(slots=True)
class RowStatements:
    """The statements of one plan. `loads` tells whether LOAD DATA may be used for this table."""

    plan: TablePlan
    stage: Stage
    stage_engine: str
    packet_bytes_max: int
    loads: Callable[[str], bool]
    _insert: bytes = field(init=False)
    _load: bytes = field(init=False)
    _texts: RowTexts = field(init=False)

    def __post_init__(self) -> None:
        plan = self.plan
        self._insert = statements.insert(plan)[0]
        named = [(column, column.name) for column in plan.columns]
        self._load = load_statement.statement(plan.target.sql, named)
        self._texts = self._texts_of(plan.columns)

    def of(self, run: Run) -> Iterator[Statement]:
        """What to send for a run, in order.

        Raises:
            RowRejectedError: a value has no form here, or a row is too large for a packet.
        """
        if run.kind == INSERT:
            yield from self._inserts(run.rows, net=run.net)
        elif not self.plan.key:
            yield from self._by_image(run)
        elif run.kind == DELETE:
            yield from self._deletes(run)
        elif run.replaced and self.plan.target.acts:
            yield from self._deletes(run)
            yield from self._inserts(run.rows, net=True)
        else:
            yield from self._updates(run)

    # --- inserts ------------------------------------------------------------------------------

    def _inserts(self, rows: Sequence[Row], *, net: bool) -> Iterator[Statement]:
        """Rows in order (not `net`) are told apart when one of them is refused: by statements."""
        load = self._load if net else b""
        for statement, _ in self._multiple(self._insert, load, self._texts, rows):
            yield statement

    def _multiple(
        self, insert: bytes, load: bytes, texts: RowTexts, rows: Sequence[Row]
    ) -> Iterator[tuple[Statement, int]]:
        """Statements that store rows, each with their number; by `load` where that is better."""
        if load and len(rows) >= LOAD_ROWS_MIN and self.loads(self.plan.subject):
            for lines, count in texts.lines(rows):
                yield Statement(load, rows=count, data=lines), count
            return
        for constants, count in texts.constants(rows):
            sql = self._checked(insert + constants)
            yield Statement(sql, watched=self.plan.watched), count

    def _texts_of(self, columns: Sequence[ColumnPlan]) -> RowTexts:
        return RowTexts(self.plan.subject, columns, len(self.plan.relation.columns))

    def _constants(self, columns: Sequence[ColumnPlan], row: Row) -> list[bytes]:
        return row_texts.constants(self.plan.subject, columns, row)

    def _checked(self, sql: bytes) -> bytes:
        if len(sql) > self.packet_bytes_max:
            raise RowRejectedError(
                f"{self.plan.subject}: a row of {len(sql)} bytes is larger than the target's"
                f" max_allowed_packet allows ({self.packet_bytes_max} bytes)",
                sqlstate="54000",
                hint="raise max_allowed_packet on the target, up to 1 GiB",
            )
        return sql

    # --- by key -------------------------------------------------------------------------------

    def _deletes(self, run: Run) -> Iterator[Statement]:
        plan = self.plan
        fewer = plan.target.cascaded
        if not run.net or len(run.rows) <= SINGLES_ROWS_MAX:
            for row in run.rows:
                sql = statements.delete(plan, self._where_key(row))
                yield Statement(sql, rows=1, at_most=fewer)
            return
        rows = _by_key(plan, run.rows)
        if len(plan.key) == 1 and plan.key[0].bytewise:
            yield from self._deletes_in(plan.key[0], rows, fewer=fewer)
            return
        number, staged = self._staged(plan.key)
        yield from staged
        for fill, count in self._filled(number, plan.key, rows):
            yield Statement(statements.empty_stage(number))
            yield fill
            yield Statement(statements.delete_stage(plan, number), rows=count, at_most=fewer)

    def _deletes_in(
        self, column: ColumnPlan, rows: Sequence[Row], *, fewer: bool
    ) -> Iterator[Statement]:
        head = b"DELETE FROM %b WHERE %b IN (" % (
            self.plan.target.sql.encode(), column.name.encode(),
        )  # fmt: skip
        for start in range(0, len(rows), IN_MAX):
            some = rows[start : start + IN_MAX]
            constants = [self._constants((column,), row)[0] for row in some]
            sql = self._checked(head + b",".join(constants) + b")")
            yield Statement(sql, rows=len(some), at_most=fewer)

    def _updates(self, run: Run) -> Iterator[Statement]:
        changed = self._changed(run.sent, ())
        if run.olds is not None:
            yield from self._updates_of_olds(run, changed)
        elif run.net and len(run.rows) > SINGLES_ROWS_MAX:
            yield from self._update_set(run.rows, changed)
        else:
            for row in run.rows:
                yield self._update(row, self._where_key(row), changed)

    def _updates_of_olds(self, run: Run, changed: Sequence[ColumnPlan]) -> Iterator[Statement]:
        """Rows with their old ones: those whose key stays can go as a set."""
        assert run.olds is not None
        key = self.plan.relation.key
        pairs = list(zip(run.rows, run.olds, strict=True))
        if run.net and len(pairs) > SINGLES_ROWS_MAX:
            stays = [new for new, old in pairs if all(old[i] == new[i] for i in key)]
            if stays:
                yield from self._update_set(stays, changed)
            pairs = [(new, old) for new, old in pairs if any(old[i] != new[i] for i in key)]
        for new, old in pairs:
            yield self._move(new, old, run.sent)

    def _move(self, new: Row, old: Row, sent: tuple[int, ...]) -> Statement:
        plan = self.plan
        moved = tuple([i for i in plan.relation.key if old[i] != new[i]])
        changed = self._changed(sent, moved)
        where = self._where_key(old)
        adjusted = plan.target.adjusted
        if not any(plan.relation.columns[i].name in adjusted for i in moved):
            return self._update(new, where, changed)
        other = self._where_key(_completed(new, old))
        assignments = self._assignments(changed, new)
        return Statement(statements.update_either(plan, assignments, where, other), rows=1)

    def _update(self, row: Row, where: bytes, changed: Sequence[ColumnPlan]) -> Statement:
        plan = self.plan
        if not changed:
            return Statement(statements.found(plan, where), rows=1)
        sql = statements.update(plan, self._assignments(changed, row), where)
        return Statement(self._checked(sql), rows=1)

    def _update_set(
        self, rows: Sequence[Row], changed: Sequence[ColumnPlan]
    ) -> Iterator[Statement]:
        plan = self.plan
        columns = (*plan.key, *changed)
        number, staged = self._staged(columns)
        yield from staged
        for fill, count in self._filled(number, columns, _by_key(plan, rows)):
            yield Statement(statements.empty_stage(number))
            yield fill
            yield Statement(statements.update_stage(plan, number, changed), rows=count)

    def _staged(self, columns: Sequence[ColumnPlan]) -> tuple[int, Sequence[Statement]]:
        number, new = self.stage(self.plan, tuple([column.index for column in columns]))
        made = statements.create_stage(number, self.plan, columns, self.stage_engine)
        return number, [Statement(made)] if new else []

    def _filled(
        self, number: int, columns: Sequence[ColumnPlan], rows: Sequence[Row]
    ) -> Iterator[tuple[Statement, int]]:
        """Statements that fill a staging table, each with its rows."""
        insert = statements.fill_stage(number, columns)
        named = [(column, statements.stage_column(column)) for column in columns]
        load = load_statement.statement(statements.stage(number), named)
        return self._multiple(insert, load, self._texts_of(columns), rows)

    def _assignments(self, columns: Sequence[ColumnPlan], row: Row) -> bytes:
        constants = self._constants(columns, row)
        return b", ".join(
            [b"%b = %b" % (c.name.encode(), v) for c, v in zip(columns, constants, strict=True)]
        )

    def _where_key(self, row: Row) -> bytes:
        key = self.plan.key
        constants = self._constants(key, row)
        return b" AND ".join([c.equals(v) for c, v in zip(key, constants, strict=True)])

    def _changed(self, sent: tuple[int, ...], moved: tuple[int, ...]) -> tuple[ColumnPlan, ...]:
        """Columns an UPDATE sets: those sent, of the key only those that moved."""
        plan = self.plan
        unmoved = set(plan.relation.key).difference(moved)
        columns = [plan.by_index[i] for i in sent if i not in unmoved]
        return tuple([column for column in columns if column.writable])

    # --- by the whole row ---------------------------------------------------------------------

    def _by_image(self, run: Run) -> Iterator[Statement]:
        """A table without key: each change finds exactly one row by its old image."""
        olds = run.rows if run.kind == DELETE else run.olds
        if olds is None:
            raise SchemaMismatchError(
                f"{self.plan.subject}: an update of a table without key came without its old row",
                hint="have the source's log carry whole rows (binlog_row_image = FULL, or REPLICA"
                " IDENTITY FULL)",
            )
        changed = () if run.kind == DELETE else self._changed(run.sent, ())
        for row, old in zip(run.rows, olds, strict=True):
            if run.kind == DELETE:
                sql = statements.delete(self.plan, self._image(old)) + b" LIMIT 1"
                yield Statement(self._checked(sql), rows=1, at_most=self.plan.target.cascaded)
            else:
                yield self._update_image(row, old, changed)

    def _update_image(self, new: Row, old: Row, changed: Sequence[ColumnPlan]) -> Statement:
        plan, image = self.plan, self._image(old)
        if not changed:
            return Statement(statements.found(plan, image) + b" LIMIT 1", rows=1)
        assignments = self._assignments(changed, new)
        if plan.target.adjusted:
            other = self._image(_completed(new, old))
            sql = statements.update_either(plan, assignments, image, other)
        else:
            sql = statements.update(plan, assignments, image) + b" LIMIT 1"
        return Statement(self._checked(sql), rows=1)

    def _image(self, row: Row) -> bytes:
        columns = [column for column in self.plan.columns if row[column.index] is not UNCHANGED]
        if not columns:
            raise SchemaMismatchError(f"{self.plan.subject}: an old row came without any value")
        constants = self._constants(columns, row)
        return b" AND ".join([c.matches(v) for c, v in zip(columns, constants, strict=True)])


IN_MAX: Final = 1_000
"""Keys of one IN list. Both servers look each up by the index; the memory that MySQL's range
optimizer may use (8 MB by default, then it reads the whole table) holds some ten thousand."""


def _by_key(plan: TablePlan, rows: Sequence[Row]) -> Sequence[Row]:
    """Rows of distinct keys in the order of the keys' bytes: neighbours on the target's pages are
    changed together, and two appliers take locks in one order."""
    return sorted(rows, key=itemgetter(*plan.relation.key))


def _completed(new: Row, old: Row) -> Row:
    """The new row whole, as the old one has what was not sent."""
    return tuple([o if n is UNCHANGED else n for n, o in zip(new, old, strict=True)])
