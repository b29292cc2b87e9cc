"""What a table gets after the load: indexes, constraints, sequences, statistics.

Order: defaults that could not be set before, a missing primary key, indexes, unique and exclusion
constraints, check constraints (their functions may look at other tables, and the source has checked
the rows already), then foreign keys of all tables, sequences, ANALYZE. Every step looks at what is
there first, so it can be run again after an interruption.

What cannot be made is a finding with its statement. A foreign key whose rows do not hold is taken
back whole: half made, it would refuse changes of the stream that touch the old rows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import asyncpg

from connectors.postgres import ddl
from connectors.postgres.definitions import read_definitions
from connectors.postgres.ensure import set_default, target_error
from connectors.postgres.errors import DRIVER_ERRORS
from connectors.postgres.load_connection import Connection
from connectors.postgres.target_errors import condition
from engine.model.finding import Finding, Severity
from engine.model.relation import TableName
from engine.model.table import Definition, TableDefinition

LOST: Final = frozenset({"08", "57"})
"""SQLSTATE classes of a session that ended: no finding, the whole step is run again."""


@dataclass(slots=True)
class _Work:
    """One run: the target's session, what the target has, what was found."""

    connection: Connection
    existing: dict[TableName, TableDefinition]
    findings: list[Finding] = field(default_factory=list[Finding])

    async def run(self, check: str, name: str, table: TableName, statement: str) -> bool:
        """Run a statement; a refusal becomes a finding."""
        try:
            await self.connection.execute(statement)
        except asyncpg.PostgresError as error:
            if (error.sqlstate or "")[:2] in LOST:
                raise
            self.report(check, name, table, statement, error.sqlstate or "")
            return False
        return True

    def report(self, check: str, name: str, table: TableName, statement: str, state: str) -> None:
        message = f"{check} {name} of {table} could not be made: {condition(state)}"
        self.findings.append(Finding(check, Severity.WARNS, message, statement, str(table)))


async def finish(connection: Connection, definitions: Sequence[TableDefinition]) -> list[Finding]:
    """Make what is missing after the load. Idempotent. Tables that are not there are left out.

    The connection is one of `load_connection`.

    Raises:
        TargetConnectionError: the session ended; run it again.
    """
    try:
        relations = [definition.relation for definition in definitions]
        there = {d.table: d for d in await read_definitions(connection, relations)}
        work = _Work(connection, there)
        present = [definition for definition in definitions if definition.table in there]
        for definition in present:
            await _table(work, definition, there[definition.table])
        for definition in present:
            await _foreign_keys(work, definition, there[definition.table])
        for definition in present:
            await _sequences(work, definition)
            await work.run("analyze", "", definition.table, f"ANALYZE {_sql(definition.table)}")
    except DRIVER_ERRORS as error:
        raise target_error(error, "finishing the target's tables") from error
    return work.findings


async def _table(work: _Work, ours: TableDefinition, theirs: TableDefinition) -> None:
    await _defaults(work, ours, theirs)
    if ours.primary_key is not None and theirs.primary_key is None:
        key = ours.primary_key
        await work.run("primary-key", key.name, ours.table, key.statement)
    for index in _missing_indexes(ours, theirs):
        await work.run("index", index.name, ours.table, index.statement)
    for constraint in _missing_constraints(ours.constraints, theirs.constraints):
        await work.run("constraint", constraint.name, ours.table, constraint.statement)


async def _defaults(work: _Work, ours: TableDefinition, theirs: TableDefinition) -> None:
    """Set what `ensure` had to leave out. A default that is there is the target's own affair."""
    bare = {c.name for c in theirs.columns if not (c.default or c.identity or c.generated)}
    for column in ours.columns:
        if column.default and column.name in bare:
            statement = ddl.set_default(ours.table, column)
            state = await set_default(work.connection, statement)
            if state:
                work.report("default", column.name, ours.table, statement, state)


def _missing_indexes(ours: TableDefinition, theirs: TableDefinition) -> Iterator[Definition]:
    there = {ddl.index_body(index.statement) for index in theirs.indexes}
    return (index for index in ours.indexes if ddl.index_body(index.statement) not in there)


def _missing_constraints(
    ours: Sequence[Definition], theirs: Sequence[Definition]
) -> Iterator[Definition]:
    """Unique and exclusion constraints before checks, as they come from the catalog."""
    there = {ddl.constraint_body(constraint.statement) for constraint in theirs}
    return (c for c in ours if ddl.constraint_body(c.statement) not in there)


# --- foreign keys ---------------------------------------------------------------------------------


async def _foreign_keys(work: _Work, ours: TableDefinition, theirs: TableDefinition) -> None:
    there = {ddl.constraint_body(key.statement): key for key in theirs.foreign_keys}
    for key in ours.foreign_keys:
        made = there.get(ddl.constraint_body(key.statement))
        if made is None:
            await _add_foreign_key(work, ours.table, key)
        elif ddl.is_not_valid(made) and not ddl.is_not_valid(key):
            await _validate(work, ours.table, made.name, key)


async def _add_foreign_key(work: _Work, table: TableName, key: Definition) -> None:
    """In two steps: only the second reads rows, and it lets writers of both tables go on."""
    added = await work.run("foreign-key", key.name, table, ddl.not_valid(key))
    if added and not ddl.is_not_valid(key):
        await _validate(work, table, key.name, key)


async def _validate(work: _Work, table: TableName, name: str, key: Definition) -> None:
    try:
        await work.connection.execute(ddl.validate(table, name))
    except asyncpg.PostgresError as error:
        if (error.sqlstate or "")[:2] in LOST:
            raise
        work.report("foreign-key", key.name, table, key.statement, error.sqlstate or "")
        await work.run("foreign-key", name, table, ddl.drop_constraint(table, name))


# --- sequences ------------------------------------------------------------------------------------


async def _sequences(work: _Work, definition: TableDefinition) -> None:
    for sequence in definition.sequences:
        if sequence.last is None:
            continue
        name = await _sequence_there(work, definition.table, sequence.column)
        statement = ddl.set_sequence(name or _sql(sequence.name), sequence.last)
        await work.run("sequence", sequence.name.name, definition.table, statement)


async def _sequence_there(work: _Work, table: TableName, column: str) -> str | None:
    """The target's own sequence of that column, whatever its name; None when it has none."""
    columns = {c.name for c in work.existing[table].columns}
    if not column or column not in columns:
        return None
    found = await work.connection.fetchval(
        "SELECT pg_catalog.pg_get_serial_sequence($1, $2)", _sql(table), column
    )
    return None if found is None else str(found)


_sql = ddl.table_name
