"""A MySQL or MariaDB server as the target of one replication."""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Final

from connectors._sql import control_rows
from connectors._sql.kept import KeptSession
from connectors._sql.shared_plans import SharedPlans
from connectors.mysql import (
    control_schema,
    control_sql,
    load_data,
    observed,
    target_keys,
    target_preflight,
    target_relation,
    target_state,
)
from connectors.mysql.column_plan import NATIVE
from connectors.mysql.connecting import connect
from connectors.mysql.control import cells
from connectors.mysql.ensure import ensure
from connectors.mysql.errors import DRIVER_ERRORS
from connectors.mysql.finish import finish, loosen
from connectors.mysql.mark_lock import mark_name
from connectors.mysql.plan import TablePlan, problems_of
from connectors.mysql.quoting import literal
from connectors.mysql.session import MysqlSession, lock_name, prepare
from connectors.mysql.target_config import MysqlTargetConfig
from connectors.mysql.target_errors import not_connected
from connectors.mysql.target_link import TargetLink
from engine.abilities import Working
from engine.config.replication import ReplicationConfig
from engine.errors import (
    ConfigError,
    SchemaMismatchError,
    TargetBusyError,
    TargetConnectionError,
    TargetError,
)
from engine.machine import Clock, Random
from engine.model.activity import Activity
from engine.model.finding import Finding
from engine.model.load_rows import LoadRows
from engine.model.relation import Relation, TableName
from engine.model.state import QuarantinedRow
from engine.model.table import ForeignKey, TableDefinition

TOKEN_BYTES: Final = 16
"""Of a session's token; nobody guesses one of these."""

TERMINATE_SECONDS: Final = 5
"""How long `terminate` waits for each session to be gone."""

NO_SUCH_SESSION: Final = 1094
NOT_ALLOWED: Final = 1095


def create(config: ReplicationConfig, _clock: Clock, random: Random) -> "MysqlTarget":
    """The target that a replication file names; connects to nothing yet. Raises ConfigError."""
    target = config.target
    if target.url is None:
        raise ConfigError("target.url", "is needed for a MySQL or MariaDB target")
    return MysqlTarget(
        MysqlTargetConfig(
            replication=config.id,
            url=target.url,
            session_replication_role=target.session_replication_role.value,
            drop_columns=config.apply.drop_columns,
            streams=config.streams,
        ),
        random,
    )


class MysqlTarget:
    """See `contracts.TransactionalTarget`, `SchemaTarget`, `KeyedTables` and `Checked`, and
    `abilities.ObservedTarget`."""

    forms = (NATIVE, "postgres-text")
    changes_first = True

    def __init__(self, config: MysqlTargetConfig, random: Random) -> None:
        config.validate()
        self._config = config
        self._random = random
        self._opened: Callable[[tuple[int, str]], AbstractAsyncContextManager[None]]
        self._opened = lambda _: nullcontext()
        self._plans: SharedPlans[TablePlan] = SharedPlans()
        self._questions = KeptSession(self._connect)
        self._inspecting = KeptSession(self._connect)

    async def open(self) -> None:
        """Find out that the server answers and takes this user.

        Raises:
            TargetConnectionError, TargetError.
        """
        self._plans.forget()  # another server may answer now
        async with self.session():
            pass

    async def close(self) -> None:
        """Release what is not released by a context of its own. Idempotent."""
        await self._questions.close()
        await self._inspecting.close()

    def announce_to(
        self, opened: Callable[[tuple[int, str]], AbstractAsyncContextManager[None]]
    ) -> None:
        """See `contracts.Announcing`."""
        self._opened = opened

    @asynccontextmanager
    async def session(self) -> AsyncIterator[MysqlSession]:
        """See `contracts.TransactionalTarget.session`.

        Raises:
            TargetConnectionError, TargetError.
        """
        session = await self._connect()
        try:
            yield session
        finally:
            await session.close()

    async def _connect(self) -> MysqlSession:
        try:
            connection = await connect(
                self._config.url, self._config.program, multi=True, data=True
            )
        except DRIVER_ERRORS as error:
            raise not_connected(error) from error
        link = TargetLink(connection)
        try:
            token = self._random.key(TOKEN_BYTES).hex()
            return await prepare(link, self._config, token, self._connect, self._plans)
        except BaseException:
            await link.close()
            raise

    @asynccontextmanager
    async def _question(self, *, sure: bool = True) -> AsyncIterator[MysqlSession]:
        """The session for questions, one at a time. It is kept; one that ended unnoticed (server
        restart) is replaced, which takes a round trip to be `sure` of."""
        async with self._questions.use(_answers if sure else None) as session:
            yield session

    @asynccontextmanager
    async def _working(self) -> AsyncIterator[MysqlSession]:
        """A session that changes tables, announced before it does."""
        async with self.session() as session, self._opened(session.identity):
            try:
                yield session
            finally:
                self._plans.forget()

    async def terminate(self, sessions: Sequence[tuple[int, str]]) -> None:
        """See `contracts.TransactionalTarget.terminate`. Sessions of other users are left alone
        where this one may not end them."""
        async with self.session() as session:
            told: list[str] = []
            for number, token in await observed.alive(session, sessions):
                if await _kill(session, number):
                    told.append(literal(lock_name(token)))
            for name in told:  # all are told before the first is waited for
                await session.run(
                    f"SELECT GET_LOCK({name}, {TERMINATE_SECONDS})".encode(),
                    f"DO RELEASE_LOCK({name})".encode(),
                )

    async def inspect(
        self, sessions: Sequence[tuple[int, str]]
    ) -> Mapping[tuple[int, str], Working]:
        """See `abilities.InspectedTarget`."""
        async with self._inspecting.use() as session:
            return await observed.inspect(session, sessions)

    # --- control tables -----------------------------------------------------------------------

    async def prepare_control(self) -> None:
        """See `contracts.TransactionalTarget.prepare_control`. Safe in two processes at once."""
        async with self.session() as session:
            if await _control_version(session) == control_schema.VERSION:
                return
            lock = literal(control_schema.LOCK)
            (had,) = await session.run(
                f"SELECT GET_LOCK({lock}, {control_schema.LOCK_SECONDS})".encode()
            )
            if had.rows[0][0] != b"1":
                raise TargetBusyError("another process is making database penstock on the target")
            found = await _control_version(session)
            if found < control_schema.VERSION:
                await session.run(*control_schema.migration(found), subject="database penstock")
            await session.run(f"DO RELEASE_LOCK({lock})".encode())

    async def begun(self) -> Sequence[TableName]:
        """See `abilities.ResumingTarget.begun`."""
        async with self._question() as session:
            if not await _control_version(session):
                return ()
            (result,) = await session.run(control_sql.begun(self._config.replication))
            return [
                TableName(*[cell.decode() for cell in row if cell is not None])
                for row in result.rows
            ]

    async def quarantined(
        self, after: int, rows_max: int, bytes_max: int
    ) -> Sequence[QuarantinedRow]:
        """See `abilities.QuarantineTarget.quarantined`."""
        replication = self._config.replication
        async with self._question() as session:
            if not await _control_version(session):
                return ()
            asked = control_sql.quarantined(replication, after, rows_max, bytes_max)
            (result,) = await session.run(asked)
            return [control_rows.quarantined(row) for row in cells(result)]

    async def sees(self, number: int) -> bool:
        """See `abilities.SeeingTarget`. A database is a schema here, so a server is one place."""
        async with self._question() as session:
            (found,) = await session.run(f"SELECT IS_USED_LOCK('{mark_name(number)}')".encode())
            return found.rows[0][0] is not None

    # --- tables -------------------------------------------------------------------------------

    async def relation(self, table: TableName) -> Relation | None:
        """See `contracts.SchemaTarget.relation`."""
        async with self._question() as session:
            return target_relation.of_table(await session.table_now(table))

    async def takes(self, relation: Relation) -> bool:
        """See `abilities.OtherTypes.takes`."""
        async with self._question() as session:
            table = await session.table_now(relation.table)
            return table is not None and not any(problems_of(relation, table))

    async def key_obstacles(self, relations: Sequence[Relation]) -> Mapping[TableName, str]:
        """See `contracts.KeyedTables.key_obstacles`."""
        async with self._question() as session:
            return await target_keys.obstacles(session, relations)

    async def activity(self, sessions: Sequence[tuple[int, str]]) -> Activity:
        """See `abilities.ObservedTarget.activity`."""
        async with self._question(sure=False) as session:
            return await observed.activity(session, sessions)

    async def unindexed(self, relations: Sequence[Relation]) -> Sequence[TableName]:
        """See `abilities.ObservedTarget.unindexed`."""
        async with self._question() as session:
            return await observed.unindexed(session, relations)

    async def empty(self, table: TableName) -> bool:
        """See `contracts.SchemaTarget.empty`."""
        async with self._question() as session:
            (found,) = await session.run(target_state.exists(table))
            if not found.rows:
                return True
            (rows,) = await session.run(target_state.any_row(table), subject=str(table))
            return not rows.rows

    async def ensure(self, definitions: Sequence[TableDefinition], prepare: str) -> None:
        """See `contracts.SchemaTarget.ensure`."""
        async with self._working() as session:
            await ensure(session, definitions, prepare)

    async def finish(self, definitions: Sequence[TableDefinition]) -> Sequence[Finding]:
        """See `contracts.SchemaTarget.finish`."""
        async with self._working() as session:
            return await finish(session, definitions)

    async def loosen(
        self, definitions: Sequence[TableDefinition], tables: Collection[TableName]
    ) -> None:
        """See `contracts.SchemaTarget.loosen`."""
        async with self._working() as session:
            await loosen(session, definitions, tables)

    async def foreign_keys(self) -> Sequence[ForeignKey]:
        """See `contracts.SchemaTarget.foreign_keys`."""
        async with self._question() as session:
            results = await session.run(target_state.FOREIGN_KEYS)
        return target_state.pairs(results, checked=self._config.checks_keys)

    async def load_form(self, relation: Relation) -> str:
        """See `contracts.SchemaTarget.load_form`."""
        return load_data.load_form(relation)

    def load_rows(self, relation: Relation, form: str) -> LoadRows:
        """See `contracts.SchemaTarget.load_rows`."""
        return load_data.load_rows(relation, form)

    async def preflight(self, relations: Sequence[Relation]) -> Sequence[Finding]:
        """See `contracts.Checked.preflight`."""
        async with self._question() as session:
            return await target_preflight.preflight(session, relations)


async def _answers(session: MysqlSession) -> bool:
    try:
        await session.run(b"DO 0")
    except TargetConnectionError:
        return False
    return True


async def _kill(session: MysqlSession, number: int) -> bool:
    """Whether it was allowed; a session that is gone already is."""
    try:
        await session.run(b"KILL %d" % number)
    except TargetError as error:
        if error.context.get("errno") not in (NO_SUCH_SESSION, NOT_ALLOWED):
            raise
        return error.context.get("errno") == NO_SUCH_SESSION
    return True


async def _control_version(session: MysqlSession) -> int:
    """The version there, 0 for none. Raises SchemaMismatchError for a newer one."""
    (exists,) = await session.run(control_schema.EXISTS)
    if exists.rows[0][0] != b"1":
        return 0
    (result,) = await session.run(control_schema.CURRENT)
    found = int(result.rows[0][0] or 0)
    if found > control_schema.VERSION:
        raise SchemaMismatchError(
            f"database penstock on the target is of version {found};"
            f" this Penstock knows version {control_schema.VERSION}",
            hint="run the newer Penstock that made it",
        )
    return found
