"""What happened between two versions of a table, and whether it can be followed exactly (pure).

A column keeps its attribute number for ever. Where the source tells them, two versions have one
reading: same number, other name is a rename; a number that is gone is a drop. Without numbers a
renamed column looks like one that was dropped and another that was added. Then only what has a
single reading is followed: added columns, and types that became wider.

Nothing shows which values existing rows have in a column that was computed: that is never followed.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from engine.errors import SchemaChangeError
from engine.model.change import SchemaChanged, SchemaStep
from engine.model.relation import Column, Relation
from engine.plan.column_types import new_labels, widens

ADD: Final = "add-column"
DROP: Final = "drop-column"
RENAME: Final = "rename-column"
RETYPE: Final = "retype-column"
ALTER_TYPE: Final = "alter-type"
RENAME_TABLE: Final = "rename-table"
CREATE_TABLE: Final = "create-table"
DROP_TABLE: Final = "drop-table"
REWRITE: Final = "rewrite"
OTHER: Final = "other"

FOLLOWED: Final = frozenset({ADD, DROP, RENAME, RETYPE, ALTER_TYPE, RENAME_TABLE})
"""Steps that a target applies."""

ASIDE: Final = "penstock_renaming_"
"""Names that columns have for a moment while they swap theirs."""


def holds(there: Relation, after: Relation) -> bool:
    """Whether a target's table has every column of this version, with the same type."""
    columns = {column.name: column.type.name for column in there.columns}
    return all(columns.get(column.name) == column.type.name for column in after.columns)


def steps(known: Relation, change: SchemaChanged) -> tuple[SchemaStep, ...]:
    """The steps from the version last applied to the one that comes now.

    Raises:
        SchemaChangeError: it cannot be followed exactly; the message has both readings.
    """
    after = change.after
    if after is None:
        raise _error(known, "the table was dropped on the source", "drop it, or take it out")
    for step in change.steps:
        if step.kind not in FOLLOWED:
            raise _not_told(known, f"{step.kind} {step.column} {step.detail}")
    if change.exact and not after.numbered:
        return change.steps
    told = {step.column: step for step in change.steps if step.kind == ADD}
    if known.numbered and after.numbered and (change.exact or _proven(known, after)):
        return tuple(_by_number(known, after, told))
    return tuple(_by_name(known, after, told))


def replacing(known: Relation, change: SchemaChanged) -> tuple[SchemaStep, ...]:
    """The steps for a table whose rows are about to be replaced, where no attribute numbers are
    known: whether a column is another one under an old name does not matter, nor whether a type's
    values were computed anew. A target refuses a type that does not hold what it has.

    Raises:
        SchemaChangeError: an added column that cannot be followed.
    """
    after = change.after
    assert after is not None
    told = {step.column: step for step in change.steps if step.kind == ADD}
    before = {column.name: column for column in known.columns}
    now = {column.name: column for column in after.columns}
    found = [SchemaStep(DROP, column=name) for name in before if name not in now]
    for name, column in now.items():
        if name not in before:
            found.append(_added(known, column, told))
        elif before[name].type != column.type:
            found.append(SchemaStep(RETYPE, column=name, type=column.type.name))
    return tuple(found)


def describe(found: Sequence[SchemaStep]) -> str:
    """Steps for people: `add-column c integer, drop-column d`."""
    return ", ".join(
        " ".join(filter(None, (step.kind, step.column, step.new_name, step.type))) for step in found
    )


def _proven(known: Relation, after: Relation) -> bool:
    """Whether numbers read from the catalog later than `after` is from hold for it.

    They were put at the places of its columns, in order. Attributes that live in `known` and in the
    catalog now have lived all the time between. When the catalog has nothing else, or has all of
    `known`, every place but those behind them is theirs.
    """
    earlier = {column.number for column in known.columns}
    later = {column.number for column in after.columns}
    return later <= earlier or earlier <= later


# --- with attribute numbers -----------------------------------------------------------------------


def _by_number(
    known: Relation, after: Relation, told: Mapping[str, SchemaStep]
) -> Iterator[SchemaStep]:
    before = {column.number: column for column in known.columns}
    now = {column.number: column for column in after.columns}
    gone = [column.name for number, column in before.items() if number not in now]
    for name in gone:
        yield SchemaStep(DROP, column=name)
    moves = {
        column.name: now[number].name
        for number, column in before.items()
        if number in now and now[number].name != column.name
    }
    yield from _renames(moves, {column.name for column in known.columns} - set(gone))
    for number, column in now.items():
        if number in before:
            yield from _retyped(known, before[number], column)
    for number, column in now.items():
        if number not in before:
            yield _added(known, column, told)


def _renames(moves: Mapping[str, str], live: set[str]) -> Iterator[SchemaStep]:
    """Renames in an order in which every new name is free; a swap needs a name in between."""
    pending = dict(moves)
    while pending:
        name = next((old for old, new in pending.items() if new not in live), None)
        if name is not None:
            new = pending.pop(name)
        else:
            name = next(iter(pending))
            new = next(f"{ASIDE}{n}" for n in range(len(live) + 1) if f"{ASIDE}{n}" not in live)
            pending[new] = pending.pop(name)
        live.remove(name)
        live.add(new)
        yield SchemaStep(RENAME, column=name, new_name=new)


# --- without --------------------------------------------------------------------------------------


def _by_name(
    known: Relation, after: Relation, told: Mapping[str, SchemaStep]
) -> Iterator[SchemaStep]:
    before = {column.name: column for column in known.columns}
    now = {column.name: column for column in after.columns}
    added = [column for name, column in now.items() if name not in before]
    gone = [name for name in before if name not in now]
    if added and gone:
        new = ", ".join(column.name for column in added)
        raise _ambiguous(known, f"column {', '.join(gone)} is gone and {new} is new")
    if [name for name in before if name in now] != [name for name in now if name in before]:
        raise _ambiguous(known, "columns have changed places")
    if not added and not gone and known.numbered and after.numbered:
        raise _ambiguous(known, "a column is not the one that had its name before")
    for column in added:
        yield _added(known, column, told)
    for name in gone:
        yield SchemaStep(DROP, column=name)
    for name, column in now.items():
        if name in before:
            yield from _retyped(known, before[name], column)


# --- one column -----------------------------------------------------------------------------------


def _added(known: Relation, column: Column, told: Mapping[str, SchemaStep]) -> SchemaStep:
    step = told.get(column.name)
    if step is None and told_nothing(known, column):
        raise _not_told(known, f"column {column.name} came unnoticed")
    if step is not None and step.detail:
        raise _not_told(known, f"column {column.name} was added with a {step.detail}")
    default, types = ("", ()) if step is None else (step.default, step.types)
    return SchemaStep(ADD, column=column.name, type=column.type.name, default=default, types=types)


def told_nothing(known: Relation, column: Column) -> bool:
    """Whether a source that knows attribute numbers should have told of this column."""
    return known.numbered and column.number > 0


def _retyped(known: Relation, old: Column, new: Column) -> Iterator[SchemaStep]:
    if old.type == new.type:
        return
    if old.type.name == new.type.name:
        yield from _redefined(known, old, new)
    elif widens(old.type.name, new.type.name):
        yield SchemaStep(RETYPE, column=new.name, type=new.type.name)
    else:
        raise _error(
            known,
            f"column {new.name} changed from {old.type.name} to {new.type.name}; rows may have been"
            " computed anew, which the log does not show",
            "change the column's type on the target, then run"
            f" `penstock reload FILE {known.qualified}`",
        )


def _redefined(known: Relation, old: Column, new: Column) -> Iterator[SchemaStep]:
    """A type of the same name: made again with the same shape, or given more labels."""
    if old.type.definition == new.type.definition:
        yield SchemaStep(RETYPE, column=new.name, type=new.type.name)
    elif new_labels(old.type.definition, new.type.definition) is not None:
        yield SchemaStep(ALTER_TYPE, column=new.name, type=new.type.name)
    else:
        raise _error(
            known,
            f"type {new.type.name} of column {new.name} was {old.type.definition}, it is"
            f" {new.type.definition}",
            f"change the type on the target, then run `penstock reload FILE {known.qualified}`",
        )


# --- refusals -------------------------------------------------------------------------------------


def _ambiguous(known: Relation, what: str) -> SchemaChangeError:
    return _error(
        known,
        f"{what}: either renamed, or dropped and added",
        "let Penstock create its event triggers on the source (penstock check says how, or why"
        f" not), or change the target by hand; then run `penstock reload FILE {known.qualified}`",
    )


def _not_told(known: Relation, what: str) -> SchemaChangeError:
    words = " ".join(what.split())
    return _error(
        known,
        f"{words} gave rows values that the log does not carry",
        f"run `penstock reload FILE {known.qualified}`",
    )


def _error(known: Relation, what: str, hint: str) -> SchemaChangeError:
    return SchemaChangeError(
        f"{known.qualified}: {what}", hint=hint, context={"relation": known.qualified}
    )
