"""What a refusal of the target server means: SQLSTATE to Penstock's errors.

Source: PostgreSQL manual, Appendix A, "PostgreSQL Error Codes". Class PN is Penstock's own, raised
by the functions of schema `penstock`.

The server's DETAIL is never shown, and its message only for classes whose messages hold names and
no values: `invalid input syntax for type integer: "..."` quotes the row.
"""

import re
from collections.abc import Mapping
from typing import Final

import psycopg

from connectors.postgres.connecting import NONE_LEFT
from connectors.postgres.link import ServerError
from connectors.postgres.own_states import (
    FENCE_FAILED,
    ROW_AMBIGUOUS,
    ROW_MISSING,
    SHAPE_CHANGED,
)
from engine.errors import (
    FenceFailedError,
    RowMissingError,
    RowRejectedError,
    SchemaMismatchError,
    TablePrivilegeError,
    TargetBusyError,
    TargetConnectionError,
    TargetError,
    TargetFullError,
)
from engine.model.relation import Relation

STALE_PLAN: Final = frozenset({"26000", SHAPE_CHANGED})
"""A prepared statement or a compiled plan no longer fits: compiled anew, it may."""

_BUSY: Final = frozenset({"40001", "40P01", "55P03", "55006", "57014"})
_FULL: Final = frozenset({"53000", "53100", "53200", "53400"})
_CONNECTION: Final = frozenset(
    {"53300", "57P01", "57P02", "57P03", "57P05", "25P03", "25P04", "25006"}
)
_ROW_CLASSES: Final = frozenset({"09", "21", "22", "23", "27", "38", "39", "44", "54", "P0"})
_ROW: Final = frozenset({"428C9", "08P01"})
"""`generated_always`, and a value that ended too early for its type's receive function."""

_MISREAD: Final = frozenset({"22P03", "08P01"})
"""What a receive function says of bytes that belong to another type."""
_SHOWN_CLASSES: Final = frozenset(
    {"08", "0A", "25", "28", "2B", "3D", "3F", "40", "42", "53", "55", "57", "58", "PN"}
)

_GRANT: Final = "grant the missing privilege to the role; penstock check FILE prints the statement"

_REASONS: Final[Mapping[str, str]] = {
    "22": "its value does not fit the column",
    "23": "a constraint forbids it",
    "44": "a view's check option forbids it",
    "54": "it is larger than a limit of the server",
    "P0": "a function or trigger of the target refused it",
}


def is_stale_plan(error: ServerError) -> bool:
    """Whether a cached plan no longer fits the table: dropped and made again, it may."""
    if error.sqlstate in STALE_PLAN:
        return True
    # plancache.c: the only 0A000 that a new plan mends.
    return error.sqlstate == "0A000" and "cached plan" in error.message


def may_be_stale(error: ServerError) -> bool:
    """Whether a table altered since it was described would explain the refusal."""
    return error.sqlstate[:2] == "42" or error.sqlstate in _MISREAD


def is_fatal(error: ServerError) -> bool:
    """Whether the server ended the session with this error."""
    return error.fields.get("severity") in ("FATAL", "PANIC")


def refusal(error: ServerError, subject: str = "") -> TargetError:
    """The error for a refused statement. `subject` is the table it was about."""
    state = error.sqlstate
    table = _table(error, subject)
    context = {"sqlstate": state, "table": table}
    if state == FENCE_FAILED:
        return FenceFailedError(f"lane {subject}: its checkpoint row is not as expected")
    if state == ROW_MISSING:
        return RowMissingError(
            f"{table}: a row to change is not in the target", sqlstate=state, context=context
        )
    if state == ROW_AMBIGUOUS:
        return RowRejectedError(
            f"{table}: more than one row of the target has the key of one row of the source",
            sqlstate=state,
            hint="make the key unique on the target",
            context=context,
        )
    if is_stale_plan(error):
        return TargetBusyError(f"{table}: the table was altered on the target", context=context)
    if state in _ROW or state[:2] in _ROW_CLASSES:
        return _rejected(error, table, context)
    return _unrelated_to_rows(error, table, context)


def _rejected(error: ServerError, table: str, context: Mapping[str, object]) -> RowRejectedError:
    fields = error.fields
    places = [f"{name} {fields[name]}" for name in ("column", "constraint") if fields.get(name)]
    where = ", ".join([table, *places]) if table else ", ".join(places)
    reason = _REASONS.get(error.sqlstate[:2], "the target refuses it")
    return RowRejectedError(
        f"{where or 'a row'}: {reason} ({condition(error.sqlstate)})",
        sqlstate=error.sqlstate,
        hint="mend what forbids it on the target, or the row on the source",
        context={**context, "constraint": fields.get("constraint", "")},
    )


def _unrelated_to_rows(
    error: ServerError, table: str, context: Mapping[str, object]
) -> TargetError:
    state = error.sqlstate
    text = f"{table + ': ' if table else ''}{_shown(error)} ({condition(state)})"
    if state in _BUSY or state[:2] == "40":
        return TargetBusyError(text, context=context)
    if state in _FULL:
        return TargetFullError(text, hint="make room on the target server", context=context)
    if state in _CONNECTION or state[:2] == "08":
        hint = NONE_LEFT if state == "53300" else ""
        return TargetConnectionError(text, hint=hint, context=context)
    if state == "42501":
        return TargetError(f"the target: {text}", hint=_GRANT, context=context)
    if state[:2] in ("42", "3F", "0A"):
        return SchemaMismatchError(text, context=context)
    return TargetError(text, context=context)


def note_copied_column(error: ServerError, relation: Relation) -> None:
    """Find out which column a refused COPY was at: of a value that cannot be read, the server
    tells that only in its context, beside the value."""
    if error.fields.get("column"):
        return
    for line in error.fields.get("context", "").splitlines():
        for column in relation.columns:
            place = rf"COPY {re.escape(relation.name)}, line \d+, column {re.escape(column.name)}"
            if re.match(rf"{place}(: |$)", line):
                error.fields["column"] = column.name


def of_table(error: TargetError, table: str) -> TargetError:
    """The refusal of a statement about a user's table: a missing privilege is that table's alone.
    Any other error as it is."""
    if type(error) is not TargetError or error.context.get("sqlstate") != "42501":
        return error
    return TablePrivilegeError(
        error.message,
        hint=f"GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON {table} to the role; what waits is"
        " then applied by itself",
        context=error.context,
    )


def not_followed(error: TargetError, table: str) -> TargetError:
    """The refusal of a statement that would change the shape of a table: it is that table's alone,
    whatever the reason, unless the server may take the same statement later."""
    error = of_table(error, table)
    if isinstance(error, TablePrivilegeError):
        return TablePrivilegeError(
            error.message,
            hint=f"let the role own it (ALTER TABLE {table} OWNER TO ...), or make the source's"
            " change there as its owner; what waits is then applied by itself",
            context=error.context,
        )
    if isinstance(error, SchemaMismatchError) and error.context.get("sqlstate") == "42704":
        return SchemaMismatchError(
            error.message,
            hint="make the type on the target as it is on the source; what waits is then applied by"
            " itself, or with the next start",
            context=error.context,
        )
    if type(error) is not TargetError:
        return error
    return SchemaMismatchError(
        error.message,
        hint="make the source's change on the target by hand; what waits is then applied by itself",
        context=error.context,
    )


def condition(sqlstate: str) -> str:
    """The condition's name beside its code, e.g. `unique_violation 23505`."""
    try:
        name = psycopg.errors.lookup(sqlstate).__name__
    except KeyError:
        return sqlstate
    words = "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")
    return f"{words} {sqlstate}"


def _shown(error: ServerError) -> str:
    if error.sqlstate[:2] in _SHOWN_CLASSES:
        return error.message
    return "the target refused a statement"


def _table(error: ServerError, subject: str) -> str:
    table = error.fields.get("table")
    if not table:
        return subject
    schema = error.fields.get("schema")
    return f"{schema}.{table}" if schema else table
