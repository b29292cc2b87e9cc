"""(pure) What a check finds on a memory server."""

from collections.abc import Iterator, Mapping, Sequence

from connectors.memory.storage import Table
from engine.model.finding import Finding, Severity
from engine.model.relation import Relation, ReplicaIdentity, TableName


def of_source(
    relations: Sequence[Relation], tables: Mapping[TableName, Table]
) -> Sequence[Finding]:
    """Tables that are gone, and those whose changes cannot all be sent."""
    found: list[Finding] = []
    for relation in relations:
        name = relation.qualified
        if relation.table not in tables:
            remedy = "make it, or leave it out by [mapping]"
            found.append(Finding("table", Severity.BLOCKS, f"{name} is not there", remedy, name))
        elif not relation.key and relation.replica_identity is not ReplicaIdentity.FULL:
            text = f"{name} has no key: only its insertions are carried"
            remedy = "give it a primary key, or REPLICA IDENTITY FULL"
            found.append(Finding("replica-identity", Severity.WARNS, text, remedy, name))
    return found


def of_target(
    relations: Sequence[Relation], tables: Mapping[TableName, Table]
) -> Sequence[Finding]:
    """In what tables that are there already do not fit."""
    return [
        Finding("target-table", Severity.BLOCKS, f"{relation.qualified}: {problem}", remedy, name)
        for relation in relations
        if (there := tables.get(relation.table)) is not None
        for name in [relation.qualified]
        for problem, remedy in _problems(relation, there)
    ]


def _problems(relation: Relation, there: Table) -> Iterator[tuple[str, str]]:
    names = {column.name for column in relation.columns}
    others = {column.name for column in there.relation.columns}
    for column in sorted(names - others):
        yield f"the target has no column {column}", f"add column {column} to the target's table"
    for other in there.relation.columns:
        if other.name not in names and not other.nullable:
            text = (
                f"the target's column {other.name} is NOT NULL without a default and the source"
                " does not have it"
            )
            yield text, f"drop column {other.name} of the target's table, or let it be NULL"
