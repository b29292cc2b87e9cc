"""SQL text for applying rows. (pure)

A statement that must find its rows is followed by one that fails when the count is wrong, so both
can be sent together with the COMMIT behind them: the server runs nothing after a failure. The
failing expressions stand in `SET`, because MariaDB makes warnings of errors inside `DO`.

Session settings these texts rely on: strict mode, CLIENT_FOUND_ROWS.
"""

from collections.abc import Sequence
from typing import Final

from connectors.mysql.column_plan import ColumnPlan
from connectors.mysql.flavour import Flavour
from connectors.mysql.plan import TablePlan

COUNT_ERRNO: Final = 1242
"""ER_SUBQUERY_NO_1_ROW: what a check of counted rows fails with."""
CHANGED_ERRNO: Final = 1690
"""ER_DATA_OUT_OF_RANGE: what a check for warnings fails with."""

_WRONG_COUNT: Final = b"(SELECT 1 UNION SELECT 2)"
_WARNED: Final = b"IF(@@warning_count = 0, 0, ~0 + 1)"

FENCED: Final = b"SET @penstock = IF(ROW_COUNT() = 1, 0, " + _WRONG_COUNT + b")"
"""After the compare-and-set of a lane."""


def counted(expected: int, *, at_most: bool = False) -> bytes:
    """Fails unless the statement before found as many rows (or no more), or had a warning."""
    sign = b"<=" if at_most else b"="
    return b"SET @penstock = IF(ROW_COUNT() %b %d, %b, %b)" % (
        sign,
        expected,
        _WARNED,
        _WRONG_COUNT,
    )


WATCHED: Final = b"SET @penstock = " + _WARNED
"""Fails when the statement before had a warning: the server has changed a value."""


# --- rows -----------------------------------------------------------------------------------------


def insert(plan: TablePlan) -> tuple[bytes, bytes]:
    """What stands before the rows of an INSERT, and one row of a table without columns to write."""
    names = ", ".join([column.name for column in plan.columns])
    return f"INSERT INTO {plan.target.sql} ({names}) VALUES ".encode(), b"()"


def update(plan: TablePlan, assignments: bytes, where: bytes) -> bytes:
    return b"UPDATE %b SET %b WHERE %b" % (plan.target.sql.encode(), assignments, where)


def update_either(plan: TablePlan, assignments: bytes, old: bytes, new: bytes) -> bytes:
    """For a row whose key a foreign key of the target may have changed already: the one row that
    has the old values, or else the one that has the new ones."""
    return b"UPDATE %b SET %b WHERE (%b) OR (%b) ORDER BY (%b) DESC LIMIT 1" % (
        plan.target.sql.encode(), assignments, old, new, old,
    )  # fmt: skip


def delete(plan: TablePlan, where: bytes) -> bytes:
    return b"DELETE FROM %b WHERE %b" % (plan.target.sql.encode(), where)


def found(plan: TablePlan, where: bytes) -> bytes:
    """Counts like an UPDATE, and changes nothing."""
    name = plan.columns[0].name.encode()
    return update(plan, b"%b = %b" % (name, name), where)


# --- sets -----------------------------------------------------------------------------------------


def stage(number: int) -> str:
    """The name of a session's n-th staging table."""
    return f"`penstock`.`stage_{number}`"


def stage_column(column: ColumnPlan) -> str:
    return f"c{column.index}"


PLAIN_ENGINE: Final = "InnoDB"
LIGHT_ENGINE: Final = "Aria"
"""MariaDB's own for temporary tables. It keeps no versions of rows, which nobody here asks for: a
set of updates costs the server two thirds."""


def light_stages(flavour: Flavour) -> str:
    """An expression: whether staging tables may be of the light engine. A log of statements would
    hold their rows outside of the transaction that they are part of."""
    if not flavour.mariadb:
        return "0"
    return "@@enforce_storage_engine IS NULL AND (@@log_bin = 0 OR @@session.binlog_format = 'ROW')"


def create_stage(number: int, plan: TablePlan, columns: Sequence[ColumnPlan], engine: str) -> bytes:
    """A staging table whose columns compare as the target's do. It has a key of its own where a
    server may require one: of the light engine none does, and the key is a sixth of a set's cost.
    """
    fields = [f"{stage_column(c)} {_type(plan, c)} NULL" for c in columns]
    if engine != LIGHT_ENGINE:
        fields.insert(0, "n INT NOT NULL AUTO_INCREMENT PRIMARY KEY")
    return (
        f"CREATE TEMPORARY TABLE IF NOT EXISTS {stage(number)} ({', '.join(fields)})"
        f" ENGINE={engine}"
    ).encode()


def _type(plan: TablePlan, column: ColumnPlan) -> str:
    target = plan.target.column(plan.relation.columns[column.index].name)
    assert target is not None
    return target.full_type


def empty_stage(number: int) -> bytes:
    """Not TRUNCATE: that commits."""
    return f"DELETE FROM {stage(number)}".encode()


def fill_stage(number: int, columns: Sequence[ColumnPlan]) -> bytes:
    """What stands before the rows."""
    names = ", ".join(map(stage_column, columns))
    return f"INSERT INTO {stage(number)} ({names}) VALUES ".encode()


def update_stage(plan: TablePlan, number: int, changed: Sequence[ColumnPlan]) -> bytes:
    table = plan.target.sql
    assignments = ", ".join([f"{table}.{c.name} = s.{stage_column(c)}" for c in changed])
    if not changed:
        name = f"{table}.{plan.columns[0].name}"
        assignments = f"{name} = {name}"
    return f"UPDATE {_joined(plan, number)} SET {assignments}".encode()


def delete_stage(plan: TablePlan, number: int) -> bytes:
    """Without an alias: one would be looked for in the session's database, and there is none."""
    return f"DELETE {plan.target.sql} FROM {_joined(plan, number)}".encode()


def _joined(plan: TablePlan, number: int) -> str:
    """The staging table first: its rows are few, and the table's are found by index."""
    table = plan.target.sql
    conditions = " AND ".join([c.joins(table, f"s.{stage_column(c)}") for c in plan.key])
    return f"{stage(number)} AS s STRAIGHT_JOIN {table} ON {conditions}"
