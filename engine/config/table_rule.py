"""Selection rules, table-settings and validation rules of AWS DMS table mappings. (pure)

AWS DMS user guide, "Selection rules and actions", "Source filters", "Table and collection settings
rules and operations".
"""

from typing import Final

from engine.config.document import Document
from engine.config.kind import Flag
from engine.config.kind_text import Text, Word
from engine.config.problems import Problems
from engine.config.rule_parts import LOAD_ORDER_MAX, Name
from engine.config.shape import Many, Number, Object, Scalar, Shape, Value

SEGMENT_COLUMNS_MAX: Final = 10
"""AWS's own limit."""

_TEXT: Final = Value(Text())
_PATTERN: Final = Value(Name())
_SCALAR: Final = Value(Scalar())

OPERANDS: Final = {
    **dict.fromkeys(("lte", "ste", "gte", "eq", "noteq"), ("value",)),
    **dict.fromkeys(("between", "notbetween"), ("start-value", "end-value")),
    **dict.fromkeys(("null", "notnull"), ()),
}
"""Filter operators to what they compare with."""


def _check_operands(condition: Document, where: str, problems: Problems) -> None:
    operator = str(condition["filter-operator"])
    needed = OPERANDS[operator]
    for name in ("value", "start-value", "end-value"):
        if name in needed and condition.get(name) is None:
            problems.add(f"{where}.{name}", f"is missing; {operator} needs it")
        elif name not in needed and condition.get(name) is not None:
            problems.add(f"{where}.{name}", f"cannot stand beside {operator}")


FILTER: Final = Object(
    required={
        "column-name": _TEXT,
        "filter-conditions": Many(
            Object(
                required={"filter-operator": Value(Word(tuple(OPERANDS)))},
                optional={"value": _SCALAR, "start-value": _SCALAR, "end-value": _SCALAR},
                rule=_check_operands,
            ),
            fewest=1,
        ),
    },
    optional={"filter-type": Value(Word(("source",)))},
)


def _check_selection(rule: Document, where: str, problems: Problems) -> None:
    action, filters = rule["rule-action"], rule.get("filters")
    if filters and action != "include":
        problems.add(f"{where}.filters", "can only stand in a rule that includes")
    elif filters:
        _check_exact(rule, where, "a rule with filters", problems)
    elif action == "explicit":
        _check_exact(rule, where, "an explicit rule", problems)


def _check_exact(rule: Document, where: str, for_whom: str, problems: Problems) -> None:
    locator = rule["object-locator"]
    assert isinstance(locator, dict)
    for name in ("schema-name", "table-name"):
        Value(Name(exact=True, for_whom=for_whom)).check(
            locator[name], f"{where}.object-locator.{name}", problems
        )


SELECTION: Final = Object(
    required={
        "rule-action": Value(Word(("include", "exclude", "explicit"))),
        "object-locator": Object(
            required={"schema-name": _PATTERN, "table-name": _PATTERN},
            optional={"table-type": Value(Word(("table", "view", "all")))},
        ),
    },
    optional={"filters": Many(FILTER), "load-order": Value(Number(1, LOAD_ORDER_MAX))},
    rule=_check_selection,
)


def _check_parallel(load: Document, where: str, problems: Problems) -> None:
    kind, columns, boundaries = load["type"], load.get("columns"), load.get("boundaries")
    if kind == "partitions-list" and not (load.get("partitions") or load.get("subpartitions")):
        problems.add(f"{where}.partitions", "is missing; partitions-list names partitions")
    if kind != "ranges":
        return
    if not isinstance(columns, list) or not isinstance(boundaries, list):
        problems.add(where, "needs columns and boundaries for ranges")
        return
    for number, bound in enumerate(boundaries):
        if len(bound) != len(columns):
            place = f"{where}.boundaries[{number}]"
            problems.add(place, f"must have a value for each of the {len(columns)} columns")


_PARALLEL_LOAD: Final = Object(
    required={
        "type": Value(
            Word(("partitions-auto", "subpartitions-auto", "partitions-list", "ranges", "none"))
        )
    },
    optional={
        "partitions": Many(_TEXT),
        "subpartitions": Many(_TEXT),
        "columns": Many(_TEXT, 1, SEGMENT_COLUMNS_MAX),
        "boundaries": Many(Many(_SCALAR, 1, SEGMENT_COLUMNS_MAX), fewest=1),
        "number-of-partitions": Value(Number(1)),
        "collection-count-from-metadata": Value(Flag()),
        "max-records-skip-per-page": Value(Number(1)),
        "batch-size": Value(Number(0)),
    },
    rule=_check_parallel,
)


def _check_lobs(settings: Document, where: str, problems: Problems) -> None:
    size = settings.get("bulk-max-size")
    if settings.get("mode") == "limited" and size is not None and int(str(size)) == 0:
        problems.add(f"{where}.bulk-max-size", "must be above 0 in limited mode")


_LOB_SETTINGS: Final = Object(
    optional={
        "mode": Value(Word(("limited", "unlimited", "none"))),
        "bulk-max-size": Value(Number(0)),
    },
    rule=_check_lobs,
)


def _check_table_settings(rule: Document, where: str, problems: Problems) -> None:
    if rule.get("parallel-load") is None and rule.get("lob-settings") is None:
        problems.add(where, "needs parallel-load or lob-settings")


_TABLE: Final[Shape] = Value(Name(exact=True, for_whom="a table-settings rule"))

TABLE_SETTINGS: Final = Object(
    required={"object-locator": Object(required={"schema-name": _TABLE, "table-name": _TABLE})},
    optional={"parallel-load": _PARALLEL_LOAD, "lob-settings": _LOB_SETTINGS},
    rule=_check_table_settings,
)


def _check_functions(rule: Document, where: str, problems: Problems) -> None:
    if rule.get("source-function") is None and rule.get("target-function") is None:
        problems.add(where, "needs a source-function or a target-function")


VALIDATION: Final = Object(
    required={
        "rule-target": Value(Word(("column",))),
        "rule-action": Value(Word(("override-validation-function",))),
        "object-locator": Object(
            required={"schema-name": _PATTERN, "table-name": _PATTERN, "column-name": _PATTERN}
        ),
    },
    optional={"source-function": _TEXT, "target-function": _TEXT},
    rule=_check_functions,
)
