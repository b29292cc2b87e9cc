"""What a table gets after the load: indexes, unique and foreign keys, the next AUTO_INCREMENT.

Every step looks at what is there first, so it can be run again after an interruption. What cannot
be made is a finding with its statement; what the target's dialect has no words for, too.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from connectors.mysql import table_ddl
from connectors.mysql.catalog import CatalogTable
from connectors.mysql.ensure import read_target
from connectors.mysql.quoting import identifier
from connectors.mysql.table_ddl import Addition, Target, table_name
from connectors.mysql.target_definitions import read_catalog
from engine.errors import TargetConnectionError, TargetError
from engine.failpoint import hit, register
from engine.model.finding import Finding, Severity
from engine.model.relation import TableName
from engine.model.table import TableDefinition

if TYPE_CHECKING:
    from connectors.mysql.session import MysqlSession

ADDED: Final = register("mysql.key-made", "an index or foreign key is there, others are not yet")


@dataclass(slots=True)
class _Work:
    """One run: the session, what the target has, what was found."""

    session: "MysqlSession"
    target: Target
    there: dict[TableName, CatalogTable]
    findings: list[Finding] = field(default_factory=list[Finding])

    async def run(self, addition: Addition, table: TableName) -> None:
        """Run an addition; a refusal becomes a finding."""
        if not addition.statement:
            text = f"{addition.kind} {addition.name} of {table} has no counterpart on the target"
            self.findings.append(Finding(addition.kind, Severity.TELLS, text, subject=str(table)))
            return
        try:
            await self.session.run(addition.statement.encode(), subject=str(table))
            hit(ADDED)
        except TargetConnectionError:
            raise
        except TargetError as error:
            text = f"{addition.kind} {addition.name} of {table} could not be made: {error.message}"
            self.findings.append(
                Finding(addition.kind, Severity.WARNS, text, addition.statement, str(table))
            )


async def finish(session: "MysqlSession", definitions: Sequence[TableDefinition]) -> list[Finding]:
    """Make what is missing after the load. Idempotent. Tables that are not there are left out.

    Raises:
        TargetConnectionError: the session ended; run it again.
    """
    tables = [definition.table for definition in definitions]
    catalog = await read_catalog(session, tables)
    work = _Work(session, await read_target(session), catalog)
    present = [definition for definition in definitions if definition.table in catalog]
    for definition in present:
        _tell(work, definition)
        for addition in table_ddl.indexes(definition, work.target):
            if not _has_index(catalog[definition.table], addition):
                await work.run(addition, definition.table)
    for definition in present:
        for addition in table_ddl.foreign_keys(definition):
            if not has_foreign_key(catalog[definition.table], addition):
                await work.run(addition, definition.table)
    for definition in present:
        await _count_on(work, definition)
    session.forget()
    return work.findings


def _tell(work: _Work, definition: TableDefinition) -> None:
    made = table_ddl.make(definition, work.target)
    table = str(definition.table)
    for kind, name in made.untranslated:
        text = f"{kind} {name} of {table} has no counterpart on the target"
        work.findings.append(Finding("default", Severity.TELLS, text, subject=table))
    for name in made.shortened:
        text = (
            f"{table}: key column {name} has a length on the target, as every key has; a row with"
            " a longer value is refused"
        )
        work.findings.append(Finding("key-length", Severity.TELLS, text, subject=table))


def _has_index(table: CatalogTable, addition: Addition) -> bool:
    """Whether one with these columns is there, for a unique one a unique one."""
    unique = " ADD UNIQUE " in addition.statement
    columns = _lower(addition.columns)
    return any(
        _lower(index.columns) == columns and (index.unique or not unique) for index in table.indexes
    ) or any(index.name.lower() == addition.name.lower() for index in table.indexes)


def has_foreign_key(table: CatalogTable, addition: Addition) -> bool:
    """Whether a key from these columns to that parent is there."""
    columns = _lower(addition.columns)
    return any(
        _lower(key.columns) == columns and key.parent == addition.parent
        for key in table.foreign_keys
    )


def _lower(names: Collection[str]) -> list[str]:
    return [name.lower() for name in names]


async def _count_on(work: _Work, definition: TableDefinition) -> None:
    """Let AUTO_INCREMENT go on where the source's does, never back."""
    table = work.there[definition.table]
    counts = any(column.auto_increment for column in table.columns)
    following = table_ddl.next_value(definition)
    if not counts or following is None or following <= table.auto_increment:
        return
    name = table_name(definition.table)
    statement = f"ALTER TABLE {name} AUTO_INCREMENT = {following}"
    await work.run(Addition("sequence", "AUTO_INCREMENT", statement), definition.table)


async def loosen(
    session: "MysqlSession",
    definitions: Sequence[TableDefinition],
    tables: Collection[TableName],
) -> None:
    """Drop the foreign keys of these definitions that start from or lead to one of `tables`, so
    that they can be emptied and filled in any order. What only the target has stays. Idempotent.

    Raises:
        TargetConnectionError, TargetBusyError, TargetError.
    """
    catalog = await read_catalog(session, [definition.table for definition in definitions])
    for definition in definitions:
        there = catalog.get(definition.table)
        if there is None:
            continue
        ours = list(table_ddl.foreign_keys(definition))
        for key in there.foreign_keys:
            touched = definition.table in tables or key.parent in tables
            made = Addition("foreign-key", key.name, "", key.columns, key.parent)
            if touched and any(_same(made, addition) for addition in ours):
                name = table_name(definition.table)
                statement = f"ALTER TABLE {name} DROP FOREIGN KEY {identifier(key.name)}"
                await session.run(statement.encode(), subject=str(definition.table))
    session.forget()


def _same(one: Addition, other: Addition) -> bool:
    return _lower(one.columns) == _lower(other.columns) and one.parent == other.parent
