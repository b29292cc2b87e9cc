"""A schema change of the source as one ALTER TABLE of the target.

DDL commits whatever is open, so it runs in a session of its own, before the rows that follow it.
What it is about to do is committed first, as an intent; the record goes with the transaction that
carries the new version. A restart that finds an intent compares the table: as it was before, the
statement is run again; changed, nothing is left to do. Both servers make an ALTER TABLE whole or
not at all.

Rows of the same transaction that were written before the change and have been sent hold the table:
the ALTER would wait for them for ever. Then the change is refused, and the table loaded again.
"""

import hashlib
from typing import TYPE_CHECKING, Final

import orjson

from connectors.mysql import control_sql, target_alter
from connectors.mysql.control import cells
from connectors.mysql.ensure import read_target
from connectors.mysql.target_definitions import read_catalog
from connectors.mysql.target_errors import not_followed
from connectors.mysql.target_table import TargetTable
from engine.errors import SchemaMismatchError, TargetError
from engine.failpoint import hit, register
from engine.model import relation_text
from engine.model.change import SchemaChanged
from engine.model.relation import Relation, TableName

if TYPE_CHECKING:
    from connectors.mysql.session import MysqlSession

INTENDED: Final = register("mysql.change-intended", "an intent is durable, its table as it was")
CHANGED: Final = register("mysql.change-made", "a table is altered, the change not committed")


async def evolve(session: "MysqlSession", change: SchemaChanged) -> None:
    """Make the change, or find it made. `session` gives the configuration and a connection.

    Raises:
        SchemaMismatchError: it cannot be followed on the target.
        TargetConnectionError, TargetBusyError, TargetError.
    """
    table = change.before.table if change.before is not None else change.table
    async with session.apart() as other:
        try:
            await _evolve(other, table, change)
        except TargetError as error:
            raise not_followed(error, str(table)) from error


async def _evolve(session: "MysqlSession", table: TableName, change: SchemaChanged) -> None:
    there = await session.table_now(table)
    if there is None:
        raise SchemaMismatchError(
            f"{table}: the target has no such table to change", hint="reload the table"
        )
    replication = session.config.replication
    wanted, before = _text(change), _shape(there)
    (found,) = await session.run(control_sql.intent(replication, table))
    rows = cells(found)
    begun = bool(rows) and rows[0][0] == wanted
    if begun and rows[0][1] != before:
        return  # made by a process that did not come to record it
    actions = await _actions(session, there, change)
    if not actions:
        return
    await session.run(control_sql.save_intent(replication, table, wanted, before))
    hit(INTENDED)
    statement = f"ALTER TABLE {there.sql} {', '.join(actions)}"
    await session.run(statement.encode(), subject=str(table))
    hit(CHANGED)


async def _actions(session: "MysqlSession", there: TargetTable, change: SchemaChanged) -> list[str]:
    catalog = await read_catalog(session, [there.table])
    target = await read_target(session)
    work = target_alter.Alteration(
        change=change,
        there=there,
        catalog=catalog[there.table],
        target=target,
        drop_columns=session.config.drop_columns,
    )
    for question, column in target_alter.questions(work):
        (rows,) = await session.run(question.encode(), subject=str(there.table))
        if rows.rows:
            work.occupied.add(column)
    return target_alter.actions(work)


def _text(change: SchemaChanged) -> str:
    """The change as a short text: equal for the same change sent again."""
    steps = [(s.kind, s.column, s.new_name, s.type, s.default) for s in change.steps]
    plain = orjson.dumps([_dump(change.before), _dump(change.after), steps])
    return hashlib.sha256(plain).hexdigest()


def _dump(relation: Relation | None) -> str:
    return "" if relation is None else relation_text.dump(relation)


def _shape(table: TargetTable) -> str:
    """Columns as they are, as a short text."""
    plain = orjson.dumps([(c.name, c.full_type, c.nullable) for c in table.columns])
    return hashlib.sha256(plain).hexdigest()
