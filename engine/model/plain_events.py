"""Events as plain values, to be written down and read back by the same process. (pure)

Relation versions stay in memory, each once, and are named by number.
"""

from typing import Any, Final

from engine.model.change import Change, Event, SchemaChanged, SchemaStep, Truncate
from engine.model.relation import Relation, TableName
from engine.model.table import TypeDefinition
from engine.model.value import UNCHANGED, Misfit, Row, Value

TRUNCATE: Final = "truncate"
SCHEMA: Final = "schema"

_UNCHANGED: Final = Ellipsis
"""`UNCHANGED`, written down; a `Misfit` is a tuple of its two texts."""


class PlainEvents:
    """Both ways; it knows the relation versions it has met."""

    def __init__(self) -> None:
        self._relations: list[Relation] = []
        self._numbers: dict[int, int] = {}

    def forget(self) -> None:
        """Nothing written down so far will be read any more."""
        self._relations.clear()
        self._numbers.clear()

    def plain(self, event: Event) -> Any:
        """Numbers, texts, bytes, None and tuples, as `marshal` takes them."""
        if isinstance(event, Change):
            relation = event.relation
            rows = _out(relation, event.new), _out(relation, event.old)
            return (event.kind, self._number(relation), *rows)
        if isinstance(event, Truncate):
            numbers = tuple([self._number(relation) for relation in event.relations])
            return (TRUNCATE, numbers, event.cascade, event.restart_identity)
        versions = [None if r is None else self._number(r) for r in (event.before, event.after)]
        steps = tuple(map(_plain_step, event.steps))
        return (SCHEMA, (event.table.schema, event.table.name), *versions, event.exact, steps)

    def event(self, item: Any) -> Event:
        kind, *rest = item
        if kind == TRUNCATE:
            numbers, cascade, restart = rest
            return Truncate(tuple([self._relations[n] for n in numbers]), cascade, restart)
        if kind == SCHEMA:
            table, before, after, exact, steps = rest
            made = tuple(map(_step, steps))
            versions = [None if n is None else self._relations[n] for n in (before, after)]
            return SchemaChanged(TableName(*table), versions[0], versions[1], exact, made)
        number, new, old = rest
        relation = self._relations[number]
        return Change(kind, relation, _in(relation, new), _in(relation, old))

    def _number(self, relation: Relation) -> int:
        number = self._numbers.get(id(relation))
        if number is None:
            number = self._numbers[id(relation)] = len(self._relations)
            self._relations.append(relation)
        return number


def _plain_step(step: SchemaStep) -> Any:
    types = tuple([(t.name.schema, t.name.name, t.kind, t.statement) for t in step.types])
    return (step.kind, step.column, step.new_name, step.type, step.default, step.detail, types)


def _step(item: Any) -> SchemaStep:
    kind, column, new_name, type_name, default, detail, types = item
    made = tuple([TypeDefinition(TableName(s, name), k, text) for s, name, k, text in types])
    return SchemaStep(kind, column, new_name, type_name, default, detail, made)


def _out(relation: Relation, row: Row | None) -> Any:
    if row is None or not (relation.misfits or UNCHANGED in row):
        return row
    return tuple(map(_plain_value, row))


def _plain_value(value: Value) -> Any:
    if value is UNCHANGED:
        return _UNCHANGED
    return (value.reason, value.message) if isinstance(value, Misfit) else value


def _in(relation: Relation, row: Any) -> Any:
    if row is None or not (relation.misfits or _UNCHANGED in row):
        return row
    return tuple(map(_value, row))


def _value(item: Any) -> Any:
    if item is _UNCHANGED:
        return UNCHANGED
    return Misfit(*item) if isinstance(item, tuple) else item
