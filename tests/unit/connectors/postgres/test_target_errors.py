"""SQLSTATE to error, and what its text may say."""

import pytest

from connectors.memory.definitions import table
from connectors.postgres.link import ServerError
from connectors.postgres.target_errors import (
    condition,
    is_stale_plan,
    note_copied_column,
    refusal,
)
from engine.errors import (
    FenceFailedError,
    RowMissingError,
    RowRejectedError,
    SchemaMismatchError,
    TargetBusyError,
    TargetConnectionError,
    TargetError,
    TargetFullError,
)


@pytest.mark.parametrize(
    ("sqlstate", "kind"),
    [
        ("PN001", FenceFailedError), ("PN002", RowMissingError), ("PN003", RowRejectedError),
        ("PN004", TargetBusyError), ("26000", TargetBusyError),
        ("23505", RowRejectedError), ("22001", RowRejectedError), ("22021", RowRejectedError),
        ("P0001", RowRejectedError), ("428C9", RowRejectedError), ("54000", RowRejectedError),
        ("40001", TargetBusyError), ("40P01", TargetBusyError), ("55P03", TargetBusyError),
        ("57014", TargetBusyError),
        ("53100", TargetFullError), ("53200", TargetFullError),
        ("53300", TargetConnectionError), ("57P01", TargetConnectionError),
        ("57P03", TargetConnectionError), ("25006", TargetConnectionError),
        ("25P03", TargetConnectionError), ("08006", TargetConnectionError),
        ("42P01", SchemaMismatchError), ("42703", SchemaMismatchError),
        ("42804", SchemaMismatchError), ("3F000", SchemaMismatchError),
        ("0A000", SchemaMismatchError),
        ("42501", TargetError), ("XX000", TargetError), ("ZZ123", TargetError),
    ],
)  # fmt: skip
def test_every_class_has_its_error(sqlstate: str, kind: type[TargetError]) -> None:
    assert type(refusal(ServerError(sqlstate, {}, 0), "s.t")) is kind


@pytest.mark.parametrize("sqlstate", ["22P02", "23505", "P0001", "XX000", "54000", "ZZ123"])
def test_words_that_may_hold_values_are_not_repeated(sqlstate: str) -> None:
    fields = {"message": "secret", "table": "t", "schema": "s", "constraint": "c", "column": "x"}
    error = refusal(ServerError(sqlstate, fields, 0))
    assert "secret" not in f"{error} {error.context}"
    assert "s.t" in str(error)


RELATION = table("s.odd, line", ["id", "note, column id", "café"]).relation


@pytest.mark.parametrize(
    ("context", "column"),
    [
        ('COPY odd, line, line 3, column id: "secret"', "id"),
        ("COPY odd, line, line 3, column café", "café"),
        ('COPY odd, line, line 3, column note, column id: "x"', "note, column id"),
        ("COPY odd, line, line 3, column id: null input", "id"),
        ('COPY odd, line, line 3: "1, column id: x"', ""),
        ('COPY other, line 3, column id: "secret"', ""),
        ("PL/pgSQL function f() line 3\nCOPY odd, line, line 3, column id", "id"),
        ("", ""),
    ],
)
def test_a_copied_column_is_named_without_its_value(context: str, column: str) -> None:
    error = ServerError("22P02", {"context": context}, 0)
    note_copied_column(error, RELATION)
    assert error.fields.get("column", "") == column
    assert "secret" not in str(refusal(error, "s.t"))


def test_a_condition_has_its_name() -> None:
    assert condition("23505") == "unique_violation 23505"
    assert condition("ZZ123") == "ZZ123"


def test_only_the_plan_cache_s_refusal_is_a_stale_plan() -> None:
    words = "cached plan must not change result type"
    assert is_stale_plan(ServerError("0A000", {"message": words}, 0))
    assert not is_stale_plan(ServerError("0A000", {"message": "no"}, 0))
