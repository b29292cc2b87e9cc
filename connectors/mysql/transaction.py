"""One transaction of the target. Held back until it is worth a round trip.

Whatever fits is kept in an outbox and sent with the COMMIT: BEGIN, the fences, the rows and COMMIT
of a small batch are one query of several statements. The server stops at the first that fails, and
a statement that must find its rows is followed by one that fails when it does not: so nothing can
be committed over an error.

Inside a savepoint every write is sent at once, so that a refusal belongs to the rows it came with.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from connectors.mysql import (
    control_sql,
    load_data,
    target_errors,
    target_evolution,
    target_truncate,
)
from connectors.mysql.control import ControlRows
from connectors.mysql.outbox import Kind, Outbox, Sent
from connectors.mysql.result import Result
from connectors.mysql.statements import CHANGED_ERRNO, COUNT_ERRNO, FENCED
from connectors.mysql.target_link import LinkLostError, ServerError
from engine.errors import (
    CommitUnknownError,
    FenceFailedError,
    SchemaMismatchError,
    TargetBusyError,
    TargetConnectionError,
    TargetError,
)
from engine.model.batch import Run, Written
from engine.model.change import SchemaChanged, Truncate
from engine.model.relation import Relation
from engine.model.state import Fence

if TYPE_CHECKING:
    from connectors.mysql.session import MysqlSession

HELD_BYTES_MAX: Final = 2_097_152
"""Statements held back, in bytes; a batch above that is sent as it comes. The server keeps a query
whole in memory while it runs it."""


class MysqlTransaction(ControlRows):
    """See `contracts.TargetTransaction`."""

    def __init__(self, session: "MysqlSession", fences: Sequence[Fence]) -> None:
        self._session = session
        self._fences = tuple(fences)
        self._outbox = Outbox()
        self._begun = False
        self._ended = False
        self.committed = False
        """Whether everything is durable."""
        self._depth = 0
        self.stages_before = session.last_stage
        """Number of the newest staging table there was."""
        self._tables: set[str] = set()
        """What statements about user tables name as their subject."""
        self._sent: set[str] = set()
        """Those of them that the server holds for this transaction."""

    # --- rows ---------------------------------------------------------------------------------

    async def write(self, runs: Sequence[Run]) -> Written:
        written = Written()
        for run in runs:
            if not run.rows:
                continue
            statements = await self._session.statements(run.relation)
            subject = statements.plan.subject
            self._tables.add(subject)
            for statement in statements.of(run):
                await self._make_room(len(statement.sql))
                self._outbox.add_rows(statement, subject)
                written.bytes += len(statement.sql) + len(statement.data)
                await self._send_much()
            written.rows += len(run.rows)
        if self._depth:
            await self._flush()
        return written

    async def _send_much(self) -> None:
        """Hold no more back than is worth it."""
        if self._outbox.size > min(HELD_BYTES_MAX, self._session.packet_bytes_max // 2):
            await self._flush()

    async def _make_room(self, size: int) -> None:
        """Send what would not fit into one packet with a statement of this size."""
        if self._outbox.size and self._outbox.size + size > self._session.packet_bytes_max:
            await self._flush()

    async def truncate(self, truncate: Truncate) -> None:
        names = ", ".join([relation.qualified for relation in truncate.relations])
        self._tables.add(names)
        for sql in await target_truncate.statements(self._session, truncate):
            self._outbox.add(sql, names)

    async def evolve(self, change: SchemaChanged) -> None:
        table = change.before.table if change.before is not None else change.table
        subject = str(table)
        if subject in self._sent or (subject in self._tables and _takes_away(change)):
            raise SchemaMismatchError(
                f"{table}: rows of the same transaction came before the change, and a change of a"
                " table commits here",
                hint="reload the table",
            )
        await self._begin()  # nobody who has lost the lane changes a table
        await target_evolution.evolve(self._session, change)
        self._session.forget()
        self._add(control_sql.remove_intent(self._replication, table))

    async def load(self, relation: Relation, form: str, data: AsyncIterator[bytes]) -> Written:
        load_data.require_form(relation, form)
        plan = (await self._session.statements(relation)).plan
        self._tables.add(plan.subject)
        if not self._session.loads:
            return await load_data.insert(self.write, relation, form, data)
        await self._flush()
        feed = load_data.Feed(relation, form, data)
        sql = load_data.statement(plan)
        (result,) = await self._send([Sent(sql, plan.subject, Kind.PLAIN, feed=feed)])
        if result.warnings or result.affected != feed.rows:
            raise await load_data.refusal(self._session, plan.subject, result, feed.rows)
        return Written(feed.rows, feed.bytes)

    # --- savepoints ---------------------------------------------------------------------------

    async def savepoint(self) -> None:
        self._outbox.add(b"SAVEPOINT s%d" % (self._depth + 1))
        await self._flush()
        self._depth += 1

    async def release_savepoint(self, *, checked: bool = True) -> None:
        """Nothing is checked at the commit alone here."""
        self._outbox.add(b"RELEASE SAVEPOINT s%d" % self._depth)
        await self._flush()
        self._depth -= 1

    async def rollback_to_savepoint(self) -> None:
        self._outbox = Outbox()
        self._session.forget_stages(self.stages_before)
        name = b"s%d" % self._depth
        checks = b"SET SESSION foreign_key_checks = %d" % self._session.config.checks_keys
        back = [b"ROLLBACK TO SAVEPOINT " + name, b"RELEASE SAVEPOINT " + name, checks]
        await self._send([Sent(sql, "", Kind.PLAIN) for sql in back])
        self._depth -= 1

    # --- sending ------------------------------------------------------------------------------

    async def commit(self, positions: Mapping[str, str] | None = None) -> None:
        self._reposition(positions or {})
        if not self._begun and not self._fences and not self._outbox.waiting:
            self._ended = True
            return
        if self._begun:
            await self._make_room(len(control_sql.COMMIT))
        self._outbox.commit(after=self._session.patience(waits=True) if self._begun else ())
        await self._flush()
        self._ended = self.committed = True
        self._session.committed()

    async def rollback(self) -> None:
        """End without effect; what was held back is forgotten."""
        self._outbox = Outbox()
        self._ended = True
        await self._session.leave()

    def _reposition(self, positions: Mapping[str, str]) -> None:
        """Set lanes' positions: in the fences while they are still here, else by a statement."""
        if self._begun:
            for lane, position in positions.items():
                self._add(control_sql.reposition(self._replication, lane, position))
            return
        self._fences = tuple(
            [Fence(f.lane, f.epoch, f.seq, positions.get(f.lane, f.position)) for f in self._fences]
        )

    @property
    def _replication(self) -> str:
        return self._session.config.replication

    def _add(self, sql: bytes, subject: str = "") -> None:
        self._outbox.add(sql, subject)

    async def _add_many(self, sql: bytes, what: str) -> None:
        if len(sql) > self._session.packet_bytes_max:
            raise TargetError(
                f"{what} cannot be kept: with {len(sql)} bytes it is larger than the target's"
                f" max_allowed_packet allows ({self._session.packet_bytes_max} bytes)",
                hint="raise max_allowed_packet on the target, up to 1 GiB",
            )
        await self._make_room(len(sql))
        self._add(sql)
        await self._send_much()

    async def _ask(self, *statements: bytes) -> Result:
        for sql in statements:
            self._outbox.add(sql)
        return (await self._flush())[-1]

    async def _flush(self) -> list[Result]:
        """Send what is held back, with BEGIN and the fences before it the first time."""
        if self._ended:
            raise TargetError("the transaction has ended")
        waiting, self._outbox = self._outbox.waiting, Outbox()
        commits = any(sent.kind is Kind.COMMIT for sent in waiting)
        first = [] if self._begun else self._opening(commits=commits)
        if not waiting and not first:
            return []
        return (await self._send([*first, *waiting]))[-len(waiting) or None :]

    async def _begin(self) -> None:
        """Have the fences judged, whatever is held back."""
        if not self._begun:
            await self._send(self._opening(commits=False))

    def _opening(self, *, commits: bool) -> list[Sent]:
        self._begun = True
        self._session.in_transaction = True
        patience = () if commits else self._session.patience(waits=False)
        plain = [Sent(sql, "", Kind.PLAIN) for sql in (*patience, control_sql.BEGIN)]
        return plain + self._fenced()

    def _fenced(self) -> list[Sent]:
        fenced: list[Sent] = []
        for fence in self._fences:
            advance = control_sql.advance(self._replication, fence)
            fenced.append(Sent(advance, "", Kind.PLAIN))
            fenced.append(Sent(FENCED, fence.lane, Kind.FENCE))
        return fenced

    async def _send(self, statements: Sequence[Sent]) -> list[Result]:
        link = self._session.link
        if link.broken:
            # Nothing is sent, so no COMMIT is: the outcome is known.
            raise TargetConnectionError("the connection to the target is closed")
        feeds = {i: sent.feed for i, sent in enumerate(statements) if sent.feed is not None}
        try:
            results = await link.script([sent.sql for sent in statements], feeds)
        except (ServerError, LinkLostError) as error:
            raise self._failure(error, statements) from error
        self._sent.update(sent.subject for sent in statements if sent.kind is not Kind.FENCE)
        if any(sent.kind is Kind.COMMIT for sent in statements):
            self._session.in_transaction = False
        return results

    def _failure(
        self, error: ServerError | LinkLostError, statements: Sequence[Sent]
    ) -> TargetError:
        self._outbox = Outbox()
        self._session.forget_stages(self.stages_before)
        commits = [number for number, s in enumerate(statements) if s.kind is Kind.COMMIT]
        if isinstance(error, LinkLostError):
            return _unknown() if commits else target_errors.lost(error)
        fatal = target_errors.is_fatal(error)
        if fatal:
            self._session.link.broken = True
        # Before COMMIT the server has run nothing of what stands behind.
        if commits and (error.index > commits[0] or (fatal and error.index == commits[0])):
            return _unknown()
        return self._refused(error, statements[min(error.index, len(statements) - 1)])

    def _refused(self, error: ServerError, sent: Sent) -> TargetError:
        if sent.kind is Kind.FENCE and error.errno == COUNT_ERRNO:
            return FenceFailedError(
                f"the checkpoint of {sent.subject} is not where this owner left it",
                context={"lane": sent.subject},
            )
        if sent.kind is Kind.LOAD or sent.kind is Kind.LOADED:
            return self._not_loaded(error, sent)
        if sent.kind is Kind.CHECK and error.errno in (COUNT_ERRNO, CHANGED_ERRNO):
            found = target_errors.miscounted(error, sent.subject, sent.rows)
        else:
            found = target_errors.refusal(error, sent.subject)
        found = self._session.refused(error, found, sent.subject)
        return (
            target_errors.of_table(found, sent.subject) if sent.subject in self._tables else found
        )

    def _not_loaded(self, error: ServerError, sent: Sent) -> TargetError:
        """The rows are tried again as statements, which tell what is wrong with which of them."""
        found = target_errors.refusal(error, sent.subject)
        if isinstance(found, TargetBusyError | TargetConnectionError):
            return found
        self._session.load_no_more(sent.subject)
        refused = target_errors.not_loaded(error, sent.subject)
        return target_errors.of_table(refused, sent.subject)


def _takes_away(change: SchemaChanged) -> bool:
    """Whether rows of the version before cannot be written any more."""
    return any(step.kind in ("drop-column", "rename-column") for step in change.steps)


def _unknown() -> CommitUnknownError:
    return CommitUnknownError(
        "the connection to the target broke after COMMIT was sent;"
        " whether it happened is read from the checkpoint rows"
    )
