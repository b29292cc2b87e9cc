"""AWS DMS table-mapping JSON: `{"rules": [...]}`. (pure)

Selection rules work. Every other rule type changes or routes rows in a way the user relies on, so
it is refused by its rule-id until it is supported, never skipped.
"""

from typing import Final

from engine.config.document import Document
from engine.config.kind_text import LIST_ITEMS_MAX
from engine.config.mapping import RuleAction, SelectionRule, TableMapping
from engine.config.pattern import NamePattern, literal
from engine.config.problems import Problems, nearest, shown
from engine.config.section import type_name

RULES_MAX: Final = LIST_ITEMS_MAX
"""Most rules of one mapping."""

LOAD_ORDER_MAX: Final = 2_147_483_647
"""AWS's own limit."""

LATER_RULE_TYPES: Final = (
    "transformation",
    "table-settings",
    "object-mapping",
    "post-processing",
    "validation",
)

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
    for name in document:
        if name != "rules":
            problems.unknown(shown(name), name, ["rules"])
    rules = document.get("rules")
    if not isinstance(rules, list) or not 1 <= len(rules) <= RULES_MAX:
        problems.add("rules", f"expected a list of 1 to {RULES_MAX:,} rules")
        return None
    read = [_read_rule(f"rules[{number}]", rule, problems) for number, rule in enumerate(rules)]
    for name in ("rule-id", "rule-name"):
        _check_unique(rules, name, problems)
    found = tuple(rule for rule in read if rule is not None)
    if problems.count == before and all(rule.action is RuleAction.EXCLUDE for rule in found):
        problems.add("rules", "must hold a selection rule that includes a table")
    return TableMapping(rules=found) if problems.count == before else None


def _check_unique(rules: list[object], name: str, problems: Problems) -> None:
    seen: set[str] = set()
    for number, rule in enumerate(rules):
        value = rule.get(name) if isinstance(rule, dict) else None
        if isinstance(value, str | int) and value != "":
            if str(value) in seen:
                problems.add(f"rules[{number}].{name}", "must be unique, an earlier rule has it")
            seen.add(str(value))


def _read_rule(where: str, rule: object, problems: Problems) -> SelectionRule | None:
    if not isinstance(rule, dict):
        problems.add(where, f"expected an object, found {type_name(rule)}")
        return None
    identifier = _rule_id(where, rule, problems)
    named = f'{where} (rule-id "{shown(identifier)}")'
    if not _is_selection(named, rule, problems):
        return None
    for name in rule:
        if name not in _RULE_KEYS:
            problems.unknown(f"{named}.{shown(name)}", name, _RULE_KEYS)
    if rule.get("filters"):
        problems.add(f"{named}.filters", "filters are not supported yet")
    action = _action(named, rule.get("rule-action"), problems)
    locator = _locator(named, rule.get("object-locator"), action, problems)
    order = _load_order(named, rule.get("load-order"), problems)
    if action is None or locator is None:
        return None
    schema, table = locator
    return SelectionRule(id=identifier, action=action, schema=schema, table=table, load_order=order)


def _rule_id(where: str, rule: Document, problems: Problems) -> str:
    identifier = rule.get("rule-id")
    if isinstance(identifier, bool) or not isinstance(identifier, str | int) or identifier == "":
        problems.add(f"{where}.rule-id", "is missing; expected a number, unique in the file")
        return "?"
    return str(identifier)


def _is_selection(named: str, rule: Document, problems: Problems) -> bool:
    kind = rule.get("rule-type")
    if kind == "selection":
        return True
    if isinstance(kind, str) and kind in LATER_RULE_TYPES:
        problems.add(
            f"{named}.rule-type",
            f'"{kind}" rules are not supported yet',
            hint="remove the rule; nothing is started with a rule that would be skipped",
        )
    else:
        suggestion = (
            nearest(kind, ("selection", *LATER_RULE_TYPES)) if isinstance(kind, str) else ""
        )
        problems.add(
            f"{named}.rule-type",
            'must be "selection"',
            hint=f"did you mean {suggestion!r}?" if suggestion else "",
        )
    return False


def _action(named: str, value: object, problems: Problems) -> RuleAction | None:
    if isinstance(value, str) and value in list(RuleAction):
        return RuleAction(value)
    suggestion = nearest(value, list(RuleAction)) if isinstance(value, str) else ""
    problems.add(
        f"{named}.rule-action",
        "must be one of include, exclude, explicit",
        hint=f"did you mean {suggestion!r}?" if suggestion else "",
    )
    return None


def _locator(
    named: str, locator: object, action: RuleAction | None, problems: Problems
) -> tuple[NamePattern, NamePattern] | None:
    where = f"{named}.object-locator"
    if not isinstance(locator, dict):
        problems.add(where, "expected an object with schema-name and table-name")
        return None
    for name in locator:
        if name not in _LOCATOR_KEYS:
            problems.unknown(f"{where}.{shown(name)}", name, _LOCATOR_KEYS)
    if locator.get("table-type", "table") not in ("table", "all"):
        problems.add(f"{where}.table-type", 'must be "table" or "all"; views are not supported yet')
    exact = action is RuleAction.EXPLICIT
    schema = _name(f"{where}.schema-name", locator.get("schema-name"), exact, problems)
    table = _name(f"{where}.table-name", locator.get("table-name"), exact, problems)
    return None if schema is None or table is None else (schema, table)


def _name(where: str, value: object, exact: bool, problems: Problems) -> NamePattern | None:
    if not isinstance(value, str):
        problems.add(where, f"expected a name or pattern, found {type_name(value)}")
        return None
    if exact and "%" in value:
        problems.add(where, "an explicit rule names exactly one table, without wildcards")
        return None
    try:
        return literal(value) if exact else NamePattern(value)
    except ValueError as error:
        problems.add(where, str(error))
        return None


def _load_order(named: str, value: object, problems: Problems) -> int:
    """AWS's examples write it as a number or as text."""
    number = (
        int(value) if isinstance(value, str) and value.isdecimal() and len(value) < 12 else value
    )
    if number is None:
        return 0
    if isinstance(number, bool) or not isinstance(number, int) or not 0 < number <= LOAD_ORDER_MAX:
        problems.add(f"{named}.load-order", f"must be a whole number from 1 to {LOAD_ORDER_MAX}")
        return 0
    return number
