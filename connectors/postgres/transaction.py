"""One transaction of the target. Held back until it is worth a round trip.

Whatever fits is kept in an outbox and sent with the COMMIT: BEGIN, the fences, the rows and COMMIT
of a small batch are one round trip. Nothing can be committed over an error: in a pipeline and in a
query string the server skips everything behind the first refusal, and every statement that must
find its rows refuses when it does not.

Inside a savepoint every write is sent at once and leaves no deferred check open, so that a refusal
belongs to the rows it came with.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from psycopg.pq.abc import PGresult

from connectors._interchange.copy_rows import compile_encoder, encode
from connectors._sql.quoting import identifier
from connectors.postgres import control_sql, dialect, evolution, target_errors
from connectors.postgres.control import ControlRows
from connectors.postgres.link import LinkLostError, ServerError
from connectors.postgres.load_watch import LoadWatch
from connectors.postgres.newer_values import misread_in_text
from connectors.postgres.outbox import CALLS_MAX, Message, Outbox, Pipeline, Script, inlined
from connectors.postgres.plan import TablePlan
from connectors.postgres.prepared import Call
from connectors.postgres.rows import Calls, Copy, Step
from connectors.postgres.target_errors import is_fatal
from connectors.postgres.target_table import TargetTable
from engine.errors import (
    CommitUnknownError,
    SchemaMismatchError,
    TargetConnectionError,
    TargetError,
)
from engine.model.batch import Run, Written
from engine.model.change import DELETE, INSERT, SchemaChanged, Truncate
from engine.model.relation import Relation
from engine.model.state import Fence

if TYPE_CHECKING:
    from connectors.postgres.session import PostgresSession

HELD_BYTES_MAX: Final = 4_194_304
"""Encoded rows held back, in bytes; a batch above that is sent as it comes."""

BINARY: Final = "postgres-binary"
TEXT: Final = "postgres-text"
_COPY_OPTIONS: Final = {BINARY: " (FORMAT binary)", TEXT: ""}


class PostgresTransaction(ControlRows):
    """See `contracts.TargetTransaction`."""

    def __init__(self, session: "PostgresSession", fences: Sequence[Fence]) -> None:
        self._session = session
        self._fences = tuple(fences)
        self._outbox = Outbox()
        self._begun = False
        self._ended = False
        self._deferred = False
        self._depth = 0
        self._shapes: dict[int, tuple[int, str, str]] = {}
        """What was written, as it was read: OID, name in SQL and shape, by OID."""
        self._stages: set[int] = set()
        self._tables: set[str] = set()
        """What statements about user tables name as their subject."""

    # --- rows ---------------------------------------------------------------------------------

    async def write(self, runs: Sequence[Run]) -> Written:
        written = Written()
        for run in runs:
            if not run.rows:
                continue
            statements = await self._session.statements(run.relation)
            self._touch(statements.plan)
            for step in statements.steps(run):
                written.bytes += self._hold(step)
            written.rows += len(run.rows)
            if self._outbox.calls > CALLS_MAX or self._outbox.bytes > HELD_BYTES_MAX:
                await self._flush()
        if self._depth:
            await self._flush()
        return written

    async def truncate(self, truncate: Truncate) -> None:
        tables: list[TargetTable] = []
        for relation in truncate.relations:
            table = await self._session.table(relation.table)
            if table is None:
                raise SchemaMismatchError(
                    f"{relation.qualified}: the target has no such table to empty"
                )
            tables.append(table)
        statement = dialect.truncate(
            tables, cascade=truncate.cascade, restart_identity=truncate.restart_identity
        )
        names = ", ".join(relation.qualified for relation in truncate.relations)
        self._tables.add(names)
        self._outbox.script().add(statement, names)

    async def evolve(self, change: SchemaChanged) -> None:
        table = change.before.table if change.before is not None else change.table
        there = await self._session.table_now(table)
        self._tables.add(str(table))
        try:
            await self._evolve(change, there, str(table))
        except TargetError as error:
            raise target_errors.not_followed(error, str(table)) from error
        # Our own change of shape is not one that somebody made behind our back.
        self._shapes.clear()
        self._session.altered()

    async def _evolve(self, change: SchemaChanged, there: TargetTable | None, table: str) -> None:
        await self._session.run_apart(evolution.labels(change))
        config = self._session.config
        statements = evolution.statements(
            change, there, drop_columns=config.drop_columns, drop_tables=config.drop_tables
        )
        for statement in statements:
            self._outbox.script().add(statement, table)
        await self._flush()

    async def load(self, relation: Relation, form: str, data: AsyncIterator[bytes]) -> Written:
        session = self._session
        plan = await (session.text_plan if form == TEXT else session.plan)(relation)
        if form not in _COPY_OPTIONS or (form == BINARY and not plan.direct):
            raise SchemaMismatchError(
                f"{relation.qualified}: its rows cannot be loaded in the form {form}"
            )
        await self._flush()
        self._touch(plan)
        names = ", ".join(identifier(column.name) for column in relation.columns)
        copy = f"COPY {plan.target.sql} ({names}) FROM STDIN{_COPY_OPTIONS[form]}"
        written = Written()
        watch = None
        if form == TEXT and (misread := misread_in_text(relation, plan.target.version)):
            watch = LoadWatch(relation, misread)
            data = watch.admitted(data)
        try:
            (result,) = await self._session.link.script(copy, [_weighed(data, written)])
        except (ServerError, LinkLostError) as error:
            if isinstance(error, ServerError):
                target_errors.note_copied_column(error, relation)
            raise self._failure(error, [relation.qualified]) from error
        if watch is not None and watch.refusal is not None:
            raise watch.refusal
        written.rows = result.command_tuples or 0
        return written

    def _touch(self, plan: TablePlan) -> None:
        target = plan.target
        self._shapes[target.oid] = target.oid, target.sql, target.shape
        self._tables.add(plan.subject)
        if plan.target.deferrable and not self._deferred:
            self._add(control_sql.DEFER, plan.subject)
            self._deferred = True

    def _hold(self, step: Step) -> int:
        """Put a step into the outbox; its size in bytes."""
        if isinstance(step, Calls):
            self._outbox.pipeline().extend(step.calls, step.plan.subject)
            self._outbox.calls += len(step.calls)
            size = step.bytes
        else:
            size = self._hold_copy(step)
        self._outbox.bytes += size
        return size

    def _hold_copy(self, copy: Copy) -> int:
        plan = copy.plan
        indexes = tuple(column.index for column in copy.columns)
        pieces = list(encode(compile_encoder(indexes, len(plan.by_index)), copy.rows))
        script = self._outbox.script()
        script.feeds.append(pieces)
        for statement in self._copy_statements(copy, indexes):
            script.add(statement, plan.subject)
        return sum(map(len, pieces))

    def _copy_statements(self, copy: Copy, indexes: tuple[int, ...]) -> Sequence[str]:
        plan = copy.plan
        if not copy.staged:
            return [dialect.copy_rows(plan)]
        number, new = self._session.stage(plan, indexes)
        if new:
            self._stages.add(number)
            first = dialect.create_stage(number, copy.columns)
        else:
            first = dialect.empty_stage(number)
        fill = dialect.copy_stage(number, copy.columns)
        if copy.kind == INSERT:
            return [first, fill, dialect.insert_stage(plan, number)]
        if copy.kind == DELETE:
            apply = dialect.delete_stage(plan, number, len(copy.rows))
        else:
            apply = dialect.update_stage(plan, number, copy.changed, len(copy.rows))
        if not plan.key_indexed:
            return [first, fill, apply]
        return [first, fill, *dialect.NO_SCANS, apply, *dialect.SCANS]

    # --- savepoints ---------------------------------------------------------------------------

    async def savepoint(self) -> None:
        self._outbox.script().add(f"SAVEPOINT s{self._depth + 1}", "")
        await self._flush()
        self._depth += 1

    async def release_savepoint(self, *, checked: bool = True) -> None:
        if checked and self._deferred:
            subject = min(self._tables) if len(self._tables) == 1 else ""
            self._outbox.script().add("SET CONSTRAINTS ALL IMMEDIATE", subject)
            self._outbox.script().add("SET CONSTRAINTS ALL DEFERRED", "")
        self._outbox.script().add(f"RELEASE SAVEPOINT s{self._depth}", "")
        await self._flush()
        self._depth -= 1

    async def rollback_to_savepoint(self) -> None:
        self._outbox = Outbox()
        name = f"s{self._depth}"
        await self._session.run(f"ROLLBACK TO SAVEPOINT {name};RELEASE SAVEPOINT {name}")
        self._depth -= 1
        self._deferred = False
        self._forget_stages()

    # --- sending ------------------------------------------------------------------------------

    async def commit(self, positions: Mapping[str, str] | None = None) -> None:
        self._reposition(positions or {})
        if not self._begun and not self._fences and not self._outbox.messages:
            self._ended = True
            return
        if self._shapes:
            self._add(control_sql.same_shape(tuple(self._shapes.values())), "")
        lone = self._lone()
        if not lone:
            self._add(control_sql.COMMIT)
        self._outbox.ends = True
        results = await self._flush(begin=not lone)
        self._ended = True
        if not lone and results[-1].command_status != b"COMMIT":
            raise TargetError("the target answered COMMIT by rolling back")
        self._session.committed()

    async def rollback(self) -> None:
        """End without effect; what was held back is forgotten."""
        self._outbox = Outbox()
        self._ended = True
        self._forget_stages()
        await self._session.leave()

    def _reposition(self, positions: Mapping[str, str]) -> None:
        """Set lanes' positions: in the fences while they are still here, else by a statement."""
        if self._begun:
            for lane, position in positions.items():
                self._add(control_sql.reposition(self._replication, lane, position), lane)
            return
        self._fences = tuple(
            Fence(f.lane, f.epoch, f.seq, positions.get(f.lane, f.position)) for f in self._fences
        )

    def _lone(self) -> bool:
        """Whether everything goes in one pipeline. That is a transaction by itself, which commits
        at its end or, after any error, not at all; BEGIN and COMMIT would be two of its five
        statements. (PostgreSQL manual, Message Flow, "Pipelining".) Deferring constraints needs an
        explicit one."""
        messages = self._outbox.messages
        if self._begun or self._deferred or len(messages) > 1:
            return False
        first = messages[0] if messages else Pipeline()
        return isinstance(first, Pipeline) and len(first.calls) + len(self._fences) <= CALLS_MAX

    @property
    def _replication(self) -> str:
        return self._session.config.replication

    def _add(self, call: Call, subject: str = "") -> None:
        """Hold a call back: in the script that is open, or in a pipeline."""
        last = self._outbox.messages[-1] if self._outbox.messages else None
        if isinstance(last, Script):
            last.add(inlined(call), subject)
        else:
            self._outbox.pipeline().add(call, subject)

    async def _ask(self, *calls: Call) -> PGresult:
        """Send everything and these; the last one's result."""
        for call in calls:
            self._outbox.pipeline().add(call, "")
        (*_, last) = await self._flush()
        return last

    async def _flush(self, *, begin: bool = True) -> list[PGresult]:
        """Send what is held back. The results of the last message."""
        if self._ended:
            raise TargetError("the transaction has ended")
        if not self._begun:
            self._begun = True
            self._open(begin=begin)
        results: list[PGresult] = []
        ends = self._outbox.ends
        for message, is_last in self._outbox.take():
            results = await self._send(message, commits=ends and is_last)
        return results

    def _open(self, *, begin: bool) -> None:
        """Put BEGIN and the fences before everything, in the first message."""
        calls = [control_sql.BEGIN] if begin else []
        marked = self._session.marked
        for number, fence in enumerate(self._fences):
            first = marked and number == 0
            calls.append(control_sql.advance(self._replication, fence, marked=first))
        subjects = [""] * begin + [fence.lane for fence in self._fences]
        self._outbox.prepend(calls, subjects)

    async def _send(self, message: Message, *, commits: bool) -> list[PGresult]:
        link = self._session.link
        if link.broken:
            # Nothing is sent, so no COMMIT is: the outcome is known.
            raise self._failure(LinkLostError("the connection is gone"), message.subjects)
        try:
            if isinstance(message, Script):
                return await link.script(";".join(message.statements), message.feeds)
            return await link.pipeline(message.calls)
        except (ServerError, LinkLostError) as error:
            raise self._failure(error, message.subjects, commits=commits) from error

    def _failure(
        self,
        error: ServerError | LinkLostError,
        subjects: Sequence[str],
        *,
        commits: bool = False,
    ) -> TargetError:
        self._outbox = Outbox()
        self._forget_stages()
        lost = isinstance(error, LinkLostError) or is_fatal(error)
        if lost:
            self._session.link.broken = True
        if lost and commits:
            return CommitUnknownError(
                "the connection to the target broke after COMMIT was sent;"
                " whether it happened is read from the checkpoint rows"
            )
        if isinstance(error, LinkLostError):
            return TargetConnectionError("the connection to the target broke")
        subject = subjects[error.index] if error.index < len(subjects) else ""
        found = self._session.refused(error, subject)
        if subject in self._tables:
            return target_errors.of_table(found, subject)
        return found

    def _forget_stages(self) -> None:
        self._session.forget_stages(self._stages)
        self._stages = set()


async def _weighed(data: AsyncIterator[bytes], written: Written) -> AsyncIterator[bytes]:
    async for piece in data:
        written.bytes += len(piece)
        yield piece
