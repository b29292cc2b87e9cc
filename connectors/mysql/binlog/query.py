"""(pure) QUERY: a statement, and what of its session decides how it is read.

See: MySQL source, `statement_events.h`, "Query_event"; MariaDB source, `log_event.h`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from connectors.mysql.binlog.cursor import Cursor
from connectors.mysql.binlog.events import Query
from connectors.mysql.charsets import statement_codec
from engine.errors import DecodeError

_DUMMY: Final = "# Dummy event replacing event type"
"""What MariaDB sends in the place of an event that it takes a reader not to understand."""

_STARTS_ALTER: Final = 0x02
_COMMITS_ALTER: Final = 0x04
_GIVES_ALTER_UP: Final = 0x08
_MARIA_FLAGS: Final = 130
_OVERFLOW: Final = 254


@dataclass(slots=True)
class _Session:
    sql_mode: int | None = None
    collation: int = 0
    xid: int = 0
    void: bool = False


def parse_query(cursor: Cursor, body: Callable[[Cursor], bytes]) -> Query:
    """Read an event's body; `body` gives the statement itself out of what is left of it.

    Raises:
        ValueError: it is malformed.
        DecodeError: it stands for an event that the server kept back.
    """
    thread_id, _, schema_size, error_code = cursor.u32(), cursor.u32(), cursor.u8(), cursor.u16()
    variables = cursor.take(cursor.u16())
    session = _session(Cursor(variables, 0, len(variables)))
    schema = cursor.terminated(schema_size).decode()
    sql = body(cursor).decode(statement_codec(session.collation), errors="replace")
    if sql.startswith(_DUMMY):
        raise DecodeError(
            "the server keeps back an event that it takes this reader not to understand",
            hint="announce MariaDB's slave capability 4 when the stream is opened",
        )
    return Query(
        thread_id,
        error_code,
        schema,
        sql,
        session.sql_mode,
        session.collation,
        session.xid,
        session.void,
    )


def _session(cursor: Cursor) -> _Session:
    """Status variables, each a number and a value of that number's form. Behind an unknown number
    nothing can be read: servers write newer ones last."""
    session = _Session()
    while cursor.left:
        number = cursor.u8()
        skip = _SKIPS.get(number)
        if number == 1:
            session.sql_mode = cursor.u64()
        elif number == 4:
            session.collation = cursor.u16()
            cursor.skip(4)
        elif number in (17, 129):
            session.xid = cursor.u64()
        elif number == _MARIA_FLAGS:
            session.void = _is_void(cursor)
        elif skip is not None:
            skip(cursor)
        else:
            break
    return session


def _fixed(size: int) -> Callable[[Cursor], None]:
    return lambda cursor: cursor.skip(size)


def _short_text(cursor: Cursor) -> None:
    cursor.skip(cursor.u8())


def _terminated_text(cursor: Cursor) -> None:
    cursor.skip(cursor.u8() + 1)


def _invoker(cursor: Cursor) -> None:
    _short_text(cursor)
    _short_text(cursor)


def _updated_schemas(cursor: Cursor) -> None:
    count = cursor.u8()
    if count == _OVERFLOW:
        return
    for _ in range(count):
        while cursor.u8():
            pass


def _is_void(cursor: Cursor) -> bool:
    """Of an ALTER in two phases (`binlog_alter_two_phase`); its end names its start."""
    flags = cursor.u8()
    if flags & (_COMMITS_ALTER | _GIVES_ALTER_UP):
        cursor.skip(8)
    return bool(flags & (_STARTS_ALTER | _GIVES_ALTER_UP))


def _collations(cursor: Cursor) -> None:
    cursor.skip(4 * cursor.u8())


_SKIPS: Final[dict[int, Callable[[Cursor], None]]] = {
    0: _fixed(4),
    2: _terminated_text,
    3: _fixed(4),
    5: _short_text,
    6: _short_text,
    7: _fixed(2),
    8: _fixed(2),
    9: _fixed(8),
    10: _fixed(4),
    11: _invoker,
    12: _updated_schemas,
    13: _fixed(3),
    16: _fixed(1),
    18: _fixed(2),
    19: _fixed(1),
    20: _fixed(1),
    128: _fixed(3),
    131: _collations,
}
"""How the value of a status variable is passed over, by the variable's number."""
