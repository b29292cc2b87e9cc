"""Transformation rules of AWS DMS table mappings: which action takes what. (pure)

AWS DMS user guide, "Transformation rules and actions".
"""

import re
from typing import Final

from engine.config.document import Document
from engine.config.kind_text import Text, Word
from engine.config.problems import Problems
from engine.config.rule_parts import Name
from engine.config.shape import Many, Number, Object, Value

TEXT: Final = Value(Text())
_PATTERN: Final = Value(Name())
_EXPRESSION: Final = Value(Text("an expression"))

RENAMING: Final = (
    "rename",
    "convert-lowercase",
    "convert-uppercase",
    "add-prefix",
    "remove-prefix",
    "replace-prefix",
    "add-suffix",
    "remove-suffix",
    "replace-suffix",
)
"""Actions that give a new name; everything that has a name takes them."""

MASKS: Final = (
    "data-masking-digits-mask",
    "data-masking-digits-randomize",
    "data-masking-hash-mask",
)

_COLUMN: Final = (
    "remove-column",
    "include-column",
    "add-column",
    "change-data-type",
    "add-before-image-columns",
    *MASKS,
)

ACTIONS: Final = {
    "schema": RENAMING,
    "table": (*RENAMING, "define-primary-key"),
    "column": (*RENAMING, *_COLUMN),
    "table-tablespace": RENAMING,
    "index-tablespace": RENAMING,
}
"""By `rule-target`."""

TABLESPACES: Final = ("table-tablespace", "index-tablespace")

LOCATED: Final = {
    "schema": ("schema-name",),
    "table": ("schema-name", "table-name"),
    "column": ("schema-name", "table-name"),
    "table-tablespace": ("table-tablespace-name",),
    "index-tablespace": ("index-tablespace-name",),
}
"""What an `object-locator` must name, by `rule-target`. Columns are named by name or by type, where
they are there already."""

NEEDS: Final = {
    "add-prefix": ("value",),
    "remove-prefix": ("value",),
    "replace-prefix": ("value", "old-value"),
    "add-suffix": ("value",),
    "remove-suffix": ("value",),
    "replace-suffix": ("value", "old-value"),
    "define-primary-key": ("primary-key-def",),
    "add-column": ("value", "expression"),
    "change-data-type": ("data-type",),
    "add-before-image-columns": ("before-image-def",),
    "data-masking-digits-mask": ("value",),
}
"""Keys without which an action means nothing."""

DATA_TYPES: Final = (
    "bytes",
    "date",
    "time",
    "datetime",
    "int1",
    "int2",
    "int4",
    "int8",
    "numeric",
    "real4",
    "real8",
    "string",
    "uint1",
    "uint2",
    "uint4",
    "uint8",
    "wstring",
    "blob",
    "nclob",
    "clob",
    "boolean",
    "set",
    "list",
    "map",
    "tuple",
)

_MASK_CHARACTER: Final = re.compile("[!-~]")

_DATA_TYPE: Final = Object(
    required={"type": Value(Word(DATA_TYPES))},
    optional={
        "precision": Value(Number(0)),
        "scale": Value(Number(-128, 255)),
        "length": Value(Number(0)),
    },
)

_PRIMARY_KEY: Final = Object(
    required={"name": TEXT, "columns": Many(TEXT, fewest=1)},
    optional={"origin": Value(Word(("primary-key", "unique-index")))},
)


def _check_affixes(definition: Document, where: str, problems: Problems) -> None:
    prefix, suffix = (definition.get(f"column-{affix}") for affix in ("prefix", "suffix"))
    if prefix == "" and not suffix:
        problems.add(where, "needs a column-prefix or a column-suffix that is not empty")


_BEFORE_IMAGE: Final = Object(
    optional={
        "column-prefix": Value(Text(empty=True)),
        "column-suffix": Value(Text(empty=True)),
        "column-filter": Value(Word(("pk-only", "non-lob", "all"))),
    },
    rule=_check_affixes,
)

_LOCATOR: Final = Object(
    optional={
        "schema-name": _PATTERN,
        "table-name": _PATTERN,
        "column-name": _PATTERN,
        "table-tablespace-name": _PATTERN,
        "index-tablespace-name": _PATTERN,
        "data-type": Value(Word(DATA_TYPES)),
    }
)


def _check(rule: Document, where: str, problems: Problems) -> None:
    target, action = str(rule["rule-target"]), str(rule["rule-action"])
    if action not in ACTIONS[target]:
        allowed = ", ".join(ACTIONS[target])
        problems.add(f"{where}.rule-action", f"cannot be {action} for a {target}; only {allowed}")
        return
    _check_needs(rule, where, action, problems)
    _check_locator(rule, where, problems)
    if action == "data-masking-digits-mask" and not _MASK_CHARACTER.fullmatch(str(rule["value"])):
        problems.add(f"{where}.value", "must be one printable ASCII character, no space")


def _check_needs(rule: Document, where: str, action: str, problems: Problems) -> None:
    for name in NEEDS.get(action, ()):
        if rule.get(name) is None:
            problems.add(f"{where}.{name}", f"is missing; {action} needs it")
    if action == "rename" and rule.get("value") is None and rule.get("expression") is None:
        problems.add(f"{where}.value", "is missing; rename needs it, or an expression")


def _check_locator(rule: Document, where: str, problems: Problems) -> None:
    locator, target, action = rule["object-locator"], str(rule["rule-target"]), rule["rule-action"]
    assert isinstance(locator, dict)
    place = f"{where}.object-locator"
    for name in LOCATED[target]:
        if locator.get(name) is None:
            problems.add(f"{place}.{name}", f"is missing; a rule for a {target} needs it")
    there_already = target == "column" and action not in ("add-column", "add-before-image-columns")
    if there_already and locator.get("column-name") is None and locator.get("data-type") is None:
        problems.add(f"{place}.column-name", "is missing; name a column, or a data-type")
    if action == "define-primary-key":
        exact = Value(Name(exact=True, for_whom="define-primary-key"))
        for name in ("schema-name", "table-name"):
            exact.check(locator.get(name), f"{place}.{name}", problems)


TRANSFORMATION: Final = Object(
    required={
        "rule-target": Value(Word(tuple(ACTIONS))),
        "rule-action": Value(Word(tuple(dict.fromkeys((*ACTIONS["table"], *ACTIONS["column"]))))),
        "object-locator": _LOCATOR,
    },
    optional={
        "value": Value(Text(empty=True)),
        "old-value": Value(Text(empty=True)),
        "data-type": _DATA_TYPE,
        "expression": _EXPRESSION,
        "primary-key-def": _PRIMARY_KEY,
        "before-image-def": _BEFORE_IMAGE,
        "load-order": Value(Number(1)),
    },
    rule=_check,
)
