"""One applier's connection to the target, with what it has learned about its tables.

What one session of a target has read of a table serves the others too (`_sql.shared_plans`), but
for what it reads of tables that a transaction of its own has altered and not committed.

Everything a session remembers (table descriptions, compiled plans, prepared statements, staging
tables) may be made wrong by somebody who alters the target. Wrong memory is found before anything
is committed: each transaction ends by comparing the shapes of the tables it wrote, and a statement
refused for what a changed table would explain makes the session forget everything and report the
target busy, once.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.pq.abc import PGresult

from connectors._sql.quoting import literal
from connectors._sql.shared_plans import SharedPlans
from connectors.postgres import target_table
from connectors.postgres.address import permit_known
from connectors.postgres.connecting import hint_of_no_link, hint_of_refusal
from connectors.postgres.link import Link, LinkLostError, ServerError, cells
from connectors.postgres.origins import Origins, Run
from connectors.postgres.plan import TablePlan, compile_plan, in_text
from connectors.postgres.rows import RowStatements
from connectors.postgres.target_config import (
    CHECK_CLIENT_SECONDS,
    CONNECT_SECONDS,
    PostgresTargetConfig,
)
from connectors.postgres.target_errors import is_stale_plan, may_be_stale, refusal
from connectors.postgres.target_table import TargetTable
from connectors.postgres.transaction import TEXT, PostgresTransaction
from connectors.postgres.type_facts import TypeFacts, type_query
from engine.errors import (
    RowMissingError,
    TargetBusyError,
    TargetConnectionError,
    TargetError,
)
from engine.model.finding import Finding
from engine.model.relation import Relation, TableName
from engine.model.state import Fence

PLANS_MAX: Final = 2000
"""Relation versions a session remembers; beyond, it starts anew."""

PREPARED_MAX: Final = 1000
"""Statements a session keeps prepared on the server, some 20 KB each there; beyond, it starts
anew."""

STAGES_MAX: Final = 200
"""Staging tables a session keeps, each an empty file and rows of the server's catalog."""

CLIENT_CHECK_FROM: Final = 140000
"""Server version that has client_connection_check_interval."""

_KEEPALIVES: Final = {
    "keepalives": "1",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    # Data we sent that stays unacknowledged: 30 s, the kernel's own default is 15 minutes.
    "tcp_user_timeout": "30000",
}


async def connect(
    config: PostgresTargetConfig,
    origins: Origins | None = None,
    shared: SharedPlans[TablePlan] | None = None,
) -> "PostgresSession":
    """Open a session with every setting pinned that a value's meaning depends on. Its fenced
    transactions are marked with one of `origins`, when these are on. `shared`: of all sessions with
    this configuration.

    Raises:
        ConfigError: the address is refused (`engine.addresses`).
        TargetConnectionError: nobody answers, or not yet.
        TargetError: the server refuses this user, database or password.
    """
    given = psycopg.conninfo.conninfo_to_dict(config.conninfo)
    await permit_known(given)
    timeout = {} if "connect_timeout" in given else {"connect_timeout": round(CONNECT_SECONDS)}
    options = {**_KEEPALIVES, **timeout, **given, "application_name": config.application_name}
    try:
        connection = await psycopg.AsyncConnection.connect(autocommit=True, **options)  # type: ignore[arg-type]
    except psycopg.Error as error:
        raise _refused(error) from error
    link = Link(connection)
    try:
        return await _prepare(link, config, origins, shared or SharedPlans())
    except BaseException:
        await link.close()
        raise


async def _prepare(
    link: Link,
    config: PostgresTargetConfig,
    origins: Origins | None,
    shared: SharedPlans[TablePlan],
) -> "PostgresSession":
    version = link.pgconn.server_version
    sets = "".join(f"SET {name} = {literal(v)};" for name, v in _settings(config, version).items())
    try:
        results = await link.script(
            f"{sets}SELECT pid, backend_start::text FROM pg_stat_activity"
            " WHERE pid = pg_backend_pid()"
        )
    except ServerError as error:
        raise refusal(error) from error
    except LinkLostError as error:
        raise TargetConnectionError("the connection to the target broke") from error
    pid, start = cells(results[-1])[0]
    return PostgresSession(link, config, (int(pid or 0), start or ""), version, origins, shared)


def _settings(config: PostgresTargetConfig, version: int) -> Mapping[str, str]:
    settings = {
        "client_encoding": "UTF8",
        "DateStyle": "ISO, MDY",
        "IntervalStyle": "postgres",
        "TimeZone": "UTC",
        "extra_float_digits": "3",
        "bytea_output": "hex",
        "xmloption": "content",
        "lc_monetary": "C",
        "standard_conforming_strings": "on",
        "search_path": "pg_catalog",
        "synchronous_commit": config.synchronous_commit,
        "statement_timeout": "0",
        "lock_timeout": f"{round(config.lock_timeout_seconds * 1000)}ms",
        "idle_in_transaction_session_timeout": (
            f"{round(config.idle_in_transaction_seconds * 1000)}ms"
        ),
        "row_security": "off",
        # A plan that avoids scans looks expensive, and would be compiled to machine code.
        "jit": "off",
        "plan_cache_mode": "auto",
    }
    if config.replica:
        settings["session_replication_role"] = "replica"
    if version >= CLIENT_CHECK_FROM:
        settings["client_connection_check_interval"] = f"{round(CHECK_CLIENT_SECONDS * 1000)}ms"
        settings["idle_session_timeout"] = "0"
    if version >= 170000:
        settings["transaction_timeout"] = "0"
    return settings


def _refused(error: psycopg.Error) -> TargetError:
    words = " ".join(str(error).split()) or type(error).__name__
    hint = hint_of_refusal(words)
    if hint is not None:
        return TargetError(f"connecting to the target: {words}", hint=hint)
    return TargetConnectionError(f"connecting to the target: {words}", hint=hint_of_no_link(words))


class PostgresSession:
    """See `contracts.TargetSession`."""

    def __init__(
        self,
        link: Link,
        config: PostgresTargetConfig,
        identity: tuple[int, str],
        version: int,
        origins: Origins | None,
        shared: SharedPlans[TablePlan],
    ) -> None:
        self.link = link
        self.config = config
        self.version = version
        self.marked = False
        """Whether it has a replication origin."""
        self._identity = identity
        self._origins = origins if origins is not None and origins.on else None
        self._origin = 0
        self._tables: dict[TableName, TargetTable | None] = {}
        self._plans: dict[int, tuple[Relation, RowStatements]] = {}
        self._text_plans: dict[int, tuple[Relation, TablePlan]] = {}
        self._stages: dict[tuple[int, tuple[int, ...]], int] = {}
        self._number = 0
        self._shared = shared
        self._trusts = True
        """Whether it takes what others have read. Not after a refusal, which is believed when what
        it was about has been read since."""
        self._fresh = True
        self._dirty = False
        self._altered = False
        """Whether the transaction that is open has altered a table."""

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
    async def begin(self, fences: Sequence[Fence] = ()) -> AsyncIterator[PostgresTransaction]:
        """See `contracts.TargetSession.begin`. Nothing is sent before it must be."""
        if self.broken:
            raise TargetConnectionError("the connection to the target is closed")
        await self._renew()
        if fences and self._origins is not None and not self.marked:
            await self._mark(self._origins.take)
        transaction = PostgresTransaction(self, fences)
        try:
            yield transaction
        finally:
            await self.leave()

    async def close(self) -> None:
        await self.link.close()
        if self._origins is not None and self.marked:
            self.marked = False
            self._origins.give_back(self._origin)

    async def ready(self) -> Finding | None:
        """See `abilities.ReadiedSession.ready`: an applier is marked, as far as there is room."""
        origins = self._origins
        if origins is None or self.marked:
            return None
        taken = await self._mark(origins.take_more)
        if isinstance(taken, int):
            return None
        self._origins = None
        return taken

    async def _mark(self, take: Callable[[Run], Awaitable[int | Finding]]) -> int | Finding:
        """Have everything from here on told from what others write."""
        try:
            taken = await take(self.link.script)
        except ServerError as error:
            raise refusal(error, "a replication origin") from error
        except LinkLostError as error:
            raise TargetConnectionError("the connection to the target broke") from error
        if isinstance(taken, int):
            self._origin = taken
            self.marked = True
        return taken

    # --- what it knows ------------------------------------------------------------------------

    async def statements(self, relation: Relation) -> RowStatements:
        """The compiled plan of a relation version, with its statements.

        Raises:
            SchemaMismatchError: the rows do not fit the target's table.
        """
        known = self._plans.get(id(relation))
        if known is not None:
            return known[1]
        made = RowStatements(await self._compiled(relation), self._next_name)
        self._plans[id(relation)] = (relation, made)
        return made

    async def plan(self, relation: Relation) -> TablePlan:
        return (await self.statements(relation)).plan

    async def text_plan(self, relation: Relation) -> TablePlan:
        """The plan for rows that are loaded in text form. Raises SchemaMismatchError."""
        known = self._text_plans.get(id(relation))
        if known is not None:
            return known[1]
        plan = await self._compiled(relation, TEXT)
        self._text_plans[id(relation)] = (relation, plan)
        return plan

    async def _compiled(self, relation: Relation, form: str = "") -> TablePlan:
        """The plan that another session has read lately, or one for the table as it is now: a new
        version of the relation may come with a table that another session has altered."""
        shared = self._shared.find(relation, form) if self._trusts else None
        if shared is not None:
            self._fresh = False
            return shared.plan
        reading = self._shared.begin(relation)
        table = await self.table_now(relation.table)
        plan = compile_plan(in_text(relation) if form == TEXT else relation, table)
        if not self._altered:
            self._shared.share(reading, plan, form)
        return plan

    async def table(self, name: TableName) -> TargetTable | None:
        """The target's table as it is now, or was when last read."""
        return self._tables[name] if name in self._tables else await self.table_now(name)

    async def table_now(self, name: TableName) -> TargetTable | None:
        """The target's table as it is now: another session may have altered it."""
        table = self._tables[name] = await self._describe(name)
        return table

    async def _describe(self, name: TableName) -> TargetTable | None:
        results = await self.run(target_table.describe(name), str(name))
        found, columns, keys, actions = (cells(result) for result in results)
        types = await self.types([int(column[1] or 0) for column in columns], str(name))
        return target_table.read_table(name, found, columns, keys, actions, types, self.version)

    async def types(self, oids: Iterable[int], subject: str) -> TypeFacts:
        """These types of the target, with everything they are made of."""
        facts = TypeFacts(oids)
        while missing := facts.missing():
            (result,) = await self.run(type_query(missing), subject)
            facts.add(row[0] or "" for row in cells(result))
        return facts

    def stage(self, plan: TablePlan, columns: tuple[int, ...]) -> tuple[int, bool]:
        """The number of the staging table for these columns, and whether it must be made."""
        key = (id(plan), columns)
        number = self._stages.get(key)
        if number is not None:
            return number, False
        self._number += 1
        self._stages[key] = self._number
        return self._number, True

    def forget_stages(self, numbers: set[int]) -> None:
        """These staging tables went with the transaction that made them."""
        if numbers:
            self._stages = {k: n for k, n in self._stages.items() if n not in numbers}

    def forget(self) -> None:
        """What was remembered is wrong; the server's part of it goes at the next `begin`."""
        self._distrust()
        self._dirty = True

    def altered(self) -> None:
        """After DDL of our own: descriptions and plans are read anew. Statements and staging tables
        stay on the server unused until the session starts anew."""
        self._altered = True
        self._distrust()

    def _distrust(self) -> None:
        self._trusts = False
        self._shared.forget()
        self._start_anew()

    def _start_anew(self) -> None:
        """Drop everything remembered here."""
        self._tables.clear()
        self._plans.clear()
        self._text_plans.clear()
        self._stages.clear()
        self._fresh = True

    def committed(self) -> None:
        """What was remembered has proved right."""
        self._fresh = False
        self._trusts = True
        if self._altered:
            self._altered = False
            # Others may have read what was there until now.
            self._shared.forget()

    def _next_name(self) -> bytes:
        self._number += 1
        return f"p{self._number}".encode()

    async def _renew(self) -> None:
        full = (
            len(self._plans) + len(self._text_plans) > PLANS_MAX
            or self.link.prepared > PREPARED_MAX
            or len(self._stages) > STAGES_MAX
        )
        if full:
            self._start_anew()
            self._dirty = True
        if self._dirty:
            await self.run("DEALLOCATE ALL;DISCARD TEMP")
            self.link.forget_prepared()
            self._stages.clear()
            self._dirty = False

    # --- talking ------------------------------------------------------------------------------

    async def run(self, sql: str, subject: str = "") -> list[PGresult]:
        """Run plain statements. Raises TargetError's classes."""
        try:
            return await self.link.script(sql)
        except ServerError as error:
            raise self.refused(error, subject) from error
        except LinkLostError as error:
            raise TargetConnectionError("the connection to the target broke") from error

    async def run_apart(self, statements: Sequence[str]) -> None:
        """Run statements in a session of their own, each committed at once. Raises TargetError's
        classes."""
        if not statements:
            return
        other = await connect(self.config)
        try:
            for statement in statements:
                await other.run(statement)
        finally:
            await other.close()

    def refused(self, error: ServerError, subject: str) -> TargetError:
        """The engine's error; forgets what the refusal proves wrong."""
        found = refusal(error, subject)
        if is_stale_plan(error):
            self.forget()
        elif may_be_stale(error) and not self._fresh:
            self.forget()
            return TargetBusyError(
                f"{subject or 'a table'}: refused by the target, its tables are read again",
                context=found.context,
            )
        elif isinstance(found, RowMissingError) and not self._fresh:
            # A foreign key that is new may have deleted it. The row is tried again by itself.
            self.forget()
        return found

    async def leave(self) -> None:
        """End what is open. A session that cannot is broken."""
        if self._altered:
            # Not committed, as far as is known: what was read of it is nowhere, or everywhere.
            self._altered = False
            self._distrust()
        if self.broken:
            return
        status = self.link.pgconn.transaction_status
        if status in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
            try:
                await self.link.script("ROLLBACK")
            except (ServerError, LinkLostError):
                self.link.broken = True
        elif status != TransactionStatus.IDLE:
            self.link.broken = True
