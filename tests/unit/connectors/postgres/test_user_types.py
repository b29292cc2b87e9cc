"""Statements of user-defined types between servers of different versions."""

from connectors.postgres.user_types import made_if_missing, without_multirange
from engine.model.relation import TableName
from engine.model.table import TypeDefinition

SPAN = 'CREATE TYPE "s"."span" AS RANGE (SUBTYPE = double precision'
NAME = TableName("s", "span")


def test_a_range_type_is_told_without_its_multirange_in_both_versions_alike() -> None:
    newer = TypeDefinition(NAME, "range", f'{SPAN}, MULTIRANGE_TYPE_NAME = "s"."many)")')
    older = TypeDefinition(NAME, "range", f"{SPAN})")
    assert without_multirange(newer) == without_multirange(older) == f"{SPAN})"


def test_other_types_are_told_as_they_are() -> None:
    enum = TypeDefinition(NAME, "enum", "CREATE TYPE s.span AS ENUM (', MULTIRANGE_TYPE_NAME = ')")
    assert without_multirange(enum) == enum.statement


def test_what_is_missing_is_made_as_the_server_s_version_takes_it() -> None:
    span = TypeDefinition(NAME, "range", f'{SPAN}, MULTIRANGE_TYPE_NAME = "s"."many")')
    assert "MULTIRANGE" in made_if_missing(span, 140000)
    assert "MULTIRANGE" not in made_if_missing(span, 130023)
    assert """to_regtype(''"s"."span"'')""" in made_if_missing(span, 140000)
