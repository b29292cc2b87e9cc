"""Quoted texts read back are the texts."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors._sql.quoting import identifier, literal, qualified

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
NAME = TEXT.filter(bool)


def read_identifier(sql: str) -> tuple[str, str]:
    """A quoted identifier at the start of the text, and what follows it."""
    match = re.match(r'"((?:[^"]|"")*)"', sql, re.DOTALL)
    assert match is not None
    return match[1].replace('""', '"'), sql[match.end() :]


def read_literal(sql: str, *, standard_conforming: bool) -> str:
    """A string constant, read as the server's lexer does (manual, "String Constants")."""
    escapes = sql.startswith(" E")
    body = sql.removeprefix(" E")
    assert re.fullmatch(r"'(?:[^']|'')*'", body, re.DOTALL)
    inner = body[1:-1].replace("''", "'")
    if escapes or not standard_conforming:
        assert not re.search(r"(?<!\\)(?:\\\\)*\\(?!\\)", inner)
        return inner.replace("\\\\", "\\")
    return inner


@given(NAME)
def test_an_identifier_reads_back(name: str) -> None:
    assert read_identifier(identifier(name)) == (name, "")


@given(NAME, NAME)
def test_a_qualified_name_reads_back(schema: str, name: str) -> None:
    found, rest = read_identifier(qualified(schema, name))
    assert found == schema
    assert rest[0] == "."
    assert read_identifier(rest[1:]) == (name, "")


@given(TEXT | st.text("\\'\"E ", max_size=8), st.booleans())
def test_a_constant_reads_back_whether_or_not_backslashes_escape(text: str, standard: bool) -> None:
    assert read_literal(literal(text), standard_conforming=standard) == text


def test_what_sql_cannot_hold_is_refused() -> None:
    for refused in ("", "a\0b"):
        with pytest.raises(ValueError, match="identifier"):
            identifier(refused)
    with pytest.raises(ValueError, match="NUL"):
        literal("a\0b")
