"""What a source and a target promise the engine; what the machine does, `engine.machine` says.

A connector author reads this file. A connector never decides about positions, epochs or retries:
it offers primitives, and the engine's protocol (claim, write, commit, resolve, rewind) is composed
from them in `engine/checkpoint` and `engine/apply`, so that the simulator tests the guarantee.

Optional abilities are further small protocols, found with `isinstance`.
"""

from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Collection,
    Mapping,
    Sequence,
)
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

from engine.model.batch import Run, Written
from engine.model.change import Block, SchemaChanged, Transaction, Truncate
from engine.model.chunk import Chunk, ChunkDone
from engine.model.finding import Finding
from engine.model.load_rows import LoadRows
from engine.model.position import Position
from engine.model.relation import Relation, TableName
from engine.model.retained import Retained
from engine.model.snapshot import Snapshot
from engine.model.state import Fence, LaneRow, Owner, RejectedRow, TableRecord
from engine.model.table import ForeignKey, TableDefinition
from engine.model.value import Key, KeyHash

# --- source ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Attached:
    """What `Source.attach` found or made.

    `start`: the oldest position the stream can be read from. `created`: the reader on the source
    (slot) was made just now, so `start` is exactly the point of the snapshot that `snapshot()`
    gives until it is closed.
    """

    identity: str
    start: Position
    created: bool


Waiting: TypeAlias = Callable[[float, Sequence[str]], None]
"""Told of a wait that takes long, now and then: for how many seconds, and for whom, in words."""


@runtime_checkable
class Source(Protocol):
    """One database's change log, read in commit order."""

    async def open(self) -> str:
        """Connect and return the source's identity (for PostgreSQL: system id and database).
        May be called again after `close`.

        Raises:
            SourceConnectionError, SourceError.
        """
        ...

    async def close(self) -> None:
        """Release every connection. Idempotent."""
        ...

    async def relations(self) -> Sequence[Relation]:
        """Every user table there is now (partitioned tables by root), sorted by name.

        A table that cannot send UPDATE and DELETE has `key == ()` and an identity other than FULL.
        """
        ...

    async def attach(
        self,
        streamed: Sequence[TableName],
        insert_only: Sequence[TableName],
        *,
        create: bool = True,
    ) -> Attached:
        """Make or check what reading the log needs (publication, then slot) for these tables.
        Without `create` the reader (slot) must be there: a new one would begin at "now".

        Idempotent. Does not wait for another reader of the same slot; `blocks` does.

        Raises:
            PositionLostError: the slot is lost, invalidated, or absent and not to be made.
        """
        ...

    async def publish(
        self,
        streamed: Sequence[TableName],
        insert_only: Sequence[TableName],
        *,
        waiting: Waiting | None = None,
    ) -> None:
        """Change the set of tables while the stream runs. Returns when every transaction that
        began before the change has ended, so a snapshot taken from now on leaves no gap.

        Raises:
            SourceBusyError: that took longer than is allowed; the set is changed all the same.
        """
        ...

    async def detach(self) -> None:
        """Drop what `attach` made; leave what was named by the user. Idempotent."""
        ...

    def position(self, text: str) -> Position:
        """Read a stored position. Raises ValueError."""
        ...

    def blocks(self, after: Position) -> AsyncGenerator[Block, None]:
        """Yield every change committed after `after`, in commit order.

        One await per block, none per row. A large transaction may span many blocks. `Part.first`
        counts insert, update, delete and truncate events as the log has them, from 1. Transactions
        carry no `number` yet. What was not acknowledged may be sent again, never skipped. A
        position inside a transaction restarts at that transaction's beginning. Closing the iterator
        releases the connection.

        Raises:
            SourceConnectionError: the link broke; call again.
            SlotBusyError: another reader holds the slot.
            PositionLostError: the log does not reach back to `after`, or was acknowledged past it.
            SourceIdentityError: another server answers.
            SourceSwitchedError: the log has another branch than `branch` said.
            DecodeError: bytes that may carry data were not understood.
        """
        ...

    async def acknowledge(self, position: Position) -> None:
        """Tell the source that everything up to `position` is durable and recorded on our side.

        Never waits for the network: the position is sent with the next feedback, soon.
        """
        ...

    async def head(self) -> Position:
        """The newest committed position on the server now. One round trip."""
        ...

    async def retained(self) -> Retained:
        """What the source keeps for us now."""
        ...


@runtime_checkable
class ReadSource(Source, Protocol):
    """Optional: it is known who reads the log for a replication."""

    async def reader(self) -> str | None:
        """Who does so now, in words for people; None when nobody does. A reader whose process died
        may be told until the source has noticed.

        Raises:
            ReaderUnknownError, SourceConnectionError, SourceError.
        """
        ...


@runtime_checkable
class ExclusiveSource(ReadSource, Protocol):
    """Optional: the log is read through something that one reader at a time may hold (a slot), and
    nobody else begins before that one is gone."""

    async def evict(self) -> None:
        """End that reader's session on the source, as far as allowed."""
        ...


@runtime_checkable
class KeyedTables(Protocol):
    """Optional, for either side: it knows whether rows of different keys can meet."""

    async def key_obstacles(self, relations: Sequence[Relation]) -> Mapping[TableName, str]:
        """Why changes of different keys could hinder each other, in words, for tables in which they
        could: another unique or exclusion constraint, equal keys of different bytes, ..."""
        ...


@runtime_checkable
class KeyedSource(KeyedTables, Source, Protocol):
    """Optional: the keys of its tables can be told apart by a number."""

    def key_hash(self, relation: Relation) -> KeyHash | None:
        """One for equal keys, in every process and whichever form values travel in; or None."""
        ...


@runtime_checkable
class BranchingSource(Source, Protocol):
    """Optional: after a fail-over the log goes on as another branch (PostgreSQL: timeline), which
    may lack the end of the one before. Branches are texts, equal only for the same branch."""

    async def branch(self) -> str:
        """The branch that the server writes now; `blocks` reads no other from here on."""
        ...

    async def check_branch(self, left: str, reached: Sequence[Position]) -> None:
        """Check that the present branch holds all of branch `left` up to these positions.

        Raises:
            PositionLostError: it left that branch before one of them.
            SourceIdentityError: it did not come from that branch at all.
        """
        ...


@runtime_checkable
class SnapshotSource(Source, Protocol):
    """Optional: existing rows can be read (full load)."""

    async def definitions(
        self, tables: Sequence[TableName], *, to_load: bool = False
    ) -> Sequence[TableDefinition]:
        """What those of these tables that are there are like now. `to_load`: they are about to be
        read with these versions, and the stream tells of them from now on what these do not have.
        """
        ...

    def snapshot(self) -> AbstractAsyncContextManager[Snapshot]:
        """The snapshot of a slot just created by `attach`, else a new one."""
        ...

    async def chunks(self, relation: Relation, rows_max: int) -> Sequence[Chunk]:
        """Cut a table into chunks of about `rows_max` rows that together cover every key."""
        ...

    def rows(self, chunk: Chunk, snapshot: Snapshot, form: str) -> AsyncGenerator[bytes, None]:
        """The chunk's rows at the snapshot, in the form the target asked for (`Target.load_form`),
        as byte buffers of any size. Closing the iterator early releases the reader.

        Raises:
            SnapshotLostError: the snapshot is gone.
        """
        ...

    def visible(self, snapshot: str, transaction: Transaction) -> bool:
        """Whether rows written by this transaction are in a snapshot with that text."""
        ...

    def chunk_of(self, done: Sequence[ChunkDone], relation: Relation, key: Key) -> ChunkDone | None:
        """The chunk in whose range a key (wire values, in `relation.key` order) lies."""
        ...


# --- target ---------------------------------------------------------------------------------------


@runtime_checkable
class ControlTransaction(Protocol):
    """Primitives over the control tables of one replication, inside one transaction."""

    async def lock_owner(self) -> Owner | None:
        """Read the owner row and hold its lock; None when there is none (its absence is locked).

        Raises TargetBusyError when the lock is not had within the session's lock timeout.
        """
        ...

    async def peek_owner(self) -> Owner | None:
        """Read the owner row as committed now, without any lock."""
        ...

    async def save_owner(self, owner: Owner) -> None: ...

    async def raise_lanes(self, epoch: int) -> Mapping[str, LaneRow]:
        """Set every lane's epoch; return what the rows hold then. Waits for commits in progress."""
        ...

    async def lanes(self) -> Mapping[str, LaneRow]:
        """Every lane row, locked, so a commit in progress is waited for."""
        ...

    async def glance(self) -> tuple[int, int]:
        """(owner's epoch, sum of every lane's seq) as committed now, without any lock; (0, 0) when
        there is no owner row."""
        ...

    async def save_lane(self, lane: str, row: LaneRow) -> None:
        """Insert or replace a lane row."""
        ...

    async def remove_lane(self, lane: str) -> None: ...

    async def tables(self) -> Sequence[TableRecord]: ...

    async def save_table(self, record: TableRecord) -> None:
        """Insert or replace; an empty `relation` keeps the stored one. What was asked for and
        answered stays as it is stored."""
        ...

    async def request_reload(self, table: TableName) -> None:
        """Ask for a recorded table to be loaded again: `TableRecord.asked` grows by one."""
        ...

    async def answer_reload(self, table: TableName, asked: int | None = None) -> None:
        """Requests up to number `asked` (None: all there are) are being carried out."""
        ...

    async def remove_table(self, table: TableName) -> None: ...

    async def chunks(self) -> Sequence[ChunkDone]: ...

    async def save_chunk(self, chunk: ChunkDone) -> None:
        """Insert or replace a chunk's record: it is planned first, then done."""
        ...

    async def remove_chunks(self, table: TableName) -> None: ...

    async def reject(self, row: RejectedRow) -> None:
        """Keep a row that was not applied, in the quarantine table."""
        ...

    async def remove_replication(self) -> None:
        """Remove every control row of this replication."""
        ...

    async def rollback(self) -> None:
        """End the transaction without effect; leaving the context does the same."""
        ...

    async def commit(self, positions: Mapping[str, str] | None = None) -> None:
        """Commit, durably (flushed). `positions` replaces those given with the fences, by lane."""
        ...


@runtime_checkable
class TargetTransaction(ControlTransaction, Protocol):
    """One target transaction: rows and control rows become durable together or not at all.

    Its first effect is the fences given to `begin`. An implementation may hold everything back and
    send it in one round trip at `commit`: any error below may then surface there instead.

    Raises, from any method:
        FenceFailedError: a fence changed no row.
        RowRejectedError: the target refuses a row; RowMissingError: one to change was not there.
        TargetBusyError: the same transaction may succeed now.
        TargetConnectionError: the link broke; CommitUnknownError, from `commit`: after COMMIT went.
        TargetFullError, SchemaMismatchError.
    """

    async def write(self, runs: Sequence[Run]) -> Written:
        """Apply runs in order. A row to delete that is not there is no error in a table from which
        the target deletes rows by itself (a cascading foreign key). Inside a savepoint a refused
        row is told here."""
        ...

    async def truncate(self, truncate: Truncate) -> None: ...

    async def evolve(self, change: SchemaChanged) -> None:
        """Apply a schema change whose steps `plan.schema` judged to be exact."""
        ...

    async def load(self, relation: Relation, form: str, data: AsyncIterator[bytes]) -> Written:
        """Write a chunk's rows, as `SnapshotSource.rows` gave them. As `write`."""
        ...

    async def savepoint(self) -> None:
        """Set the (one) savepoint; nested calls nest."""
        ...

    async def release_savepoint(self, *, checked: bool = True) -> None:
        """Forget the newest savepoint, its work stays. `checked`: what the target checks at the
        commit alone, deferred constraints, is checked first."""
        ...

    async def rollback_to_savepoint(self) -> None:
        """Undo to the newest savepoint and forget it; the transaction is usable again."""
        ...


class TargetSession(Protocol):
    """One connection of one applier. Not shared; one transaction at a time."""

    @property
    def identity(self) -> tuple[int, str]:
        """(backend pid, backend start) on the server; (0, '') where there is no such thing."""
        ...

    def begin(self, fences: Sequence[Fence] = ()) -> AbstractAsyncContextManager[TargetTransaction]:
        """A transaction; leaving the context without `commit` rolls it back. After any error but
        a rolled-back row error the session may be broken: `broken` tells."""
        ...

    @property
    def broken(self) -> bool: ...


@runtime_checkable
class Target(Protocol):
    """Where rows go."""

    async def open(self) -> None:
        """Connect, as far as needed to know that it answers. May be called again after `close`."""
        ...

    async def close(self) -> None:
        """Release every connection. Idempotent."""
        ...


@runtime_checkable
class TransactionalTarget(Target, Protocol):
    """A target that can commit rows and their position together: exactly once."""

    async def prepare_control(self) -> None:
        """Create the control tables or migrate them to this version. Idempotent.

        Raises SchemaMismatchError when they were made by a newer version.
        """
        ...

    def session(self) -> AbstractAsyncContextManager[TargetSession]: ...

    async def terminate(self, sessions: Sequence[tuple[int, str]]) -> None:
        """End these sessions on the server, as far as allowed. For a predecessor that hangs."""
        ...


@runtime_checkable
class Announcing(Protocol):
    """Optional: the target opens sessions by itself that change things, for work that takes long
    (indexes, keys), and tells of each before it does anything."""

    def announce_to(
        self, opened: Callable[[tuple[int, str]], AbstractAsyncContextManager[None]]
    ) -> None:
        """`opened(identity)` is entered before such a session is used, and left after it."""
        ...


@runtime_checkable
class SchemaTarget(Target, Protocol):
    """Optional: tables can be described, created and finished."""

    async def relation(self, table: TableName) -> Relation | None:
        """What the table looks like now; None when absent."""
        ...

    async def empty(self, table: TableName) -> bool: ...

    async def ensure(self, definitions: Sequence[TableDefinition], prepare: str) -> None:
        """Create what is missing, before the load. `prepare`: do-nothing, drop-and-create,
        truncate. Idempotent for do-nothing.

        Raises SchemaMismatchError for a table of another shape.
        """
        ...

    async def load_form(self, relation: Relation) -> str:
        """The form in which `TargetTransaction.load` wants this relation's rows."""
        ...

    def load_rows(self, relation: Relation, form: str) -> LoadRows:
        """Takes data of this relation in that form apart."""
        ...

    async def finish(self, definitions: Sequence[TableDefinition]) -> Sequence[Finding]:
        """Create indexes, unique and foreign keys, set sequences, after the load. Idempotent.

        What cannot be made (duplicate values, missing parent) is a finding, not an error.
        """
        ...

    async def loosen(
        self, definitions: Sequence[TableDefinition], tables: Collection[TableName]
    ) -> None:
        """Drop those foreign keys of these definitions that start from or lead to one of `tables`,
        so that they can be emptied and filled in any order; `finish` makes them again. Keys that
        only the target has stay. Idempotent."""
        ...

    async def foreign_keys(self) -> Sequence[ForeignKey]:
        """Which tables refer to which others, one entry for each pair."""
        ...


@runtime_checkable
class OriginTarget(TransactionalTarget, Protocol):
    """Optional: what is written in fenced transactions carries a mark, so that a replication that
    reads this target in the other direction can leave it out."""

    async def prepare_origins(self) -> Finding | None:
        """Make what marking needs; comes before the claim. A finding tells why nothing is marked.

        Raises TargetError where marking is required and cannot be had.
        """
        ...

    async def drop_origins(self) -> None:
        """Drop what marking needed. Idempotent.

        Raises TargetBusyError: a session still holds it.
        """
        ...


@runtime_checkable
class Checked(Protocol):
    """Optional: preflight. Reads only."""

    async def preflight(self, relations: Sequence[Relation]) -> Sequence[Finding]: ...
