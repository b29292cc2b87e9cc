"""Writing rows into the memory target, exactly as a run says."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from functools import partial
from typing import Final

from connectors.memory import rows
from connectors.memory.control import ControlRows
from connectors.memory.definitions import make_relation, numbered
from connectors.memory.evolution import evolve, rename
from connectors.memory.storage import Cells, Columns, Table, Unique, Version, pick
from engine.errors import InvariantError, RowMissingError, SchemaMismatchError
from engine.model.batch import Run, Written
from engine.model.change import DELETE, INSERT, SchemaChanged, Truncate
from engine.model.relation import Relation, TableName
from engine.model.value import UNCHANGED, Row

NO_DATA: Final = "02000"
"""The SQL standard's code for a statement that found no row."""


class MemoryTransaction(ControlRows):
    """One transaction. See `contracts.TargetTransaction`."""

    async def write(self, runs: Sequence[Run]) -> Written:
        await self._step()
        written = Written()
        for run in runs:
            writer = _Writer(self, run)
            for operation in writer.operations():
                await self._do(operation)
            written.rows += len(run.rows)
            written.bytes += sum(map(_size, run.rows))
        return written

    async def truncate(self, truncate: Truncate) -> None:
        await self._step()
        names = [relation.table for relation in truncate.relations]
        await self._do(lambda: self.server.truncate(names, cascade=truncate.cascade))

    async def evolve(self, change: SchemaChanged) -> None:
        await self._step()
        await self._do(lambda: self._evolve(change))

    def _evolve(self, change: SchemaChanged) -> None:
        server = self.server
        if change.before is None and change.after is not None:
            if change.table not in self.database.tables:
                server.replace_table(change.table, _new_table(change.after))
        elif change.after is None:
            server.replace_table(change.table, None)
        elif (step := change.steps[0] if change.steps else None) and step.kind == "rename-table":
            table = server.table(change.table)
            name = TableName(change.table.schema, step.new_name)
            server.replace_table(change.table, None)
            server.replace_table(name, rename(table, name))
        else:
            server.lock_table(change.table)
            server.replace_table(change.table, evolve(server.table(change.table), change))

    async def load(self, relation: Relation, form: str, data: AsyncIterator[bytes]) -> Written:
        if form != rows.FORM:
            raise SchemaMismatchError(f"the memory target does not take rows as {form}")
        await self._step()
        written = Written()
        apart = rows.MemoryRows(len(relation.columns))
        async for buffer in data:
            self._require_usable()
            written.bytes += len(buffer)
            found = [apart.values(row) for row in apart.feed(buffer)]
            written.rows += await self._load(relation, found)
        apart.finish()
        return written

    async def _load(self, relation: Relation, loaded: Iterable[Row]) -> int:
        place = _Place(self.server.table(relation.table), relation)
        count = 0
        for row in loaded:
            complete = place.complete(row)
            await self._do(partial(self.server.insert, relation.table, complete))
            count += 1
        return count

    async def savepoint(self) -> None:
        await self._step()
        self.server.savepoint()

    async def release_savepoint(self, *, checked: bool = True) -> None:
        await self._step()
        await self._do(partial(self.server.release_savepoint, checked=checked))

    async def rollback_to_savepoint(self) -> None:
        self._failed = False
        await self._step()
        self.server.rollback_to_savepoint()


class _Place:
    """Where a relation's columns are in the target's table."""

    def __init__(self, table: Table, relation: Relation) -> None:
        there = {column.name: i for i, column in enumerate(table.relation.columns)}
        try:
            self.columns: Columns = tuple([there[column.name] for column in relation.columns])
        except KeyError as missing:
            message = f"{relation.qualified} has no column {missing.args[0]} in the target"
            raise SchemaMismatchError(message) from None
        self._width = len(there)

    def complete(self, row: Iterable[object]) -> Cells:
        """A whole row for the table; columns the relation lacks are NULL."""
        whole: list[object] = [None] * self._width
        for index, value in zip(self.columns, row, strict=True):
            if value is UNCHANGED:
                raise InvariantError("a value that was not sent would be written")
            whole[index] = value
        return tuple(whole)


class _Writer:
    """One run as operations on the server, each of one row."""

    def __init__(self, transaction: MemoryTransaction, run: Run) -> None:
        self._server = transaction.server
        self._run = run
        self._name = run.relation.table
        table = _existing(transaction, run.relation)
        self._place = _Place(table, run.relation)
        self._cascaded = table.cascaded

    def operations(self) -> list[Callable[[], None]]:
        """In order; those of a net run backwards, since their order must not matter."""
        run = self._run
        if run.kind == INSERT:
            made = [self._insert(row) for row in run.rows]
        elif run.kind == DELETE:
            made = [self._delete(row) for row in run.rows]
        else:
            olds = run.olds if run.olds is not None else run.rows
            made = [self._update(old, new) for old, new in zip(olds, run.rows, strict=True)]
        return made[::-1] if run.net else made

    def _insert(self, row: Row) -> Callable[[], None]:
        return lambda: self._server.insert(self._name, self._place.complete(row))

    def _delete(self, old: Row) -> Callable[[], None]:
        def delete() -> None:
            version = self._find(old)
            if version is not None:
                self._server.delete(self._name, version)
            elif not self._cascaded:
                raise self._missing()

        return delete

    def _update(self, old: Row, new: Row) -> Callable[[], None]:
        def update() -> None:
            version = self._find(old)
            if version is None and self._run.replaced and self._cascaded:
                self._server.insert(self._name, self._place.complete(new))
                return
            if version is None:
                raise self._missing()
            row = list(version.row)
            for i in self._run.sent:
                if new[i] is UNCHANGED:
                    raise InvariantError("a value that was not sent would be written")
                row[self._place.columns[i]] = new[i]
            self._server.update(self._name, version, tuple(row))

        return update

    def _missing(self) -> RowMissingError:
        return RowMissingError(f"{self._name}: the row to change is not there", sqlstate=NO_DATA)

    def _find(self, old: Row) -> Version | None:
        """The row an event means: by key, else the first whose every value is the same."""
        indexes = self._run.relation.key or tuple(range(len(old)))
        key = tuple([old[i] for i in indexes])
        if UNCHANGED in key:
            raise InvariantError(f"{self._name}: a row is to be found by a value that was not sent")
        columns = pick(self._place.columns, indexes)
        return self._server.find(self._name, columns, key)  # type: ignore[arg-type]


def _existing(transaction: MemoryTransaction, relation: Relation) -> Table:
    table = transaction.database.tables.get(relation.table)
    if table is None:
        raise SchemaMismatchError(f"{relation.qualified} does not exist in the target")
    return table


def _new_table(relation: Relation) -> Table:
    key = [relation.columns[i].name for i in relation.key]
    made = make_relation(
        relation.schema, relation.name, numbered(relation).columns, key, relation.replica_identity
    )
    uniques = (Unique(made.key, primary=True),) if made.key else ()
    return Table(made, uniques)


def _size(row: Row) -> int:
    return sum([len(value) for value in row if isinstance(value, bytes)])
