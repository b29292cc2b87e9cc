"""Connections that read existing rows, and read or make tables.

They run for hours, so nothing that ends idle or slow sessions may apply to them, and every setting
that a value's text depends on is pinned: the same on both sides, the text of a value is the value.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import asyncpg

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Connect: TypeAlias = Callable[[], Awaitable[Connection]]
"""Opens one more connection to one database, as configured."""

PINNED: Final = {
    "client_encoding": "UTF8",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "xmloption": "content",
    "lc_monetary": "C",
    # With nothing on the path, every name the server prints is qualified.
    "search_path": "",
}
"""Settings that change the text form of a value or of a name."""

UNHURRIED: Final = {
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    "transaction_timeout": "0",
    # A reader that queues behind DDL holds nothing up, but it must not wait for ever.
    "lock_timeout": "30s",
    # Refuse rather than silently leave out rows that a policy hides from this role.
    "row_security": "off",
}
"""Settings that would end a long copy, or make it incomplete."""

CLOSE_TIMEOUT_SECONDS: Final = 5.0
"""Time a server has to end a session politely; then the socket is dropped."""


async def prepare(connection: Connection) -> None:
    """Pin the settings above, those that this server version has. One round trip."""
    wanted = PINNED | UNHURRIED
    await connection.fetch(
        "SELECT pg_catalog.set_config(name, value, false)"
        " FROM ROWS FROM (unnest($1::text[]), unnest($2::text[])) AS wanted(name, value)"
        " WHERE lower(name) IN (SELECT lower(s.name) FROM pg_catalog.pg_settings s)",
        list(wanted),
        list(wanted.values()),
    )


async def close(connection: Connection) -> None:
    """Close without raising, in bounded time; what was running there is cancelled."""
    try:
        await connection.close(timeout=CLOSE_TIMEOUT_SECONDS)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        connection.terminate()
    except asyncio.CancelledError:
        connection.terminate()
        raise
