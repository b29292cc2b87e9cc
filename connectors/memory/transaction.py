"""(pure) One transaction on the memory server.

Read committed, as PostgreSQL has it by default: every operation sees what is committed now and the
transaction's own work. A row is locked before it is judged; `WouldBlockError` leaves nothing done,
so the caller waits and calls again. Everything done stands in an undo list: rolling back takes the
newest entries off again, and so does a server that loses its last commits.
"""

from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from connectors.memory import events
from connectors.memory.storage import Cells, Columns, ForeignKey, Past, Table, Version, pick
from engine.errors import RowRejectedError, TargetError
from engine.model.change import Event, SchemaChanged, Truncate
from engine.model.relation import TableName

if TYPE_CHECKING:
    from connectors.memory.database import MemoryDatabase

Undo: TypeAlias = Callable[[], None]

UNIQUE_VIOLATION = "23505"
FOREIGN_KEY_VIOLATION = "23503"
NOT_NULL_VIOLATION = "23502"
FEATURE_NOT_SUPPORTED = "0A000"


class State(Enum):
    OPEN = "open"
    COMMITTED = "committed"
    ABORTED = "aborted"


class _Savepoint(NamedTuple):
    """How much had been done, logged and left to be checked when it was set."""

    undo: int
    events: int
    checks: int


class ServerTransaction:
    """Row operations of one transaction. Made by `MemoryDatabase.begin`."""

    def __init__(self, database: "MemoryDatabase", xid: int) -> None:
        self.xid = xid
        self.state = State.OPEN
        self.publication = database.publication
        self.events: list[Event] = []
        self.committed_at_us = 0
        self._database = database
        self._undo: list[Undo] = []
        self._savepoints: list[_Savepoint] = []
        self._checks: list[Undo] = []

    # --- reading ------------------------------------------------------------------------------

    def sees(self, version: Version) -> bool:
        made = version.made == self.xid or self._database.committed(version.made)
        if not made:
            return False
        ended = version.ended
        return not ended or not (ended == self.xid or self._database.committed(ended))

    def scan(self, name: TableName) -> Iterator[Version]:
        """Every row now visible, in the order rows were made."""
        for version in list(self.table(name).versions.values()):
            if self.sees(version):
                yield version

    def find(self, name: TableName, columns: Columns, key: Cells) -> Version | None:
        """A visible row whose `columns` hold `key`; not locked."""
        candidates = self.table(name).candidates(columns, key)
        return next((version for version in candidates if self.sees(version)), None)

    def table(self, name: TableName) -> Table:
        """Raises TargetError for a table that does not exist."""
        try:
            return self._database.tables[name]
        except KeyError:
            raise TargetError(f"table {name} does not exist") from None

    # --- locks --------------------------------------------------------------------------------

    def lock(
        self, name: TableName, columns: Columns, key: Cells, *, exclusive: bool = True
    ) -> None:
        """Lock a key, whether or not a row has it."""
        self._require_open()
        self._database.locks.acquire(self.xid, (name, columns, key), exclusive=exclusive)

    def lock_row(self, name: TableName, version: Version) -> None:
        """Lock a row against change, and its table against TRUNCATE and ALTER."""
        self.lock_table(name, exclusive=False)
        table = self.table(name)
        if not table.primary_key:
            self.lock(name, (), (version.number,))
        for unique in table.uniques:
            key = pick(version.row, unique.columns)
            if None not in key:
                self.lock(name, unique.columns, key)

    def lock_table(self, name: TableName, *, exclusive: bool = True) -> None:
        self._require_open()
        self._database.locks.acquire(self.xid, name, exclusive=exclusive)

    # --- rows ---------------------------------------------------------------------------------

    def insert(self, name: TableName, row: Cells) -> None:
        """Raises RowRejectedError, WouldBlockError."""
        table = self.table(name)
        self.lock_table(name, exclusive=False)
        self._lock_new(name, table, row)
        self._check_row(table, row)
        self._check_unique(table, row, None)
        self._check_parents(table, row)
        self._make(table, row)
        self._log(table, lambda: events.inserted(table, row))

    def update(self, name: TableName, version: Version, row: Cells) -> None:
        """Replace a visible row. Raises RowRejectedError, WouldBlockError."""
        table = self.table(name)
        self.lock_row(name, version)
        self._require_loggable(table)
        self._lock_new(name, table, row)
        self._check_row(table, row)
        self._check_unique(table, row, version)
        self._check_parents(table, row)
        self._end(version)
        self._make(table, row)
        self._check_children(name, version.row)
        self._log(table, lambda: events.updated(table, version.row, row))

    def delete(self, name: TableName, version: Version) -> None:
        """Remove a visible row, and those that foreign keys delete with it. Raises
        RowRejectedError, WouldBlockError."""
        rows = self._lock_cascaded(name, version)
        for each, _ in rows:
            self._require_loggable(self.table(each))
        for _, gone in rows:
            self._end(gone)
        for each, gone in rows:
            self._check_children(each, gone.row)
        for each, gone in rows:
            self._log_deleted(self.table(each), gone)

    def _lock_cascaded(
        self, name: TableName, version: Version
    ) -> Sequence[tuple[TableName, Version]]:
        """A row and those that are deleted with it, parents first, all of them locked."""
        rows = [(name, version)]
        found = {version.number}
        for parent_name, parent in rows:  # grows
            self.lock_row(parent_name, parent)
            for child_name, foreign in self._database.cascading(parent_name):
                key = pick(parent.row, foreign.parent_columns)
                for child in self.table(child_name).candidates(foreign.columns, key):
                    if self.sees(child) and child.number not in found:
                        found.add(child.number)
                        rows.append((child_name, child))
        return rows

    def truncate(self, names: Sequence[TableName], *, cascade: bool = False) -> None:
        """Empty tables together. Raises TargetError when a table outside refers to one of them."""
        every = self._with_referring(names, cascade)
        for name in every:
            self.lock_table(name)
        for name in every:
            for version in list(self.scan(name)):
                self._end(version)
            self.rewrite(name)
        self._database.worked()
        published = tuple(self.table(name).relation for name in every)
        if self._database.logs(published):
            self.events.append(Truncate(published, cascade))

    def _with_referring(self, names: Sequence[TableName], cascade: bool) -> list[TableName]:
        every = list(names)
        for name in every:
            for child in self._database.referring(name):
                if child in every:
                    continue
                if not cascade:
                    raise TargetError(f"cannot truncate {name}: {child} refers to it")
                every.append(child)
        return every

    # --- schema -------------------------------------------------------------------------------

    def replace_table(
        self, name: TableName, table: Table | None, event: SchemaChanged | None = None
    ) -> None:
        """Put another table under a name (None: drop it), rows and all; undone like a row."""
        self.lock_table(name)
        before = self._database.tables.get(name)
        if before is not None and table is not None and before.relation is not table.relation:
            table.past = (*before.past, Past(before.relation, self.xid))
        self._database.put_table(name, table)
        self._undo.append(lambda: self._database.put_table(name, before))
        self._database.worked()
        if event is not None:
            self.events.append(event)

    def rewrite(self, name: TableName) -> None:
        """Give a table a new file, with the same rows."""
        self.lock_table(name)
        table = self.table(name)
        before, table.rewritten = table.rewritten, self.xid

        def undo() -> None:
            table.rewritten = before

        self._undo.append(undo)

    def check_whole(self, name: TableName) -> None:
        """Check every row of a table against its constraints. Raises RowRejectedError."""
        table = self.table(name)
        for version in self.scan(name):
            self._check_row(table, version.row)
            self._check_unique(table, version.row, version)
            for foreign in table.foreign_keys:
                self._require_parent(table, foreign, version.row)

    # --- savepoints and end -------------------------------------------------------------------

    def savepoint(self) -> None:
        self._require_open()
        self._savepoints.append(_Savepoint(len(self._undo), len(self.events), len(self._checks)))

    def release_savepoint(self, *, checked: bool = True) -> None:
        """Raises RowRejectedError when a deferred constraint does not hold now."""
        self._require_open()
        if checked:
            self._run_checks()
        self._savepoints.pop()

    def rollback_to_savepoint(self) -> None:
        self._require_open()
        savepoint = self._savepoints.pop()
        self._take_back(savepoint.undo)
        del self.events[savepoint.events :]
        del self._checks[savepoint.checks :]

    def prepare_commit(self) -> None:
        """Check what was deferred. Raises RowRejectedError; the transaction must then roll back."""
        self._require_open()
        self._run_checks()

    def take_back(self) -> None:
        """Undo everything; of a committed transaction only when it was the last one."""
        self._take_back(0)

    def _take_back(self, length: int) -> None:
        while len(self._undo) > length:
            self._undo.pop()()

    # --- the pieces ---------------------------------------------------------------------------

    def _require_open(self) -> None:
        if self.state is not State.OPEN:
            raise TargetError(f"transaction {self.xid} is {self.state.value}")

    def _make(self, table: Table, row: Cells) -> None:
        version = Version(self._database.next_version(), row, self.xid)
        table.add(version)
        self._undo.append(lambda: table.remove(version))
        self._database.worked()

    def _end(self, version: Version) -> None:
        before = version.ended
        version.ended = self.xid

        def undo() -> None:
            version.ended = before

        self._undo.append(undo)
        self._database.worked()

    def _log(self, table: Table, event: Callable[[], Event]) -> None:
        if self._database.logs((table.relation,)):
            self.events.append(event())

    def _log_deleted(self, table: Table, version: Version) -> None:
        self._log(table, lambda: events.deleted(table, version.row))

    def _require_loggable(self, table: Table) -> None:
        relation = table.relation
        published = relation.table in self._database.publication.streamed
        if published and not events.can_send_old_rows(relation):
            message = f"{relation.qualified} has no replica identity and publishes updates"
            raise RowRejectedError(message, sqlstate="55000")

    def _lock_new(self, name: TableName, table: Table, row: Cells) -> None:
        for unique in table.uniques:
            key = pick(row, unique.columns)
            if None not in key:
                self.lock(name, unique.columns, key)
        for foreign in table.foreign_keys:
            key = pick(row, foreign.columns)
            if None not in key and not foreign.deferrable:
                self.lock(foreign.parent, foreign.parent_columns, key, exclusive=False)

    def _check_row(self, table: Table, row: Cells) -> None:
        columns = table.relation.columns
        assert len(row) == len(columns), f"{table.relation.qualified}: {len(row)} values"
        for column, value in zip(columns, row, strict=True):
            if value is None and not column.nullable:
                message = f"{table.relation.qualified}.{column.name} refuses NULL"
                raise RowRejectedError(message, sqlstate=NOT_NULL_VIOLATION)

    def _check_unique(self, table: Table, row: Cells, replaced: Version | None) -> None:
        for unique in table.uniques:
            key = pick(row, unique.columns)
            if None in key:
                continue
            for other in table.candidates(unique.columns, key):
                if other is not replaced and self.sees(other):
                    raise _rejected(table, "duplicate value", unique.columns, UNIQUE_VIOLATION)

    def _check_parents(self, table: Table, row: Cells) -> None:
        for foreign in table.foreign_keys:
            if foreign.deferrable:
                self._checks.append(partial(self._parent, table, foreign, row))
            else:
                self._require_parent(table, foreign, row)

    def _parent(self, table: Table, foreign: ForeignKey, row: Cells) -> None:
        """The deferred check: only rows that still stand need their parent."""
        standing = table.candidates(foreign.columns, pick(row, foreign.columns))
        if any(self.sees(version) for version in standing):
            self._require_parent(table, foreign, row)

    def _require_parent(self, table: Table, foreign: ForeignKey, row: Cells) -> None:
        key = pick(row, foreign.columns)
        if None in key or self.find(foreign.parent, foreign.parent_columns, key) is not None:
            return
        raise _rejected(table, "no such parent", foreign.columns, FOREIGN_KEY_VIOLATION)

    def _check_children(self, name: TableName, row: Cells) -> None:
        for child_name in self._database.referring(name):
            child = self.table(child_name)
            for foreign in child.foreign_keys:
                if foreign.parent == name:
                    self._check_child(child_name, child, foreign, pick(row, foreign.parent_columns))

    def _check_child(self, name: TableName, child: Table, foreign: ForeignKey, key: Cells) -> None:
        def check() -> None:
            orphan = self.find(name, foreign.columns, key)
            if orphan is not None and not self.find(foreign.parent, foreign.parent_columns, key):
                raise _rejected(child, "still refers", foreign.columns, FOREIGN_KEY_VIOLATION)

        if foreign.deferrable:
            self._checks.append(check)
        else:
            check()

    def _run_checks(self) -> None:
        """What holds now is looked at again at the commit: PostgreSQL locks the rows that a check
        found, here another transaction may have come in between."""
        for check in self._checks:
            check()


def _rejected(table: Table, what: str, columns: Columns, sqlstate: str) -> RowRejectedError:
    names = ", ".join(table.relation.columns[i].name for i in columns)
    return RowRejectedError(f"{table.relation.qualified} ({names}): {what}", sqlstate=sqlstate)
