"""What the rules of a table mapping have in common: their ids and the names they match. (pure)"""

import re
from dataclasses import dataclass
from typing import Final

from engine.config.document import Document
from engine.config.kind import MistypedError
from engine.config.kind_text import LIST_ITEMS_MAX
from engine.config.pattern import NamePattern, literal
from engine.config.problems import Problems, shown

RULES_MAX: Final = LIST_ITEMS_MAX
"""Most rules of one mapping."""

LOAD_ORDER_MAX: Final = 2_147_483_647
"""AWS's own limit."""

RULE_TYPES: Final = (
    "selection",
    "transformation",
    "table-settings",
    "object-mapping",
    "post-processing",
    "validation",
)

_RULE_OF: Final = re.compile(r'rules\[\d+\] \(rule-id "(?P<id>.*?)"\)')


def listed(document: Document, problems: Problems) -> list[object] | None:
    """The rules as written; None after a problem was recorded."""
    for name in document:
        if name != "rules":
            problems.unknown(shown(name), name, ["rules"])
    rules = document.get("rules")
    if not isinstance(rules, list) or not 1 <= len(rules) <= RULES_MAX:
        problems.add("rules", f"expected a list of 1 to {RULES_MAX:,} rules")
        return None
    return rules


def rule_id(where: str, rule: Document, problems: Problems) -> str:
    """A rule's id as text; it is written as a number or as text."""
    identifier = rule.get("rule-id")
    if isinstance(identifier, bool) or not isinstance(identifier, str | int) or identifier == "":
        problems.add(f"{where}.rule-id", "is missing; expected a number, unique in the file")
        return "?"
    return str(identifier)


def named(where: str, identifier: str) -> str:
    """A rule's place in messages."""
    return f'{where} (rule-id "{shown(identifier)}")'


def rule_of(field: str) -> str:
    """The id of the rule that a problem's field names, '' when it names none."""
    match = _RULE_OF.match(field)
    return match["id"] if match else ""


def check_unique(rules: list[object], problems: Problems) -> None:
    """Record every rule whose id an earlier one has. AWS's guide asks for names that are unique
    too; DMS itself takes a name twice."""
    seen: set[str] = set()
    for number, rule in enumerate(rules):
        value = rule.get("rule-id") if isinstance(rule, dict) else None
        if isinstance(value, str | int) and value != "":
            if str(value) in seen:
                problems.add(f"rules[{number}].rule-id", "must be unique, an earlier rule has it")
            seen.add(str(value))


@dataclass(frozen=True, slots=True)
class Name:
    """The kind of a name in a locator: a pattern, or with `exact` one name. `for_whom` says who
    asks for exact names."""

    exact: bool = False
    for_whom: str = "an explicit rule"

    @property
    def expected(self) -> str:
        return "a name" if self.exact else "a name or pattern"

    def read(self, value: object) -> NamePattern:
        if not isinstance(value, str):
            raise MistypedError(f"expected {self.expected}")
        if self.exact and "%" in value:
            raise ValueError(f"{self.for_whom} names exactly one table, without wildcards")
        return literal(value) if self.exact else NamePattern(value)

    def check(self, value: NamePattern) -> None:
        """A pattern is checked when it is made."""

    def show(self, value: NamePattern) -> str:
        return f'"{value}"'


def load_order(where: str, value: object, problems: Problems) -> int:
    """AWS's examples write it as a number or as text; 0 when it is not written."""
    number = (
        int(value) if isinstance(value, str) and value.isdecimal() and len(value) < 12 else value
    )
    if number is None:
        return 0
    if isinstance(number, bool) or not isinstance(number, int) or not 0 < number <= LOAD_ORDER_MAX:
        problems.add(f"{where}.load-order", f"must be a whole number from 1 to {LOAD_ORDER_MAX}")
        return 0
    return number
