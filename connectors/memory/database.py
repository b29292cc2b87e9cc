"""The memory server: what outlives its clients.

Transactions, the log of committed ones, slots, snapshots and sessions. A client that dies is
`drop_session`ped: its open transaction rolls back and its locks are free, unless the transaction
was `detach`ed (a COMMIT the server already has in hand). `lose_commits` is a fail-over to a server
that had not got the newest transactions, or a restore.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from connectors.memory.events import LoggedTransaction, Publication
from connectors.memory.locks import LockTable
from connectors.memory.storage import Cells, ForeignKey, Table, View
from connectors.memory.transaction import ServerTransaction, State
from engine.errors import RowRejectedError
from engine.model.change import Change, Transaction
from engine.model.position import LogPosition
from engine.model.relation import Relation, TableName

FIRST_OFFSET: Final = 0x1000000
"""Where a fresh server's log begins; not 0, so that 0 is never a valid position."""

CHANGE_BYTES: Final = 64
COMMIT_BYTES: Final = 48
"""What a change and a commit record take in the log. Changes are logged when they are made, so two
transactions that overlap may have the end of one exactly where the other's commit record begins."""


@dataclass(eq=False)
class ServerSession:
    """A connection as the server knows it."""

    pid: int
    transaction: ServerTransaction | None = None
    alive: bool = True

    @property
    def identity(self) -> tuple[int, str]:
        return self.pid, f"start-{self.pid}"


@dataclass(eq=False)
class Slot:
    """A reader's place in the log. `acknowledged` is everything it was ever told, in order."""

    confirmed: int
    reader: ServerSession | None = None
    lost: bool = False
    acknowledged: list[int] = field(default_factory=list[int])


class Signal:
    """Wakes everyone who waits, in the order they came."""

    def __init__(self) -> None:
        self._waiters: list[asyncio.Future[None]] = []

    async def wait(self) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(future)
        try:
            await future
        finally:
            if future in self._waiters:
                self._waiters.remove(future)

    def notify(self) -> None:
        waiters, self._waiters = self._waiters, []
        for future in waiters:
            if not future.done():
                future.set_result(None)


class MemoryDatabase:
    """One server. `logging` off: a target, whose own log nobody reads."""

    def __init__(
        self,
        identity: str = "memory",
        *,
        logging: bool = True,
        wall: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.identity = identity
        self.logging = logging
        self.tables: dict[TableName, Table] = {}
        self.publication = Publication()
        self.slots: dict[str, Slot] = {}
        self.log: list[LoggedTransaction] = []
        self.offset = FIRST_OFFSET
        self.locks = LockTable()
        self.open: dict[int, ServerTransaction] = {}
        self.sessions: dict[int, ServerSession] = {}
        self.changed = Signal()
        """Told when a transaction ends, a session dies, or the log grows."""
        self.work = 0
        """Grows with everything that changes the server; equal means nothing happened between."""
        self.after_commit: list[Callable[[ServerTransaction], None]] = []
        self.history: list[ServerTransaction] = []
        """Every commit, oldest first."""
        self._wall = wall
        self._views: dict[str, tuple[ServerSession, View]] = {}
        self._next_xid = 1
        self._next_version = 0
        self._next_pid = 100
        self._next_token = 0

    # --- transactions -------------------------------------------------------------------------

    def begin(self, session: ServerSession | None = None) -> ServerTransaction:
        """Start a transaction. Without a session it is the caller's own to end."""
        transaction = ServerTransaction(self, self._next_xid)
        self._next_xid += 1
        self.open[transaction.xid] = transaction
        if session is not None:
            assert session.transaction is None, "one transaction at a time in a session"
            session.transaction = transaction
        self.worked()
        return transaction

    def commit(self, transaction: ServerTransaction) -> None:
        """Make it durable.

        Raises:
            RowRejectedError: a deferred constraint does not hold; it was rolled back.
        """
        try:
            transaction.prepare_commit()
        except RowRejectedError:
            self.rollback(transaction)
            raise
        transaction.state = State.COMMITTED
        transaction.committed_at_us = int(self._wall() * 1_000_000)
        self._log(transaction)
        self.history.append(transaction)
        self._ended(transaction)
        for listener in self.after_commit:
            listener(transaction)

    def rollback(self, transaction: ServerTransaction) -> None:
        """Undo it. No effect on one that has ended."""
        if transaction.state is State.OPEN:
            transaction.take_back()
            transaction.state = State.ABORTED
            self._ended(transaction)

    def detach(self, session: ServerSession) -> ServerTransaction:
        """Take a session's transaction from it: the server will end it by itself."""
        transaction = session.transaction
        assert transaction is not None
        session.transaction = None
        return transaction

    async def wait_for(self, transaction: ServerTransaction, holders: tuple[int, ...]) -> None:
        """Wait until the holders of a lock have ended.

        Raises:
            DeadlockError: they wait for this transaction.
        """
        self.locks.wait(transaction.xid, holders)
        try:
            while transaction.state is State.OPEN and any(x in self.open for x in holders):
                await self.changed.wait()
        finally:
            self.locks.waited(transaction.xid)

    def lose_commits(self, count: int) -> int:
        """Forget the last `count` commits and cut every session; return how many there were."""
        for session in list(self.sessions.values()):
            self.drop_session(session)
        for transaction in list(self.open.values()):
            self.rollback(transaction)
        lost = min(count, len(self.history))
        for _ in range(lost):
            self.history.pop().take_back()
        self.worked()
        return lost

    def _log(self, transaction: ServerTransaction) -> None:
        if not self.logging:
            return
        head = Transaction(self.offset, transaction.xid, transaction.committed_at_us)
        self.offset += COMMIT_BYTES
        end = LogPosition(self.offset)
        logged = LoggedTransaction(head, tuple(transaction.events), end, transaction.publication)
        self.log.append(logged)

    def _ended(self, transaction: ServerTransaction) -> None:
        del self.open[transaction.xid]
        self.locks.release(transaction.xid)
        for session in self.sessions.values():
            if session.transaction is transaction:
                session.transaction = None
        self.worked()
        self.changed.notify()

    # --- what transactions ask ----------------------------------------------------------------

    def committed(self, xid: int) -> bool:
        """Whether a version's maker or ender has committed; rolled back ones left no version."""
        return xid not in self.open

    def next_version(self) -> int:
        self._next_version += 1
        return self._next_version

    def worked(self) -> None:
        self.work += 1

    def logs(self, relations: Sequence[Relation]) -> bool:
        """Make room in the log for one change of these tables; False when nothing is logged."""
        if self.logging and relations:
            self.offset += CHANGE_BYTES
        return self.logging

    def put_table(self, name: TableName, table: Table | None) -> None:
        if table is None:
            self.tables.pop(name, None)
        else:
            self.tables[name] = table

    def referring(self, name: TableName) -> list[TableName]:
        """Tables with a foreign key to this one, itself left out."""
        return [
            child
            for child, table in self.tables.items()
            if child != name and any(foreign.parent == name for foreign in table.foreign_keys)
        ]

    def cascading(self, name: TableName) -> list[tuple[TableName, ForeignKey]]:
        """Foreign keys that delete their rows with those of this table, and where they are."""
        return [
            (child, foreign)
            for child, table in self.tables.items()
            for foreign in table.foreign_keys
            if foreign.cascade and foreign.parent == name
        ]

    def visible_rows(self, name: TableName) -> list[Cells]:
        """Every committed row of a table, in the order rows were made."""
        table = self.tables.get(name)
        running = self.open
        return [
            version.row
            for version in (table.versions.values() if table else ())
            if version.made not in running and (not version.ended or version.ended in running)
        ]

    # --- sessions, snapshots, slots -----------------------------------------------------------

    def connect(self) -> ServerSession:
        session = ServerSession(self._next_pid)
        self._next_pid += 1
        self.sessions[session.pid] = session
        return session

    def drop_session(self, session: ServerSession) -> None:
        """The connection is gone: roll back, let go of locks, slots and snapshots. Idempotent."""
        session.alive = False
        if self.sessions.pop(session.pid, None) is None:
            return
        if session.transaction is not None:
            self.rollback(session.transaction)
        for slot in self.slots.values():
            if slot.reader is session:
                slot.reader = None
        for token in [t for t, (owner, _) in self._views.items() if owner is session]:
            del self._views[token]
        self.worked()
        self.changed.notify()

    def view(self) -> View:
        """What is committed now."""
        return View(self._next_xid, frozenset(self.open))

    def export(self, session: ServerSession, view: View) -> str:
        """Keep a view for readers as long as the session lives; return its token."""
        self._next_token += 1
        token = f"snapshot-{session.pid}-{self._next_token}"
        self._views[token] = (session, view)
        return token

    def exported(self, token: str) -> View | None:
        found = self._views.get(token)
        return found[1] if found else None

    def acknowledge(self, slot: Slot, offset: int) -> None:
        """Move a slot on; never back, and never past the log's end."""
        assert offset <= self.offset, "acknowledged more than was ever written"
        slot.acknowledged.append(offset)
        slot.confirmed = max(slot.confirmed, offset)
        self.worked()

    def changes(self) -> int:
        """How many row changes the whole log holds."""
        return sum(isinstance(event, Change) for entry in self.log for event in entry.events)
