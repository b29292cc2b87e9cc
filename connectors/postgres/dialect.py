"""SQL text for applying rows. (pure)

Every statement that must find its rows counts them itself and raises when the count is wrong, so it
can be sent together with the COMMIT behind it: a row that is missing can never be committed over.

Session settings these texts rely on: `search_path` is pg_catalog alone.
"""

from collections.abc import Sequence
from typing import Final

from connectors.postgres.plan import ColumnPlan, TablePlan
from connectors.postgres.target_table import PARTITIONED, TargetTable

COUNTED: Final = (
    "WITH done AS ({statement}) SELECT CASE WHEN count(*) {wrong} {expected}"
    " THEN penstock.miscounted(count(*), {expected}) END FROM done"
)
"""Raises unless the statement gives as many rows as expected. Measured: 3 us more than the bare
statement; a second round trip costs more from ten rows on, over a network from one."""

NO_SCANS: Final = (
    "SET LOCAL enable_hashjoin = off",
    "SET LOCAL enable_mergejoin = off",
    "SET LOCAL enable_seqscan = off",
)
"""Before a statement that joins a staging table by an indexed key: the server knows nothing about
the staged rows and would, on a bad guess, read the whole target for each batch."""

SCANS: Final = (
    "SET LOCAL enable_hashjoin TO DEFAULT",
    "SET LOCAL enable_mergejoin TO DEFAULT",
    "SET LOCAL enable_seqscan TO DEFAULT",
)


def counted(statement: str, expected: int) -> str:
    return COUNTED.format(statement=statement, wrong="<>", expected=expected)


def _deletion(plan: TablePlan, statement: str, expected: int) -> str:
    """Where a foreign key of the target deletes rows by itself, those that it has deleted already
    are as the source wants them."""
    if not plan.target.cascaded:
        return counted(statement, expected)
    return COUNTED.format(statement=statement, wrong=">", expected=expected)


# --- one row --------------------------------------------------------------------------------------


def insert_row(plan: TablePlan) -> str:
    """Parameters: the written columns in order."""
    table = plan.target.sql
    if not plan.columns:
        return f"INSERT INTO {table} DEFAULT VALUES"
    values = ", ".join(f"${n}{c.cast}" for n, c in enumerate(plan.columns, 1))
    return f"INSERT INTO {table} ({_names(plan.columns)}) OVERRIDING SYSTEM VALUE VALUES ({values})"


def update_row(plan: TablePlan, changed: Sequence[ColumnPlan]) -> str:
    """Parameters: the changed columns' new values, then the key's old ones."""
    where = _where_key(plan, len(changed))
    if not changed:
        return counted(f"SELECT 1 FROM {plan.target.sql} AS t WHERE {where}", 1)
    assignments = _assignments(changed)
    return counted(f"UPDATE {plan.target.sql} AS t SET {assignments} WHERE {where} RETURNING 1", 1)


def update_moved_row(plan: TablePlan, changed: Sequence[ColumnPlan]) -> str:
    """For a key change that a foreign key of the target may have made already: the row that has the
    old key, or else the one that has the new key. Parameters: the changed columns' new values, the
    key's old ones, the key's new ones."""
    table = plan.target.sql
    old = _where_key(plan, len(changed))
    new = _where_key(plan, len(changed) + len(plan.key))
    where = f"{old} OR {new} AND NOT EXISTS (SELECT FROM {table} AS t WHERE {old})"
    return counted(f"UPDATE {table} AS t SET {_assignments(changed)} WHERE {where} RETURNING 1", 1)


def delete_row(plan: TablePlan) -> str:
    """Parameters: the key."""
    where = _where_key(plan, 0)
    return _deletion(plan, f"DELETE FROM {plan.target.sql} AS t WHERE {where} RETURNING 1", 1)


def update_image(
    plan: TablePlan, changed: Sequence[ColumnPlan], image: Sequence[ColumnPlan]
) -> str:
    """For a table without key. Parameters: the new values, then the old image; then the new image
    where a foreign key of the target may have made the change already."""
    found = _one_like(plan, image, len(changed))
    if plan.target.adjusted:
        found = _one_or_else(found, _one_like(plan, image, len(changed) + len(image), _NOT_FOUND))
    if not changed:
        return counted(f"SELECT 1 FROM ({found}) AS m", 1)
    return counted(
        f"{_once(found)} UPDATE {plan.target.sql} AS t SET {_assignments(changed)} FROM m"
        f" WHERE {_SAME_ROW} RETURNING 1",
        1,
    )


def delete_image(plan: TablePlan, image: Sequence[ColumnPlan]) -> str:
    """For a table without key. Parameters: the old image."""
    found = _one_like(plan, image, 0)
    return _deletion(
        plan,
        f"{_once(found)} DELETE FROM {plan.target.sql} AS t USING m WHERE {_SAME_ROW} RETURNING 1",
        1,
    )


_SAME_ROW: Final = "t.ctid = m.ctid AND t.tableoid = m.tableoid"


_NOT_FOUND: Final = " AND NOT EXISTS (SELECT FROM found)"


def _once(found: str) -> str:
    """The query as `m`, run once whatever the plan. Run again within its statement, FOR UPDATE
    passes over the row that the statement has changed (nodeLockRows.c, TM_SelfModified), and
    another equal row is found."""
    return f"WITH m AS MATERIALIZED ({found})"


def _one_or_else(first: str, second: str) -> str:
    """The row of the first query, or else that of the second."""
    return (
        f"WITH found AS MATERIALIZED ({first})"
        f" SELECT ctid, tableoid FROM found UNION ALL SELECT ctid, tableoid FROM ({second}) AS o"
    )


def _one_like(plan: TablePlan, image: Sequence[ColumnPlan], start: int, condition: str = "") -> str:
    """Exactly one row with this image. `*=` compares what is stored: NULL equals NULL, it knows
    types without `=` (json, xml, point), and 1.0 is not 1.00."""
    theirs = ", ".join(f"r.{c.name}" for c in image)
    ours = ", ".join(f"${n}{c.cast}" for n, c in enumerate(image, start + 1))
    return (
        f"SELECT r.ctid, r.tableoid FROM {plan.target.sql} AS r"
        f" WHERE ROW({theirs})::record OPERATOR(pg_catalog.*=) ROW({ours})::record"
        f"{condition} LIMIT 1 FOR UPDATE"
    )


def _assignments(changed: Sequence[ColumnPlan]) -> str:
    return ", ".join(f"{c.name} = ${n}{c.cast}" for n, c in enumerate(changed, 1))


def _where_key(plan: TablePlan, start: int) -> str:
    return " AND ".join(
        f"t.{c.name} {c.equal} ${n}{c.cast}" for n, c in enumerate(plan.key, start + 1)
    )


# --- sets -----------------------------------------------------------------------------------------


def copy_into(table: str, columns: Sequence[str]) -> str:
    return f"COPY {table} ({', '.join(columns)}) FROM STDIN (FORMAT binary)"


def copy_rows(plan: TablePlan) -> str:
    return copy_into(plan.target.sql, [c.name for c in plan.columns])


def stage(number: int) -> str:
    """The name of a session's n-th staging table."""
    return f"pg_temp.stage_{number}"


def stage_column(column: ColumnPlan) -> str:
    return f"c{column.index}"


def create_stage(number: int, columns: Sequence[ColumnPlan]) -> str:
    """A staging table for these columns. No constraint: what is wrong is said by the target."""
    fields = ", ".join(f"{stage_column(c)} {c.stage_type}" for c in columns)
    return f"CREATE TEMPORARY TABLE {stage(number)} ({fields})"


def empty_stage(number: int) -> str:
    return f"TRUNCATE {stage(number)}"


def copy_stage(number: int, columns: Sequence[ColumnPlan]) -> str:
    return copy_into(stage(number), [stage_column(c) for c in columns])


def insert_stage(plan: TablePlan, number: int) -> str:
    values = ", ".join(_staged(c) for c in plan.columns)
    return (
        f"INSERT INTO {plan.target.sql} ({_names(plan.columns)}) OVERRIDING SYSTEM VALUE"
        f" SELECT {values} FROM {stage(number)} AS s"
    )


def update_stage(plan: TablePlan, number: int, changed: Sequence[ColumnPlan], expected: int) -> str:
    where = _where_staged(plan)
    if not changed:
        statement = f"SELECT 1 FROM {plan.target.sql} AS t, {stage(number)} AS s WHERE {where}"
        return counted(statement, expected)
    assignments = ", ".join(f"{c.name} = {_staged(c)}" for c in changed)
    statement = (
        f"UPDATE {plan.target.sql} AS t SET {assignments} FROM {stage(number)} AS s"
        f" WHERE {where} RETURNING 1"
    )
    return counted(statement, expected)


def delete_stage(plan: TablePlan, number: int, expected: int) -> str:
    statement = (
        f"DELETE FROM {plan.target.sql} AS t USING {stage(number)} AS s"
        f" WHERE {_where_staged(plan)} RETURNING 1"
    )
    return _deletion(plan, statement, expected)


def _where_staged(plan: TablePlan) -> str:
    return " AND ".join(f"t.{c.name} {c.equal} {_staged(c)}" for c in plan.key)


def _staged(column: ColumnPlan) -> str:
    return f"s.{stage_column(column)}{column.stage_cast}"


def _names(columns: Sequence[ColumnPlan]) -> str:
    return ", ".join(c.name for c in columns)


# --- tables ---------------------------------------------------------------------------------------


def truncate(tables: Sequence[TargetTable], *, cascade: bool, restart_identity: bool) -> str:
    """One statement for all of them: one that another references can only go together with it.
    ONLY, because the log names every table that was emptied, also inheritance children."""
    names = ", ".join(
        table.sql if table.kind == PARTITIONED else f"ONLY {table.sql}" for table in tables
    )
    identity = "RESTART IDENTITY" if restart_identity else "CONTINUE IDENTITY"
    return f"TRUNCATE TABLE {names} {identity}{' CASCADE' if cascade else ''}"
