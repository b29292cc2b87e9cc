"""The store in a schema of a PostgreSQL database, for several daemons.

Writers have turns by a lock on the one row of `state`, so a transaction of READ COMMITTED reads
what the last one has left. What a vanished host leaves open ends by itself: the server watches idle
transactions and dead links.
"""

import asyncio
import contextlib
import functools
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, Self, cast

import asyncpg
from asyncpg.connect_utils import SessionAttribute
from asyncpg.exceptions import ClientConfigurationError, TargetServerAttributeNotMatched

from engine.config.secret import Secret
from engine.control.store import migrations, sql
from engine.control.store.errors import (
    StoreBusyError,
    StoreConnectionError,
    StoreFormatError,
    StoreFullError,
    StoreOutcomeUnknownError,
)
from engine.control.store.sql import Value
from engine.control.store.transaction import Transaction, transaction
from engine.control.store.turns import READERS, TURN_SECONDS, turn
from engine.errors import ConfigError, StateError

SCHEMA: Final = "penstock_store"
"""Not `penstock`: that one holds checkpoints, where this database is also a target."""

CONNECT_SECONDS: Final = 5.0
"""A new connection within this; a standby must have taken over within 15 s."""

ANSWER_SECONDS: Final = 15.0
"""A statement takes milliseconds; after this the link is taken for dead."""

SESSION: Final = {
    "application_name": "penstock store",
    # What was answered survives a crash of the server, whatever its default is.
    "synchronous_commit": "on",
    "default_transaction_isolation": "read committed",
    "lock_timeout": f"{TURN_SECONDS:g}s",
    "idle_in_transaction_session_timeout": f"{TURN_SECONDS:g}s",
    # A host that vanished says nothing: found out within 5 + 3 * 2 s.
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
}

RESOLVE_SECONDS: Final = 8.0
"""Time to find out what became of a COMMIT that was not answered: a server that only lost a link is
back at once. Other writers wait that long for their turn, no longer than they would anyway."""

RESOLVE_PAUSE_SECONDS: Final = 0.2

MARK: Final = "store of Penstock"
"""The comment on the table `format`, by which a schema is recognised."""

_READ: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_CLOCK: Final = "SELECT extract(epoch FROM clock_timestamp())::float8"
_ALONE: Final = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))"
_TABLES: Final = """
SELECT c.relname AS name, obj_description(c.oid, 'pg_class') AS mark
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')"""
_SERVER: Final = """
SELECT CASE WHEN NOT pg_is_in_recovery()
    THEN left(pg_walfile_name(pg_current_wal_lsn()), 8) || ' ' || stats_reset END
FROM pg_stat_archiver"""
"""Its timeline, and since when it counts: a crash begins both or the latter anew."""
_NUMBER: Final = "SELECT pg_current_xact_id()::text"
_STATUS: Final = "SELECT pg_xact_status($1::text::xid8)"
_END_IT: Final = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE backend_xid = $1::text::xid8::xid AND pg_xact_status($1::text::xid8) = 'in progress'"""
_SCHEMA_EXISTS: Final = "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)"


class _Session(asyncpg.Connection):
    """A connection that knows its server again."""

    server: str | None = None
    """None: it was a standby."""

    async def begun(self) -> Self:
        try:
            self.server = await self.fetchval(_SERVER)
        except BaseException:
            self.terminate()
            raise
        return self


class _NotToldError(Exception):
    """The server cannot say what became of the transaction."""


class PostgresStore:
    """`engine.control.store.contract.Store` in the database that `url` names (with TLS as libpq's
    `sslmode` says); `schema` is made when it is not there."""

    def __init__(
        self, url: Secret, *, schema: str = SCHEMA, steps: migrations.Steps = migrations.STEPS
    ) -> None:
        self._url = url
        self._schema = schema
        self._steps = steps
        self._writing = asyncio.Lock()
        self._reading = asyncio.Semaphore(READERS)
        self._idle: list[_Session] = []

    async def __aenter__(self) -> Self:
        try:
            await self._prepare()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *exception: object) -> None:
        while self._idle:
            with contextlib.suppress(OSError, TimeoutError, asyncpg.InterfaceError):
                await self._idle.pop().close(timeout=CONNECT_SECONDS)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Transaction]:
        async with (
            turn(self._reading, _busy),
            self._transaction(_READ) as connection,
            transaction(_Link(connection)) as reading,
        ):
            yield reading

    @asynccontextmanager
    async def write(self, *, fence: int | None = None) -> AsyncIterator[Transaction]:
        async with (
            turn(self._writing, _busy),
            self._transaction("BEGIN", sql.LOCK, resolved=True) as connection,
            transaction(_Link(connection)) as writing,
        ):
            await writing.guard(len(self._steps), fence)
            yield writing

    async def tend(self) -> None:
        """The server's autovacuum does what is to be done; the planner's figures are renewed."""
        async with turn(self._writing, _busy), self._transaction("BEGIN") as connection:
            with _speaking():
                for table in ("record", "field", "fact", "tag", "event", "event_category"):
                    await connection.execute(f"ANALYZE {table}")

    @asynccontextmanager
    async def _transaction(self, *begin: str, resolved: bool = False) -> AsyncIterator[_Session]:
        """A connection with a transaction on it, committed when the block ends without an error.
        `resolved`: what became of it is found out where its COMMIT is not answered; of another,
        which reads or renews figures, nothing depends on that."""
        connection = await self._begun(begin)
        try:
            try:
                number = await _number(connection) if resolved else ""
                yield connection
            except BaseException:
                await _roll_back(connection)
                raise
            try:
                await _commit(connection)
            except StoreConnectionError as error:
                connection.terminate()
                if isinstance(error, StoreOutcomeUnknownError) and resolved:
                    await self._resolve(connection.server, number, error)
                elif resolved:
                    raise
        finally:
            self._take_back(connection)

    async def _resolve(
        self, server: str | None, number: str, unknown: StoreOutcomeUnknownError
    ) -> None:
        """Return when the transaction is committed. Raises StoreConnectionError when it never will
        be; `unknown` when that is not told in time, or not told apart from another's."""
        try:
            async with asyncio.timeout(RESOLVE_SECONDS):
                while (committed := await self._committed(server, number)) is None:  # noqa: ASYNC110
                    await asyncio.sleep(RESOLVE_PAUSE_SECONDS)
        except (TimeoutError, _NotToldError):
            raise unknown from None
        if not committed:
            raise _lost(ConnectionError("the link broke before COMMIT"), committing=False)

    async def _committed(self, server: str | None, number: str) -> bool | None:
        """None: ask again. Raises _NotToldError.

        What is committed is so for good. A number that no disk has seen may be given again after a
        crash or by a standby that took over, so that only its being committed needs the server of
        before to be believed.

        See: PostgreSQL manual, "Transaction ID and Snapshot Information Functions".
        """
        try:
            connection = await self._connect()
        except StoreConnectionError:
            return None
        same = server is not None and connection.server == server
        try:
            with _speaking():
                status = await _status(connection, number)
                if status == "in progress" and same:
                    # Its session waits for a COMMIT from a link that is gone, and holds its turn.
                    await connection.fetch(_END_IT, number)
                    return None
        except StoreConnectionError:
            return None
        finally:
            connection.terminate()
        if status is None or (status == "committed" and not same):
            raise _NotToldError
        return bool(status == "committed")

    async def _begun(self, begin: Sequence[str]) -> _Session:
        """On an idle connection; one that turns out to have broken meanwhile is no failure."""
        if self._idle:
            connection = self._idle.pop()
            try:
                return await self._begin(connection, begin)
            except StoreConnectionError:
                for other in self._idle:
                    other.terminate()
                self._idle.clear()
        return await self._begin(await self._connect(), begin)

    async def _begin(self, connection: _Session, begin: Sequence[str]) -> _Session:
        try:
            with _speaking():
                for text in begin:
                    await connection.execute(text)
        except BaseException:
            await _roll_back(connection)
            self._take_back(connection)
            raise
        return connection

    def _take_back(self, connection: _Session) -> None:
        if connection.is_closed():
            return
        if connection.is_in_transaction():  # its end was not waited for, or was not answered
            connection.terminate()
        else:
            self._idle.append(connection)

    async def _connect(self) -> _Session:
        try:
            with _speaking():
                connection = await asyncpg.connect(
                    self._url.reveal(),
                    timeout=CONNECT_SECONDS,
                    command_timeout=ANSWER_SECONDS,
                    server_settings={**SESSION, "search_path": _quoted(self._schema)},
                    connection_class=_Session,
                    # One that follows answers with what was, and knows nothing of newer commits.
                    target_session_attrs=SessionAttribute.primary,
                )
                return await connection.begun()
        except ValueError:  # its words may hold a part of the password
            raise ConfigError(
                "store",
                "the url cannot be read",
                hint="postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with every character of the"
                " password that is neither letter nor digit as % and its two hexadecimal digits",
            ) from None

    async def _prepare(self) -> None:
        async with self._transaction("BEGIN") as connection:
            with _speaking():
                await connection.execute(_ALONE, self._schema)
                found = await self._recognise(connection)
        for number, statements in migrations.missing(
            found, self._steps, migrations.POSTGRES, f"in schema {self._schema}"
        ):
            async with self._transaction("BEGIN") as connection:
                with _speaking():
                    await connection.execute(_ALONE, self._schema)
                    await _step(connection, number, statements)

    async def _recognise(self, connection: _Session) -> int:
        """The format of what is there; an empty store is made where nothing is."""
        rows = await connection.fetch(_TABLES, self._schema)
        tables: dict[str, str | None] = {row["name"]: row["mark"] for row in rows}
        if tables and tables.get("format") != MARK:
            raise StoreFormatError(
                f"schema {self._schema} holds tables of another program",
                hint="name another schema or database for the store; nothing was changed",
            )
        if not tables:
            if not await connection.fetchval(_SCHEMA_EXISTS, self._schema):
                await connection.execute(f"CREATE SCHEMA {_quoted(self._schema)}")
            await connection.execute(migrations.FORMAT_TABLE)
            await connection.execute(f"COMMENT ON TABLE format IS '{MARK}'")
        return int(await connection.fetchval(sql.FORMAT))


async def _status(connection: _Session, number: str) -> str | None:
    try:
        return cast("str | None", await connection.fetchval(_STATUS, number))
    except asyncpg.InvalidParameterValueError:  # the server has not come to this number
        return "aborted"


async def _number(connection: _Session) -> str:
    """The transaction's own, by which a server knows it."""
    with _speaking():
        return str(await connection.fetchval(_NUMBER))


class _Link:
    """A `Link` over one of the pool's connections."""

    def __init__(self, connection: _Session) -> None:
        self._connection = connection

    async def rows(self, text: str, values: Sequence[Value]) -> Sequence[Sequence[Any]]:
        with _speaking():
            return [tuple(row) for row in await self._connection.fetch(_numbered(text), *values)]

    async def change(self, text: str, values: Sequence[Value]) -> int:
        with _speaking():
            tag = await self._connection.execute(_numbered(text), *values)
        return int(tag.rsplit(" ", 1)[1])

    async def change_many(self, text: str, values: Sequence[Sequence[Value]]) -> None:
        with _speaking():
            await self._connection.executemany(_numbered(text), values)

    async def now(self) -> float:
        with _speaking():
            return float(await self._connection.fetchval(_CLOCK))


async def _commit(connection: _Session) -> None:
    if connection.is_closed():
        raise _lost(ConnectionError("it was closed"), committing=False)
    with _speaking(committing=True):
        await connection.execute("COMMIT")


async def _roll_back(connection: _Session) -> None:
    """A link that does not take it is given up: the server rolls back when it is gone."""
    if connection.is_closed() or not connection.is_in_transaction():
        return
    try:
        await connection.execute("ROLLBACK", timeout=CONNECT_SECONDS)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        connection.terminate()


async def _step(connection: _Session, number: int, statements: list[str]) -> None:
    if await connection.fetchval(sql.FORMAT) >= number:
        return  # another daemon was faster
    if number > 1:
        await connection.execute(sql.LOCK)  # no daemon of the format before writes meanwhile
    for statement in statements:
        await connection.execute(statement)
    now = await connection.fetchval(_CLOCK)
    await connection.execute(_numbered(sql.INSERT_FORMAT), number, now)


@functools.lru_cache(maxsize=512)
def _numbered(text: str) -> str:
    return re.sub(r"\?(\d+)", r"$\1", text)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _busy() -> StoreBusyError:
    return StoreBusyError(
        f"the store was not free within {TURN_SECONDS:g} s",
        hint="something holds the row of its table `state`: see pg_locks and pg_stat_activity",
    )


@contextmanager
def _speaking(*, committing: bool = False) -> Iterator[None]:
    """The driver's errors as the store's."""
    try:
        yield
    except ClientConfigurationError as error:
        raise ConfigError("store", str(error).partition("\n")[0]) from error
    except (
        OSError,
        TimeoutError,
        asyncpg.InterfaceError,
        TargetServerAttributeNotMatched,
    ) as error:
        raise _lost(error, committing=committing) from error
    except asyncpg.PostgresError as error:
        raise _error(error, committing=committing) from error


CONNECTION_CLASSES: Final = ("08", "28", "3D", "57P", "25P03", "25006", "53300")
"""SQLSTATEs after which another connection may do: link, login, no such database, the server goes
down or comes up, our session timed out, a standby answers, too many connections."""

BUSY_CODES: Final = ("55P03", "57014", "40001", "40P01")
"""lock_timeout, cancelled, serialization failure, deadlock."""


def _error(error: asyncpg.PostgresError, *, committing: bool) -> StateError:
    code = str(error.sqlstate)
    if code.startswith(CONNECTION_CLASSES):
        return _lost(error, committing=committing)
    if code in BUSY_CODES:
        return _busy()
    if code == "53100":
        return StoreFullError(
            f"the server of the store has no room left: {_said(error)}",
            hint="free space on it; nothing of what was asked is stored",
        )
    return StateError(
        f"the server of the store refused a statement ({code}): {_said(error)}",
        hint="the role needs CREATE on the database once, or a schema of its own",
    )


def _said(error: asyncpg.PostgresError) -> str:
    """Without the DETAIL behind it, which may hold what is stored."""
    return str(error).partition("\n")[0]


def _lost(error: Exception, *, committing: bool) -> StoreConnectionError:
    reason = str(error).partition("\n")[0] or "no answer in time"
    if committing:
        return StoreOutcomeUnknownError(
            f"the link to the store's server broke during COMMIT: {reason}",
            hint="read it again: all of the transaction is stored, or nothing",
        )
    return StoreConnectionError(
        f"the store's server cannot be reached: {reason}",
        hint="nothing of what was asked is stored; it is tried anew with every request",
    )
