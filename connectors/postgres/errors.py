"""What an error of the source server, or of the link to it, means.

SQLSTATEs are those of the PostgreSQL manual, Appendix A. The server's own words are shown only
where they hold names, never where they may hold values.
"""

import os
from typing import Final

import asyncpg
import psycopg

from connectors.postgres.connecting import (
    NAMED_WRONG,
    NONE_LEFT,
    certificate_refusal,
    hint_of_refusal,
)
from engine.errors import (
    PositionLostError,
    SlotBusyError,
    SourceConnectionError,
    SourceError,
)

DRIVER_ERRORS: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    # What asyncpg makes of a session that the server ends between two messages of ours.
    asyncpg.InternalClientError,
    psycopg.Error,
    OSError,
)
"""Everything that asyncpg and psycopg raise when the server or the network says no."""

_LINK_ERRORS: Final = (
    OSError,
    psycopg.OperationalError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)

_SLOTS_USED_UP: Final = "53400"
"""`configuration_limit_exceeded`: for a slot, no wait helps until somebody drops another one."""

_SENDERS_USED_UP: Final = "max_wal_senders"
"""What the server names when it has no walsender left; one may become free any moment."""

_BACKOFF_CLASSES: Final = frozenset({"08", "53", "57", "58"})
_BACKOFF: Final = frozenset({"55P03", "40001", "40P01", "25P03", "25P04"})
_SHOWN_CLASSES: Final = frozenset({"0A", "28", "3D", "3F", "42", "53", "55", "57", "58"})
LOAD_AGAIN: Final = (
    'load again: penstock cleanup, then penstock run with [load] prepare = "truncate"'
)
"""What is left to do when changes are lost; a load into tables with rows must be told so."""

_POOLER: Final = ("unsupported startup parameter", "unsupported pkt type", "pgbouncer")
_HINTS: Final = {
    "3D000": NAMED_WRONG,
    "42501": "grant the missing privilege to the role; penstock check FILE prints the statement",
    "22021": "the source holds bytes that are no text in UTF-8 (a database in SQL_ASCII takes any):"
    " mend those rows or leave their table out by [mapping], then penstock cleanup and load again",
    "42704": "it is gone, or younger than the slot, which reads its own time: penstock cleanup,"
    " then load again",
    "55000": "the server must be a primary with wal_level = logical",
}


class TextModeNeededError(SourceConnectionError):
    """A column's type cannot be sent in binary form: the stream is opened again in text mode."""


def source_error(error: BaseException, doing: str) -> SourceError:
    """The engine's error for a driver's. `doing` says what failed and where; the SQLSTATE stands in
    `context`."""
    if isinstance(error, SourceError):
        return error
    state = getattr(error, "sqlstate", None) or ""
    words = _first_line(error)
    if any(text in words.lower() for text in _POOLER):
        return SourceError(
            f"{doing}: a connection pooler answers, which cannot carry replication",
            hint="give the address of the server itself",
        )
    if not state:
        return _without_state(error, words, doing)
    kind, hint = _by_state(state, words)
    text = f"{doing}: {words if state[:2] in _SHOWN_CLASSES else 'refused'} (SQLSTATE {state})"
    return kind(text, hint=hint, context={"sqlstate": state})


def _by_state(state: str, words: str) -> tuple[type[SourceError], str]:
    if state == "58P01" or (state == "55000" and "replication slot" in words):
        return PositionLostError, "the slot cannot be read any more: load again"
    if state == _SLOTS_USED_UP:
        return SourceError, "raise max_replication_slots on the source, or drop a slot nobody uses"
    if state == "53300":
        return SourceConnectionError, NONE_LEFT
    if state[:2] in _BACKOFF_CLASSES or state in _BACKOFF:
        return SourceConnectionError, ""
    if state == "55006":
        return SlotBusyError, "end the other reader, or take over with --take-over"
    if state[:2] == "28":
        return SourceError, "check user, password and pg_hba.conf"
    return SourceError, _HINTS.get(state, "")


def _without_state(error: BaseException, words: str, doing: str) -> SourceError:
    refused = certificate_refusal(error)
    if refused is not None:
        return SourceError(f"{doing}: {refused[0]}", hint=refused[1])
    hint = hint_of_refusal(words) if isinstance(error, psycopg.Error) else None
    if hint is not None:
        return SourceError(f"{doing}: {words}", hint=hint)
    if _SENDERS_USED_UP in words:
        hint = f"raise {_SENDERS_USED_UP} on the source, or end another reader of its log"
        return SourceConnectionError(f"{doing}: {words}", hint=hint)
    if isinstance(error, OSError) and (error.errno or 0) > 0:
        words = os.strerror(error.errno or 0)  # the event loops word it differently
    if isinstance(error, _LINK_ERRORS):
        silent = "no answer in time" if isinstance(error, TimeoutError) else type(error).__name__
        return SourceConnectionError(f"{doing}: {words or silent}")
    return SourceError(f"{doing}: {type(error).__name__}")


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].removeprefix("ERROR:").removeprefix("FATAL:").strip() if lines else ""
