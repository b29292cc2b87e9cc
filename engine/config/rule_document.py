"""The whole of AWS DMS table-mapping JSON, every type of rule validated. (pure)

What AWS would refuse is refused here, with the rule's id. It says nothing of what can be carried:
that is `read_table_mapping`, at the start of a replication.
"""

import json
import re
from dataclasses import replace
from typing import Final

from engine.config.document import Document, read_json
from engine.config.kind_text import Text
from engine.config.output_rule import (
    MAPPED_TARGETS,
    OBJECT_MAPPING,
    POST_PROCESSING,
    TAGGED_TARGETS,
)
from engine.config.problems import Problems, nearest
from engine.config.rule_parts import RULE_TYPES, check_unique, listed, named, rule_id
from engine.config.section import type_name
from engine.config.shape import Anything, Object, Shape, Value
from engine.config.table_rule import SELECTION, TABLE_SETTINGS, VALIDATION
from engine.config.transformation_rule import TABLESPACES, TRANSFORMATION

_NUMBER: Final = re.compile(r"[0-9]{1,18}", re.ASCII)

SHAPES: Final = {
    "selection": SELECTION,
    "transformation": TRANSFORMATION,
    "table-settings": TABLE_SETTINGS,
    "object-mapping": OBJECT_MAPPING,
    "post-processing": POST_PROCESSING,
    "validation": VALIDATION,
}
"""By `rule-type`, without what every rule has."""

ONLY_FOR: Final = {"object-mapping": MAPPED_TARGETS, "post-processing": TAGGED_TARGETS}
"""Types of rules to AWS's engines that take them as a target."""

TABLESPACE_TARGETS: Final = ("oracle",)


def check_rules(document: Document, problems: Problems, target: str = "") -> None:
    """Record everything that is wrong with a table mapping, each under its rule.

    `target` is AWS's name of the target's engine; without it, rules that belong to some targets
    only are taken as they are.
    """
    rules = listed(document, problems)
    if rules is None:
        return
    before = problems.count
    for number, rule in enumerate(rules):
        _check_rule(f"rules[{number}]", rule, target, problems)
    check_unique(rules, problems)
    if problems.count == before and not any(map(_includes, rules)):
        problems.add("rules", "must hold a selection rule that includes a table")


def parse_rules(text: str, *, target: str = "", file: str = "TableMappings") -> Document:
    """Read and check table-mapping JSON; `rules_text` gives it back as AWS does.

    Raises:
        ConfigError: the first problem; `problems` on it holds all that were found.
    """
    problems = Problems(file)
    document = read_json(text, problems)
    if document is not None:
        check_rules(document, problems, target)
    problems.raise_found()
    return document or {}


def rules_text(document: Document) -> str:
    """The document as AWS answers it: JSON without blanks, keys and values as they were written."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)


def _includes(rule: object) -> bool:
    selects = isinstance(rule, dict) and rule.get("rule-type") == "selection"
    return selects and isinstance(rule, dict) and rule["rule-action"] != "exclude"


def _check_rule(where: str, rule: object, target: str, problems: Problems) -> None:
    if not isinstance(rule, dict):
        problems.add(where, f"expected an object, found {type_name(rule)}")
        return
    identifier = rule_id(where, rule, problems)
    place = named(where, identifier)
    if identifier != "?" and not _NUMBER.fullmatch(identifier):
        problems.add(f"{place}.rule-id", "must be a number of at most 18 digits")
    kind = rule.get("rule-type")
    shape = SHAPES.get(kind) if isinstance(kind, str) else None
    if shape is None:
        suggestion = nearest(kind, RULE_TYPES) if isinstance(kind, str) else ""
        hint = f"did you mean {suggestion!r}?" if suggestion else ""
        problems.add(f"{place}.rule-type", f"must be one of {', '.join(RULE_TYPES)}", hint=hint)
        return
    _whole(shape).check(rule, place, problems)
    _check_target(place, rule, target, problems)


def _whole(shape: Object) -> Object:
    """A type's shape with what every rule has."""
    common: dict[str, Shape] = {"rule-type": Anything(), "rule-id": Anything()}
    return replace(
        shape,
        required={**common, **shape.required},
        optional={**shape.optional, "rule-name": Value(Text())},
    )


def _check_target(place: str, rule: Document, target: str, problems: Problems) -> None:
    if not target:
        return
    kind = str(rule.get("rule-type"))
    if kind in ONLY_FOR and target not in ONLY_FOR[kind]:
        engines = ", ".join(ONLY_FOR[kind])
        problems.add(f"{place}.rule-type", f"is for targets of engine {engines}, not {target}")
    if rule.get("rule-target") in TABLESPACES and target not in TABLESPACE_TARGETS:
        problems.add(f"{place}.rule-target", f"is for Oracle targets, not {target}")
