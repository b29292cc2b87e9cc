"""Definitions of keys and constraints, as CREATE TABLE and ALTER TABLE have them. (pure)

See: MySQL manual, "CREATE TABLE Statement" and "CREATE INDEX Statement"; MariaDB manual, the same.
"""

from typing import Final

from connectors.mysql.ddl_cursor import Cursor, UnknownFormError
from connectors.mysql.ddl_steps import KeyDef, KeyPart

KEY_WORDS: Final = frozenset(
    {"PRIMARY", "UNIQUE", "KEY", "INDEX", "FULLTEXT", "SPATIAL", "FOREIGN", "CONSTRAINT", "CHECK"}
)
"""What a definition that is no column's begins with; no unquoted name can be one of them."""


def at_key(cursor: Cursor) -> bool:
    """Whether a key or constraint stands here and not a column."""
    vector = cursor.at_words("VECTOR", "INDEX") or cursor.at_words("VECTOR", "KEY")
    return vector or cursor.token.keyword in KEY_WORDS


def key_definition(cursor: Cursor) -> tuple[KeyDef, bool] | None:
    """A key and whether it is IF NOT EXISTS; None for a constraint that rows do not show."""
    constraint = _constraint_name(cursor)
    if cursor.take("CHECK"):
        cursor.skip_brackets()
        cursor.skip_item()
        return None
    if cursor.take("FOREIGN", "KEY"):
        cursor.if_not_exists()
        if not cursor.at_symbol("("):
            cursor.name()
        cursor.skip_brackets()
        cursor.expect("REFERENCES")
        skip_references(cursor)
        return None
    primary = cursor.take("PRIMARY", "KEY")
    unique = primary or cursor.take("UNIQUE")
    if not primary and not unique:
        cursor.take_one("FULLTEXT", "SPATIAL", "VECTOR")
    if not primary:
        cursor.take_one("KEY", "INDEX")
    return _key_body(cursor, constraint, primary=primary, unique=unique)


def _constraint_name(cursor: Cursor) -> str:
    if not cursor.take("CONSTRAINT"):
        return ""
    cursor.if_not_exists()
    if cursor.token.keyword in KEY_WORDS:
        return ""
    return cursor.name()


def _key_body(
    cursor: Cursor, constraint: str, *, primary: bool, unique: bool
) -> tuple[KeyDef, bool]:
    guarded = cursor.if_not_exists()
    name = constraint
    if not cursor.at_symbol("(") and not cursor.at_words("USING"):
        name = cursor.name()
    if cursor.take_one("USING", "TYPE"):
        cursor.name()
    parts = key_parts(cursor)
    cursor.skip_item()
    return KeyDef("" if primary else name, parts, unique=unique, primary=primary), guarded


def key_parts(cursor: Cursor) -> tuple[KeyPart, ...]:
    """The columns of a key, in brackets."""
    cursor.expect_symbol("(")
    parts = []
    while True:
        parts.append(_key_part(cursor))
        if cursor.take_symbol(")"):
            return tuple(parts)
        cursor.expect_symbol(",")


def _key_part(cursor: Cursor) -> KeyPart:
    if cursor.at_symbol("("):
        cursor.skip_brackets()
        part = KeyPart("")
    else:
        name = cursor.name()
        prefix = 0
        if cursor.take_symbol("("):
            prefix = cursor.number()
            cursor.expect_symbol(")")
        part = KeyPart(name, prefix)
    cursor.take_one("ASC", "DESC")
    if cursor.take("WITHOUT"):
        raise UnknownFormError("key of an application period")
    return part


def skip_references(cursor: Cursor) -> None:
    """A foreign key's other side, after REFERENCES."""
    cursor.table()
    if cursor.at_symbol("("):
        cursor.skip_brackets()
    while cursor.token.keyword in ("MATCH", "ON"):
        if cursor.take("MATCH"):
            cursor.name()
            continue
        cursor.expect("ON")
        if not cursor.take_one("DELETE", "UPDATE"):
            raise UnknownFormError
        if cursor.take("SET"):
            cursor.take_one("NULL", "DEFAULT")
        elif not cursor.take("NO", "ACTION") and not cursor.take_one("RESTRICT", "CASCADE"):
            raise UnknownFormError
