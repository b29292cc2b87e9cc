"""A target table made from an older version of its source table, brought to the one loaded now.

Its rows are about to be replaced, so what existing rows get does not matter here. But from that
moment on they are of no moment of the source: the table is pending in the same transaction, so that
whoever starts next loads it from its beginning.
"""

from dataclasses import replace

from engine.contracts import TargetTransaction
from engine.errors import SchemaChangeError
from engine.model import relation_text
from engine.model.change import SchemaChanged, SchemaStep
from engine.model.relation import Relation
from engine.model.state import TableRecord, TableState
from engine.model.table import TypeDefinition
from engine.plan import schema


def changed(
    record: TableRecord, relation: Relation, types: tuple[TypeDefinition, ...] = ()
) -> SchemaChanged | None:
    """What happened since the record's version, as far as that is known. None: nothing, or the
    version is of another table. `types`: what the table's columns need."""
    known = relation_text.parse(record.relation) if record.relation else None
    if known is None or known.id != relation.id or _same(known, relation):
        return None
    added = [SchemaStep(schema.ADD, column.name, types=types) for column in relation.columns]
    return SchemaChanged(record.table, known, relation, exact=True, steps=tuple(added))


async def reshape(
    transaction: TargetTransaction,
    record: TableRecord,
    change: SchemaChanged,
    *,
    exists: bool,
    takes: bool,
) -> TableRecord:
    """Change the target's table, unless it is yet to be made, and the version in its record;
    returns the record. `takes`: the table takes rows of the new version already.

    Raises:
        SchemaChangeError: by hand only: a type that does not hold the old values.
        SchemaMismatchError: the target cannot follow.
    """
    assert change.before is not None
    assert change.after is not None
    steps = _steps(change.before, change, takes=takes) if exists else ()
    if steps:
        await transaction.evolve(replace(change, steps=steps))
    text = relation_text.dump(change.after)
    record = replace(record, state=TableState.PENDING, position="", reason="", relation=text)
    await transaction.save_table(record)
    return record


def _steps(known: Relation, change: SchemaChanged, *, takes: bool) -> tuple[SchemaStep, ...]:
    """What is to be done; nothing where somebody did by hand what cannot be followed."""
    assert change.after is not None
    try:
        if not change.after.numbered:
            return schema.replacing(known, change)
        return schema.steps(known, change)
    except SchemaChangeError:
        if takes:
            return ()
        raise


def _same(known: Relation, relation: Relation) -> bool:
    numbers = [column.number for column in known.columns]
    return known.columns == relation.columns and numbers == [c.number for c in relation.columns]
