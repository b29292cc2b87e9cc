"""AWS DMS table-mapping JSON: `{"rules": [...]}`. (pure)

Selection rules work. Every other rule type changes or routes rows in a way the user relies on, so
it is refused by its rule-id until it is supported, never skipped.
"""

from typing import Final

from engine.config.document import Document
from engine.config.mapping import RuleAction, SelectionRule, TableMapping
from engine.config.pattern import NamePattern
from engine.config.problems import Problems, nearest, shown
from engine.config.rule_parts import (
    RULE_TYPES,
    Name,
    check_unique,
    listed,
    load_order,
    named,
    rule_id,
)
from engine.config.section import read_value, type_name

_RULE_KEYS: Final = (
    "rule-type",
    "rule-id",
    "rule-name",
    "rule-action",
    "object-locator",
    "filters",
    "load-order",
)
_LOCATOR_KEYS: Final = ("schema-name", "table-name", "table-type")


def read_table_mapping(document: Document, problems: Problems) -> TableMapping | None:
    """Read the document. None after problems were recorded."""
    before = problems.count
    rules = listed(document, problems)
    if rules is None:
        return None
    read = [_read_rule(f"rules[{number}]", rule, problems) for number, rule in enumerate(rules)]
    check_unique(rules, problems)
    found = tuple(rule for rule in read if rule is not None)
    if problems.count == before and all(rule.action is RuleAction.EXCLUDE for rule in found):
        problems.add("rules", "must hold a selection rule that includes a table")
    return TableMapping(rules=found) if problems.count == before else None


def _read_rule(where: str, rule: object, problems: Problems) -> SelectionRule | None:
    if not isinstance(rule, dict):
        problems.add(where, f"expected an object, found {type_name(rule)}")
        return None
    identifier = rule_id(where, rule, problems)
    place = named(where, identifier)
    if not _is_selection(place, rule, problems):
        return None
    for name in rule:
        if name not in _RULE_KEYS:
            problems.unknown(f"{place}.{shown(name)}", name, _RULE_KEYS)
    if rule.get("filters"):
        problems.add(f"{place}.filters", "filters are not supported yet")
    action = _action(place, rule.get("rule-action"), problems)
    locator = _locator(place, rule.get("object-locator"), action, problems)
    order = load_order(place, rule.get("load-order"), problems)
    if action is None or locator is None:
        return None
    schema, table = locator
    return SelectionRule(id=identifier, action=action, schema=schema, table=table, load_order=order)


def _is_selection(place: str, rule: Document, problems: Problems) -> bool:
    kind = rule.get("rule-type")
    if kind == "selection":
        return True
    if isinstance(kind, str) and kind in RULE_TYPES:
        problems.add(
            f"{place}.rule-type",
            f'"{kind}" rules are not supported yet',
            hint="remove the rule; nothing is started with a rule that would be skipped",
        )
    else:
        suggestion = nearest(kind, RULE_TYPES) if isinstance(kind, str) else ""
        problems.add(
            f"{place}.rule-type",
            'must be "selection"',
            hint=f"did you mean {suggestion!r}?" if suggestion else "",
        )
    return False


def _action(place: str, value: object, problems: Problems) -> RuleAction | None:
    if isinstance(value, str) and value in list(RuleAction):
        return RuleAction(value)
    suggestion = nearest(value, list(RuleAction)) if isinstance(value, str) else ""
    problems.add(
        f"{place}.rule-action",
        "must be one of include, exclude, explicit",
        hint=f"did you mean {suggestion!r}?" if suggestion else "",
    )
    return None


def _locator(
    place: str, locator: object, action: RuleAction | None, problems: Problems
) -> tuple[NamePattern, NamePattern] | None:
    where = f"{place}.object-locator"
    if not isinstance(locator, dict):
        problems.add(where, "expected an object with schema-name and table-name")
        return None
    for name in locator:
        if name not in _LOCATOR_KEYS:
            problems.unknown(f"{where}.{shown(name)}", name, _LOCATOR_KEYS)
    if locator.get("table-type", "table") not in ("table", "all"):
        problems.add(f"{where}.table-type", 'must be "table" or "all"; views are not supported yet')
    exact = action is RuleAction.EXPLICIT
    schema, table = (
        read_value(Name(exact), locator.get(name), f"{where}.{name}", problems)
        for name in ("schema-name", "table-name")
    )
    return None if schema is None or table is None else (schema, table)
