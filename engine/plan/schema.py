"""What happened between two versions of a table, and whether it can be followed exactly (pure).

Without proof (attribute numbers from the source's catalog, told through the log) two descriptions
have more than one reading: a renamed column looks like one that was dropped and another that was
added. Then only what has a single reading is followed: added columns, and types that became wider.
"""

import re
from collections.abc import Iterator
from typing import Final

from engine.errors import SchemaChangeError
from engine.model.change import SchemaChanged, SchemaStep
from engine.model.relation import Column, Relation

ADD: Final = "add-column"
DROP: Final = "drop-column"
RENAME: Final = "rename-column"
RETYPE: Final = "retype-column"
RENAME_TABLE: Final = "rename-table"
CREATE_TABLE: Final = "create-table"
DROP_TABLE: Final = "drop-table"
REWRITE: Final = "rewrite"

FOLLOWED: Final = frozenset({ADD, DROP, RENAME, RETYPE, RENAME_TABLE})
"""Steps that a target applies."""

_INTEGERS: Final = ("smallint", "integer", "bigint")
_LENGTH: Final = re.compile(r"\Acharacter varying(?:\((\d+)\))?\Z")
_NUMERIC: Final = re.compile(r"\Anumeric(?:\((\d+),(-?\d+)\))?\Z")


def steps(known: Relation, change: SchemaChanged) -> tuple[SchemaStep, ...]:
    """The steps from the version last applied to the one that comes now.

    Raises:
        SchemaChangeError: it cannot be followed exactly; the message has both readings.
    """
    if change.after is None:
        raise _error(known, "the table was dropped on the source", "drop it, or take it out")
    found = change.steps if change.exact else tuple(_read(known, change))
    for step in found:
        if step.kind not in FOLLOWED:
            raise _error(
                known,
                f"{step.kind} {step.column} {step.detail}".strip()
                + " gave rows values that the log does not carry",
                f"run `penstock reload FILE {known.qualified}`",
            )
    return found


def _read(known: Relation, change: SchemaChanged) -> Iterator[SchemaStep]:
    after = change.after
    assert after is not None
    before = {column.name: column for column in known.columns}
    now = {column.name: column for column in after.columns}
    added = [column for name, column in now.items() if name not in before]
    gone = [name for name in before if name not in now]
    if added and gone:
        raise _error(
            known,
            f"column {', '.join(gone)} is gone and {', '.join(c.name for c in added)} is new: "
            "either renamed, or dropped and added",
            "let Penstock create its event trigger on the source, or change the target by hand and "
            f"run `penstock reload FILE {known.qualified}`",
        )
    told = {step.column: step for step in change.steps if step.kind == ADD}
    for column in added:
        yield _added(column, told.get(column.name))
    for name in gone:
        yield SchemaStep(DROP, column=name)
    for name, column in now.items():
        if name in before and column.type != before[name].type:
            yield _retyped(known, before[name], column)


def _added(column: Column, told: SchemaStep | None) -> SchemaStep:
    default = told.default if told is not None else ""
    return SchemaStep(ADD, column=column.name, type=column.type.name, default=default)


def _retyped(known: Relation, old: Column, new: Column) -> SchemaStep:
    if old.type.name == new.type.name and old.type.definition == new.type.definition:
        return SchemaStep(RETYPE, column=new.name, type=new.type.name)  # made again, same shape
    if widens(old.type.name, new.type.name):
        return SchemaStep(RETYPE, column=new.name, type=new.type.name)
    raise _error(
        known,
        f"column {new.name} changed from {old.type.name} to {new.type.name}; rows may have been "
        "computed anew, which the log does not show",
        f"run `penstock reload FILE {known.qualified}`",
    )


def widens(old: str, new: str) -> bool:
    """Whether every value of the old type is the same value in the new one."""
    if old in _INTEGERS and new in _INTEGERS:
        return _INTEGERS.index(old) <= _INTEGERS.index(new)
    old_length, new_length = _LENGTH.match(old), _LENGTH.match(new)
    if old_length is not None:
        if new == "text":
            return True
        return new_length is not None and _wider(old_length.group(1), new_length.group(1))
    old_numeric, new_numeric = _NUMERIC.match(old), _NUMERIC.match(new)
    if old_numeric is not None and new_numeric is not None:
        return _wider_numeric(old_numeric, new_numeric)
    return False


def _wider(old: str | None, new: str | None) -> bool:
    return new is None or (old is not None and int(new) >= int(old))


def _wider_numeric(old: "re.Match[str]", new: "re.Match[str]") -> bool:
    """Same scale: another one would have rewritten the stored digits."""
    if old.group(1) is None or new.group(1) is None:
        return old.group(1) is None and new.group(1) is None
    return old.group(2) == new.group(2) and int(new.group(1)) >= int(old.group(1))


def _error(known: Relation, what: str, hint: str) -> SchemaChangeError:
    return SchemaChangeError(
        f"{known.qualified}: {what}", hint=hint, context={"relation": known.qualified}
    )
