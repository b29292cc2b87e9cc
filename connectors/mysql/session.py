"""One applier's connection to the target, with what it has learned about its tables.

What one session of a target has read of a table serves the others too (`_sql.shared_plans`). What a
session remembers (table descriptions, compiled plans, staging tables) may be made wrong by
somebody who alters the target: a statement refused for what a changed table would explain makes the
session forget everything and report the target busy, once.

The server knows sessions by a number that it gives again after a restart. So each holds a
user-level lock with a name nobody can guess: whoever has the name can ask which session that is.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, TypeAlias

from connectors._sql.shared_plans import Shared, SharedPlans
from connectors.mysql import statements, target_table
from connectors.mysql.flavour import Flavour
from connectors.mysql.plan import TablePlan, compile_plan
from connectors.mysql.quoting import literal
from connectors.mysql.result import Result
from connectors.mysql.target_config import MysqlTargetConfig
from connectors.mysql.target_errors import lost, may_be_stale, refusal
from connectors.mysql.target_link import LinkLostError, ServerError, TargetLink
from connectors.mysql.target_rows import RowStatements
from connectors.mysql.target_session_settings import settings
from connectors.mysql.target_table import TargetTable
from connectors.mysql.transaction import MysqlTransaction
from engine.errors import RowMissingError, TargetBusyError, TargetConnectionError, TargetError
from engine.model.relation import Relation, TableName
from engine.model.state import Fence

LOOK_SECONDS: Final = 60.0
"""Age at which what is known of a table is read again, when rows come for it. Somebody may alter it
while it is written, and no statement fails because a column has fewer digits now: the server
rounds. Five short questions for all sessions; once a minute they are no load, also of a thousand
tables."""

PLANS_MAX: Final = 2000
"""Relation versions a session remembers; beyond, it starts anew."""

STAGES_MAX: Final = 200
"""Staging tables a session keeps."""

PACKET_MARGIN_BYTES: Final = 4096
"""What a packet holds beside its longest statement: the checks behind it."""


def lock_name(token: str) -> str:
    """The user-level lock of the session with this token."""
    return f"penstock:{token}"


Connect: TypeAlias = Callable[[], Awaitable["MysqlSession"]]
"""Opens one more session of the same target."""


async def prepare(
    link: TargetLink,
    config: MysqlTargetConfig,
    token: str,
    connect: Connect,
    shared: SharedPlans[TablePlan],
) -> "MysqlSession":
    """A session with every setting pinned that a value's meaning depends on. `shared`: of all
    sessions with this configuration.

    Raises:
        TargetConnectionError, TargetError.
    """
    flavour = Flavour.of(link.version)
    script = [b"SET " + setting.encode() for setting in settings(config, flavour)]
    script.append(
        f"SELECT CONNECTION_ID(), GET_LOCK({literal(lock_name(token))}, 0),"
        f" @@max_allowed_packet, @@local_infile, {statements.light_stages(flavour)}".encode()
    )
    try:
        (*_, result) = await link.script(script)
    except ServerError as error:
        raise refusal(error) from error
    except LinkLostError as error:
        raise lost(error) from error
    number, _, packet_bytes, infile, light = [int(cell or 0) for cell in result.rows[0]]
    return MysqlSession(
        link,
        config,
        (number, token),
        flavour,
        packet_bytes - PACKET_MARGIN_BYTES,
        connect,
        shared,
        loads=config.local_infile and bool(infile),
        stage_engine=statements.LIGHT_ENGINE if light else statements.PLAIN_ENGINE,
    )


@dataclass(slots=True)
class _Known:
    """How a relation's rows go into a table, and when the table was last looked at (seconds of the
    event loop)."""

    relation: Relation
    statements: RowStatements
    looked: float


class MysqlSession:
    """See `contracts.TargetSession`. `loads`: LOAD DATA LOCAL is allowed on both sides.
    `packet_bytes_max`: largest statement that the server takes, in bytes. `stage_engine`: that of
    staging tables."""

    def __init__(
        self,
        link: TargetLink,
        config: MysqlTargetConfig,
        identity: tuple[int, str],
        flavour: Flavour,
        packet_bytes_max: int,
        connect: Connect,
        shared: SharedPlans[TablePlan],
        *,
        loads: bool,
        stage_engine: str,
    ) -> None:
        self.link = link
        self.config = config
        self.flavour = flavour
        self.packet_bytes_max = packet_bytes_max
        self.loads = loads
        self.stage_engine = stage_engine
        self.in_transaction = False
        """Whether a BEGIN was sent that nothing has ended yet."""
        self._identity = identity
        self._connect = connect
        self._tables: dict[TableName, TargetTable | None] = {}
        self._plans: dict[int, _Known] = {}
        self._stages: dict[tuple[int, tuple[int, ...]], tuple[TablePlan, int]] = {}
        # A plan is kept beside its number, so that no other one gets its identity.
        self._unloadable: set[str] = set()
        self._number = 0
        self._shared = shared
        self._trusts = True
        """Whether it takes what others have read. Not after a refusal, which is believed when what
        it was about has been read since."""
        self._fresh = True

    @property
    def identity(self) -> tuple[int, str]:
        return self._identity

    @property
    def broken(self) -> bool:
        return self.link.broken

    @property
    def waits_since(self) -> float | None:
        """See `abilities.AnsweringSession`."""
        return self.link.waits_since

    @asynccontextmanager
    async def begin(self, fences: Sequence[Fence] = ()) -> AsyncIterator[MysqlTransaction]:
        """See `contracts.TargetSession.begin`. Nothing is sent before it must be."""
        if self.broken:
            raise TargetConnectionError("the connection to the target is closed")
        if len(self._plans) > PLANS_MAX or len(self._stages) > STAGES_MAX:
            await self._start_anew()
        transaction = MysqlTransaction(self, fences)
        try:
            yield transaction
        finally:
            if not transaction.committed:
                self.forget_stages(transaction.stages_before)
            await self.leave()

    @asynccontextmanager
    async def apart(self) -> AsyncIterator["MysqlSession"]:
        """Another session, for what would commit the transaction of this one."""
        other = await self._connect()
        try:
            yield other
        finally:
            await other.close()

    async def close(self) -> None:
        await self.link.close()

    # --- what it knows ------------------------------------------------------------------------

    async def statements(self, relation: Relation) -> RowStatements:
        """The compiled plan of a relation version, with its statements.

        Raises:
            SchemaMismatchError: the rows do not fit the target's table.
        """
        now = asyncio.get_running_loop().time()
        known = self._plans.get(id(relation))
        if known is not None and now < known.looked + LOOK_SECONDS:
            return known.statements
        found = await self._compiled(relation)
        if known is not None and known.statements.plan.target == found.plan.target:
            known.looked = found.read_at
            return known.statements
        made = RowStatements(
            found.plan, self.stage, self.stage_engine, self.packet_bytes_max, self._loads
        )
        self._plans[id(relation)] = _Known(relation, made, found.read_at)
        return made

    async def _compiled(self, relation: Relation) -> Shared[TablePlan]:
        """The plan that another session has read lately, or one for the table as it is now: a new
        version of the relation may come with a table that another session has altered."""
        shared = self._shared.find(relation, seconds=LOOK_SECONDS) if self._trusts else None
        if shared is not None:
            self._fresh = False
            return shared
        reading = self._shared.begin(relation)
        plan = compile_plan(relation, await self.table_now(relation.table))
        return self._shared.share(reading, plan)

    async def table(self, name: TableName) -> TargetTable | None:
        """The target's table as it is now, or was when last read."""
        return self._tables[name] if name in self._tables else await self.table_now(name)

    async def table_now(self, name: TableName) -> TargetTable | None:
        """The target's table as it is now: another session may have altered it."""
        found, columns, keys, actions, leading = await self.run(
            *[sql.encode() for sql in target_table.describe(name)]
        )
        table = self._tables[name] = target_table.read_table(
            name,
            found.rows,
            columns.rows,
            keys.rows,
            actions.rows,
            leading.rows,
            checked=self.config.checks_keys,
        )
        return table

    def load_no_more(self, subject: str) -> None:
        """A LOAD DATA of changes of this table was refused. What they are is not tried twice:
        something may be wrong with each (a trigger that warns)."""
        self._unloadable.add(subject)

    def _loads(self, subject: str) -> bool:
        """Whether changes of this table may go by LOAD DATA."""
        return self.loads and subject not in self._unloadable

    def stage(self, plan: TablePlan, columns: tuple[int, ...]) -> tuple[int, bool]:
        """The number of the staging table for these columns, and whether it must be made."""
        key = (id(plan), columns)
        known = self._stages.get(key)
        if known is not None:
            return known[1], False
        self._number += 1
        self._stages[key] = plan, self._number
        return self._number, True

    def forget_stages(self, after: int) -> None:
        """Staging tables with a higher number may not have been made."""
        self._stages = {key: known for key, known in self._stages.items() if known[1] <= after}

    @property
    def last_stage(self) -> int:
        return self._number

    def forget(self) -> None:
        """What was remembered is wrong, or a table was altered. Staging tables stay on the server,
        unused."""
        self._trusts = False
        self._shared.forget()
        self._drop()

    def _drop(self) -> None:
        """Forget what is remembered here."""
        self._tables.clear()
        self._plans.clear()
        self._stages.clear()
        self._unloadable.clear()
        self._fresh = True

    def committed(self) -> None:
        """What was remembered has proved right."""
        self._fresh = False
        self._trusts = True

    async def _start_anew(self) -> None:
        numbers = range(1, self._number + 1)
        names = ", ".join([f"penstock.stage_{number}" for number in numbers])
        self._drop()
        self._number = 0
        if names:
            await self.run(f"DROP TEMPORARY TABLE IF EXISTS {names}".encode())

    # --- talking ------------------------------------------------------------------------------

    async def run(self, *statements: bytes, subject: str = "") -> list[Result]:
        """Run plain statements. Raises TargetError's classes."""
        try:
            return await self.link.script(statements)
        except ServerError as error:
            raise refusal(error, subject) from error
        except LinkLostError as error:
            raise lost(error) from error

    def refused(self, error: ServerError, found: TargetError, subject: str) -> TargetError:
        """The engine's error; forgets what the refusal proves wrong."""
        if may_be_stale(error) and not self._fresh:
            self.forget()
            return TargetBusyError(
                f"{subject or 'a table'}: refused by the target, its tables are read again",
                context=found.context,
            )
        if isinstance(found, RowMissingError) and not self._fresh:
            # A foreign key that is new may have deleted it. The row is tried again by itself.
            self.forget()
        return found

    async def leave(self) -> None:
        """End what is open. A session that cannot is broken."""
        if self.broken or not self.in_transaction:
            return
        self.in_transaction = False
        try:
            checks = b"SET SESSION foreign_key_checks = %d" % self.config.checks_keys
            await self.link.script([b"ROLLBACK", checks, *self.patience(waits=True)])
        except (ServerError, LinkLostError):
            self.link.broken = True

    def patience(self, *, waits: bool) -> Sequence[bytes]:
        """What sets how long the server keeps a session that says nothing: long between
        transactions, short inside one that stays open. MariaDB has a setting for the latter."""
        if self.flavour.mariadb:
            return ()
        seconds = IDLE_SECONDS if waits else self.config.idle_in_transaction_seconds
        return (f"SET SESSION wait_timeout = {seconds}".encode(),)


IDLE_SECONDS: Final = 31_536_000
"""The longest wait_timeout there is: an applier may have nothing to do for weeks."""
