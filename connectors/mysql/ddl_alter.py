"""What ALTER TABLE says after the table's name. (pure)

Understood is everything that rows in the log may show, and known are the forms that they do not.
What changes rows without logging them (a partition dropped or exchanged, a tablespace imported) is
not understood on purpose: whoever follows the log would miss it.

See: MySQL manual, "ALTER TABLE Statement"; MariaDB manual, the same.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from connectors.mysql.ddl_columns import column_definition
from connectors.mysql.ddl_cursor import Cursor, UnknownFormError
from connectors.mysql.ddl_keys import at_key, key_definition
from connectors.mysql.ddl_options import charset_options
from connectors.mysql.ddl_steps import (
    Action,
    AddColumn,
    AddKey,
    ChangeColumn,
    ConvertCharset,
    DefaultCharset,
    DropColumn,
    DropKey,
    RenameColumn,
    RenameKey,
    RenameTo,
    SetDefault,
    SetVisible,
)

PRIMARY: Final = "PRIMARY"

ROWS_UNSEEN: Final[Mapping[str, str]] = {
    "DISCARD": "DISCARD TABLESPACE",
    "EXCHANGE": "EXCHANGE PARTITION",
    "IMPORT": "IMPORT TABLESPACE",
    "TRUNCATE": "TRUNCATE PARTITION",
}
"""Actions by which rows come or go without an event of their own, and what they are called."""


def alter_actions(cursor: Cursor) -> Iterator[Action]:
    """Every action up to the end. Raises UnknownFormError, with the action's key words."""
    while not cursor.ended:
        yield from _action(cursor)
        if cursor.take_symbol(",") or cursor.ended:
            continue
        # Options of the table have no comma before what is said of its partitions.
        if not cursor.at_words("PARTITION", "BY") and not cursor.at_words("REMOVE", "PARTITIONING"):
            raise UnknownFormError


def _action(cursor: Cursor) -> Iterator[Action]:
    word = cursor.token.keyword
    if word in ROWS_UNSEEN:
        raise UnknownFormError(ROWS_UNSEEN[word])
    reader = _READERS.get(word)
    if reader is None:
        return _options(cursor)
    return reader(cursor)


def _add(cursor: Cursor) -> Iterator[Action]:
    cursor.expect("ADD")
    if cursor.at_words("PARTITION"):
        _rest(cursor)
        return
    if cursor.at_words("SYSTEM", "VERSIONING") or cursor.at_words("PERIOD", "FOR"):
        raise UnknownFormError("ADD SYSTEM VERSIONING")
    if at_key(cursor):
        yield from _add_key(cursor)
        return
    cursor.take("COLUMN")
    guarded = cursor.if_not_exists()
    if not cursor.take_symbol("("):
        column = column_definition(cursor)
        yield AddColumn(column, cursor.place(), guarded)
        return
    while True:
        if at_key(cursor):
            yield from _add_key(cursor)
        else:
            yield AddColumn(column_definition(cursor), None, guarded)
        if cursor.take_symbol(")"):
            return
        cursor.expect_symbol(",")


def _add_key(cursor: Cursor) -> Iterator[Action]:
    found = key_definition(cursor)
    if found is not None:
        yield AddKey(*found)


def _drop(cursor: Cursor) -> Iterator[Action]:
    cursor.expect("DROP")
    if cursor.take("PRIMARY", "KEY"):
        yield DropKey(PRIMARY)
    elif cursor.take_one("INDEX", "KEY"):
        guarded = cursor.if_exists()
        yield DropKey(cursor.name(), guarded)
    elif cursor.take("FOREIGN", "KEY") or cursor.take("CHECK"):
        cursor.if_exists()
        cursor.name()
    elif cursor.take("CONSTRAINT"):
        # Of any kind: a unique key's name may stand here too, and then a key goes.
        cursor.if_exists()
        yield DropKey(cursor.name(), if_exists=True)
    elif cursor.at_words("PARTITION"):
        raise UnknownFormError("DROP PARTITION")
    elif cursor.at_words("SYSTEM", "VERSIONING") or cursor.at_words("PERIOD", "FOR"):
        raise UnknownFormError("DROP SYSTEM VERSIONING")
    else:
        cursor.take("COLUMN")
        guarded = cursor.if_exists()
        yield DropColumn(cursor.name(), guarded)
        cursor.take_one("RESTRICT", "CASCADE")


def _modify(cursor: Cursor) -> Iterator[Action]:
    cursor.expect("MODIFY")
    cursor.take("COLUMN")
    guarded = cursor.if_exists()
    column = column_definition(cursor)
    yield ChangeColumn(column.name, column, cursor.place(), guarded)


def _change(cursor: Cursor) -> Iterator[Action]:
    cursor.expect("CHANGE")
    cursor.take("COLUMN")
    guarded = cursor.if_exists()
    name = cursor.name()
    column = column_definition(cursor)
    yield ChangeColumn(name, column, cursor.place(), guarded)


def _rename(cursor: Cursor) -> Iterator[Action]:
    cursor.expect("RENAME")
    if cursor.take("COLUMN"):
        cursor.if_exists()
        name = cursor.name()
        cursor.expect("TO")
        yield RenameColumn(name, cursor.name())
    elif cursor.take_one("INDEX", "KEY"):
        cursor.if_exists()
        name = cursor.name()
        cursor.expect("TO")
        yield RenameKey(name, cursor.name())
    else:
        if not cursor.take_one("TO", "AS"):
            cursor.take_symbol("=")
        yield RenameTo(cursor.table())


def _alter(cursor: Cursor) -> Iterator[Action]:
    cursor.expect("ALTER")
    if cursor.take_one("INDEX", "KEY", "CHECK", "CONSTRAINT"):
        cursor.skip_item()
        return
    cursor.take("COLUMN")
    cursor.if_exists()
    name = cursor.name()
    if cursor.take("DROP", "DEFAULT"):
        yield SetDefault(name, None)
    elif cursor.take("SET", "DEFAULT"):
        yield SetDefault(name, cursor.value())
    else:
        cursor.expect("SET")
        visible = cursor.take("VISIBLE")
        if not visible:
            cursor.expect("INVISIBLE")
        yield SetVisible(name, visible)


def _convert(cursor: Cursor) -> Iterator[Action]:
    cursor.expect("CONVERT")
    if not cursor.take("TO"):
        raise UnknownFormError("CONVERT PARTITION")
    if not cursor.take("CHARSET"):
        cursor.expect("CHARACTER", "SET")
    charset = cursor.charset()
    yield ConvertCharset(charset, cursor.charset() if cursor.take("COLLATE") else "")


def _options(cursor: Cursor) -> Iterator[Action]:
    """Options of the table; two of them matter."""
    charset, collation = charset_options(cursor, commas=False)
    if charset or collation:
        yield DefaultCharset(charset, collation)


def _partitions(cursor: Cursor) -> Iterator[Action]:
    """REORGANIZE PARTITION and its like: rows move between partitions and stay in the table."""
    cursor.next()
    cursor.expect("PARTITION")
    _rest(cursor)
    yield from ()


def _partition_by(cursor: Cursor) -> Iterator[Action]:
    cursor.expect("PARTITION", "BY")
    _rest(cursor)
    yield from ()


def _remove(cursor: Cursor) -> Iterator[Action]:
    cursor.expect("REMOVE", "PARTITIONING")
    yield from ()


def _order(cursor: Cursor) -> Iterator[Action]:
    """ORDER BY a, b: commas of its own, and always last."""
    cursor.expect("ORDER", "BY")
    _rest(cursor)
    yield from ()


def _force(cursor: Cursor) -> Iterator[Action]:
    cursor.expect("FORCE")
    yield from ()


def _two_words(cursor: Cursor) -> Iterator[Action]:
    """ENABLE KEYS, WITHOUT VALIDATION and their like."""
    cursor.next()
    if not cursor.take_one("KEYS", "VALIDATION"):
        raise UnknownFormError
    yield from ()


def _rest(cursor: Cursor) -> None:
    while not cursor.ended:
        cursor.next()


_READERS: Final = {
    "ADD": _add,
    "ALTER": _alter,
    "ANALYZE": _partitions,
    "CHANGE": _change,
    "CHECK": _partitions,
    "COALESCE": _partitions,
    "CONVERT": _convert,
    "DISABLE": _two_words,
    "DROP": _drop,
    "ENABLE": _two_words,
    "FORCE": _force,
    "MODIFY": _modify,
    "OPTIMIZE": _partitions,
    "ORDER": _order,
    "PARTITION": _partition_by,
    "REBUILD": _partitions,
    "REMOVE": _remove,
    "RENAME": _rename,
    "REORGANIZE": _partitions,
    "REPAIR": _partitions,
    "WITH": _two_words,
    "WITHOUT": _two_words,
}
