"""The source's own SQL session: catalog questions and publications, one at a time.

It is opened when first needed and again after it broke; nothing of it has to survive.
"""

import asyncio
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import asyncpg
import psycopg
from asyncpg.exceptions import ClientConfigurationError
from psycopg.conninfo import conninfo_to_dict

from connectors.postgres.address import permit_known
from connectors.postgres.config import LOCK_TIMEOUT_SECONDS
from connectors.postgres.connecting import NOBODY_ANSWERS
from connectors.postgres.errors import DRIVER_ERRORS, source_error
from connectors.postgres.load_connection import Connection, close, prepare
from engine.config.endpoint_settings import EXECUTE_TIMEOUT_SECONDS
from engine.config.url import SYSTEM_AUTHORITIES
from engine.errors import ConfigError, SourceConnectionError, SourceError

CONNECT_SECONDS: Final = 10.0
"""Time to connect when the connection string has no `connect_timeout`."""

_URL_KEYS: Final = frozenset(
    {
        "host",
        "port",
        "dbname",
        "user",
        "password",
        "passfile",
        "sslmode",
        "sslcert",
        "sslkey",
        "sslrootcert",
        "sslcrl",
        "sslpassword",
        "sslnegotiation",
        "ssl_min_protocol_version",
        "ssl_max_protocol_version",
        "target_session_attrs",
        "krbsrvname",
        "gsslib",
        "service",
    }
)


async def connect(conninfo: str, application: str) -> Connection:
    """One more SQL connection, from a libpq connection string or URL.

    What libpq knows and asyncpg does not is left out here and counts on the replication connection.

    Raises:
        ConfigError: the string is malformed; its text is not repeated, it may hold a password. Or
            the address is refused (`engine.addresses`).
        asyncpg's errors, OSError.
    """
    known = {key: str(value) for key, value in parse(conninfo).items() if value is not None}
    await permit_known(known)
    settings = {"application_name": known.get("application_name") or application}
    if "options" in known:
        settings["options"] = known["options"]
    url = "postgresql://?" + urlencode({k: v for k, v in known.items() if k in _URL_KEYS})
    context = _trusted(known)
    timeout = float(known.get("connect_timeout") or 0) or CONNECT_SECONDS
    return await asyncpg.connect(url, timeout=timeout, server_settings=settings, ssl=context)


def _trusted(known: dict[str, str]) -> ssl.SSLContext | None:
    """What to check the server against, where asyncpg does not find out as libpq does. Takes the
    keys that it replaces away. One that is missing must not look like a server that is down."""
    root = known.get("sslrootcert", "")
    if root == SYSTEM_AUTHORITIES:
        return _system_context({key: known.pop(key) for key in _IN_CONTEXT if key in known})
    if root and not Path(root).is_file():
        raise ClientConfigurationError(f"root certificate file {root} does not exist")
    return None


_IN_CONTEXT: Final = (
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "sslcrl",
    "ssl_min_protocol_version",
    "ssl_max_protocol_version",
)
"""Keys of a connection string that a context stands for."""


def _system_context(wanted: dict[str, str]) -> ssl.SSLContext:
    """verify-full against the authorities of this machine; asyncpg would look for a file named
    `system`."""
    context = ssl.create_default_context()
    if "sslcert" in wanted:
        context.load_cert_chain(wanted["sslcert"], wanted.get("sslkey"), password="")
    if "sslcrl" in wanted:
        context.load_verify_locations(wanted["sslcrl"])
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
    if "ssl_min_protocol_version" in wanted:
        context.minimum_version = _tls(wanted["ssl_min_protocol_version"])
    if "ssl_max_protocol_version" in wanted:
        context.maximum_version = _tls(wanted["ssl_max_protocol_version"])
    return context


def _tls(name: str) -> ssl.TLSVersion:
    try:
        return ssl.TLSVersion[name.replace(".", "_")]
    except KeyError:
        constraint = "ssl_min_protocol_version and ssl_max_protocol_version are TLSv1.2 or TLSv1.3"
        raise ConfigError("url", constraint) from None


def parse(conninfo: str) -> dict[str, Any]:
    """The parameters of a connection string. Raises ConfigError without repeating it."""
    try:
        return dict(conninfo_to_dict(conninfo))
    except psycopg.ProgrammingError:
        raise ConfigError("source.url", "is not a PostgreSQL connection string") from None


def place(conninfo: str) -> str:
    """Where a connection string leads, for messages: host, port, database; no password."""
    known = parse(conninfo)
    host, port = known.get("host") or "the local socket", known.get("port") or "5432"
    database = known.get("dbname") or known.get("user") or ""
    return f"{host}:{port}/{database}"


class Sql:
    """A session that takes one command at a time and connects again by itself.

    `command_seconds`: a question that takes longer has met a hung server or a lock; it is given
    up. `side`: the table of the replication file, for messages."""

    def __init__(
        self,
        conninfo: str,
        application: str,
        command_seconds: float = EXECUTE_TIMEOUT_SECONDS,
        side: str = "source",
    ) -> None:
        self._conninfo = conninfo
        self._command_seconds = command_seconds
        self._side = side
        self._application = application
        self._lock = asyncio.Lock()
        self._connection: Connection | None = None
        self._closed = False

    def reopen(self) -> None:
        """Allow connecting again after `close`."""
        self._closed = False

    async def fetch(self, doing: str, query: str, *values: object) -> Sequence[asyncpg.Record]:
        """Rows of a query that may be asked twice. `doing` words the error.

        A session that ended unnoticed (server restart, idle limit) is replaced once, silently.

        Raises:
            SourceConnectionError, SourceError.
        """
        async with self._lock:
            old = self._connection
            try:
                try:
                    return await self._fetch(query, values)
                except DRIVER_ERRORS:
                    if old is None or self._connection is not old or not old.is_closed():
                        raise
                    return await self._fetch(query, values)
            except DRIVER_ERRORS as error:
                raise self._error(error, doing) from error

    def _error(self, error: BaseException, doing: str) -> SourceError:
        if not isinstance(error, TimeoutError):
            return source_error(error, doing)
        return SourceConnectionError(
            f"{doing}: the {self._side} has not answered within {self._command_seconds:g} s",
            hint="look there for what it waits for, or raise ExecuteTimeout in"
            f" [{self._side}.settings]",
        )

    async def _fetch(self, query: str, values: Sequence[object]) -> Sequence[asyncpg.Record]:
        connection = await self._opened()
        try:
            return await connection.fetch(query, *values, timeout=self._command_seconds)
        except asyncpg.InternalClientError:
            connection.terminate()
            raise

    async def value(self, doing: str, query: str, *values: object) -> Any:
        """The first column of the first row; None without a row."""
        rows = await self.fetch(doing, query, *values)
        return rows[0][0] if rows else None

    async def execute(self, doing: str, *statements: str) -> None:
        """Statements in one transaction, with a short lock timeout.

        Raises:
            SourceConnectionError: also when a lock was not had in time.
            SourceError.
        """
        timeout = f"SET LOCAL lock_timeout = '{round(LOCK_TIMEOUT_SECONDS * 1000)}ms'"
        async with self._lock:
            try:
                connection = await self._opened()
                async with connection.transaction():
                    for statement in (timeout, *statements):
                        await connection.execute(statement, timeout=self._command_seconds)
            except DRIVER_ERRORS as error:
                raise self._error(error, doing) from error

    async def close(self) -> None:
        """Close the session; nothing is asked any more. Idempotent."""
        self._closed = True
        connection, self._connection = self._connection, None
        if connection is not None:
            await close(connection)

    async def _opened(self) -> Connection:
        if self._closed:
            raise SourceConnectionError("the source was closed")
        if self._connection is None or self._connection.is_closed():
            self._connection = await self._connect()
        return self._connection

    async def _connect(self) -> Connection:
        try:
            connection = await connect(self._conninfo, self._application)
        except DRIVER_ERRORS as error:
            doing = f"connecting to the {self._side} at {place(self._conninfo)}"
            refused = source_error(error, doing)
            refused.hint = refused.hint or NOBODY_ANSWERS
            raise refused from error
        try:
            await prepare(connection)
        except BaseException:
            connection.terminate()
            raise
        return connection
