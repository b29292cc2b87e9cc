"""AWS's table mappings as documents: every type of rule, validated under its rule-id."""

import copy
import json
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config.load import parse_table_mapping
from engine.config.rule_document import parse_rules, rules_text
from engine.config.rule_parts import rule_of
from engine.config.transformation_rule import ACTIONS, MASKS
from engine.errors import ConfigError
from tests.unit.config.damage import JSON, damaged

TABLE: Final = {"schema-name": "public", "table-name": "orders"}
COLUMN: Final = {**TABLE, "column-name": "note"}

SELECTION: Final[Any] = {
    "rule-type": "selection",
    "rule-id": "1",
    "rule-name": "one",
    "rule-action": "include",
    "object-locator": {"schema-name": "public", "table-name": "%"},
}


def selection(**changes: Any) -> Any:
    return {**SELECTION, "rule-id": "2", "rule-name": "two", **changes}


def filtered(*conditions: Any, **changes: Any) -> Any:
    filters = [
        {
            "filter-type": "source",
            "column-name": "id",
            "filter-conditions": list(conditions),
        }
    ]
    return selection(**{"object-locator": TABLE, "filters": filters, **changes})


def transformation(target: str, action: str, **changes: Any) -> Any:
    locators = {"schema": {"schema-name": "public"}, "table": TABLE, "column": COLUMN}
    return {
        "rule-type": "transformation",
        "rule-id": "7",
        "rule-name": "seven",
        "rule-target": target,
        "rule-action": action,
        "object-locator": locators.get(target, {f"{target}-name": "USERS"}),
        **changes,
    }


def other(kind: str, **changes: Any) -> Any:
    return {
        "rule-type": kind,
        "rule-id": 9,
        "rule-name": "nine",
        "object-locator": TABLE,
        **changes,
    }


MAPPED: Final = {
    "partition-key-type": "attribute-name",
    "partition-key-name": "CustomerName",
    "exclude-columns": ["FirstName", "LastName"],
    "attribute-mappings": [
        {
            "target-attribute-name": "CustomerName",
            "attribute-type": "scalar",
            "attribute-sub-type": "string",
            "value": "${FirstName},${LastName}",
        },
        {
            "target-attribute-name": "ContactDetails",
            "attribute-type": "document",
            "attribute-sub-type": "dynamodb-map",
            "value": {"M": {"Home": {"S": "${HomePhone}"}}},
        },
    ],
    "condition-expression": {
        "expression": "attribute_not_exists(x)",
        "expression-attribute-values": [{"name": ":v", "value": "1"}],
        "apply-during-cdc": True,
    },
}

PARALLEL: Final = {
    "type": "ranges",
    "columns": ["id", "year"],
    "boundaries": [["100", "2001"], [200, 2002]],
}

VALID: Final = {
    "load order as text": selection(**{"load-order": "5", "filters": []}),
    "views": selection(**{"object-locator": {**TABLE, "table-type": "view"}}),
    "explicit": selection(**{"rule-action": "explicit", "object-locator": TABLE}),
    "exclude": selection(**{"rule-action": "exclude"}),
    "integer id": selection(**{"rule-id": 2}),
    "no name": {k: v for k, v in selection().items() if k != "rule-name"},
    "filter": filtered({"filter-operator": "gte", "value": "5"}, {"filter-operator": "null"}),
    "filter between": filtered({"filter-operator": "between", "start-value": 1, "end-value": "9"}),
    "console nulls": transformation(
        "table", "convert-uppercase", value=None, **{"old-value": None}
    ),
    "rename schema": transformation("schema", "rename", value="sales"),
    "rename by expression": transformation("table", "rename", expression="'t_' || $AR_M_SOURCE_"),
    "replace prefix": transformation("table", "replace-prefix", value="a", **{"old-value": "b"}),
    "primary key": transformation(
        "table",
        "define-primary-key",
        **{"primary-key-def": {"name": "pk", "origin": "unique-index", "columns": ["a", "b"]}},
    ),
    "add column": transformation(
        "column",
        "add-column",
        value="loaded",
        expression="datetime('now')",
        **{"object-locator": TABLE, "data-type": {"type": "string", "length": "50"}},
    ),
    "change type": transformation(
        "column",
        "change-data-type",
        **{
            "object-locator": {**TABLE, "data-type": "numeric"},
            "data-type": {"type": "numeric", "precision": 38, "scale": "2"},
        },
    ),
    "before image": transformation(
        "column",
        "add-before-image-columns",
        **{
            "object-locator": TABLE,
            "before-image-def": {"column-prefix": "BI_", "column-filter": "all"},
        },
    ),
    "mask": transformation("column", MASKS[0], value="#"),
    "hash": transformation("column", MASKS[2]),
    "tablespace": transformation("table-tablespace", "rename", value="SPACE"),
    "segments": other("table-settings", **{"parallel-load": PARALLEL}),
    "partitions": other(
        "table-settings", **{"parallel-load": {"type": "partitions-list", "partitions": ["p1"]}}
    ),
    "lobs": other("table-settings", **{"lob-settings": {"mode": "limited", "bulk-max-size": "16"}}),
    "object mapping": other(
        "object-mapping", **{"rule-action": "map-record-to-document", "mapping-parameters": MAPPED}
    ),
    "topic": other(
        "object-mapping", **{"rule-action": "map-record-to-record", "kafka-target-topic": "t"}
    ),
    "tags": other(
        "post-processing",
        **{"rule-action": "add-tag", "tag-set": [{"key": "${schema-name}", "value": ""}]},
    ),
    "validation": other(
        "validation",
        **{
            "rule-target": "column",
            "rule-action": "override-validation-function",
            "object-locator": COLUMN,
            "source-function": "lower(${column-name})",
        },
    ),
}


def document(*rules: Any) -> str:
    return json.dumps({"rules": [SELECTION, *rules]})


def problems(*rules: Any, target: str = "") -> list[str]:
    try:
        parse_rules(document(*rules), target=target)
    except ConfigError as error:
        return [str(problem) for problem in error.problems]
    return []


@pytest.mark.parametrize("name", VALID)
def test_a_rule_of_the_guide_is_taken_and_comes_back_as_it_was(name: str) -> None:
    text = document(VALID[name])
    read = parse_rules(text)
    assert json.loads(rules_text(read)) == json.loads(text)
    assert parse_rules(rules_text(read)) == read


def changed(name: str, *path: Any, value: Any = None) -> Any:
    """A valid rule with one place changed, or removed where no value is given."""
    rule = copy.deepcopy(VALID[name])
    inner: Any = rule
    for key in path[:-1]:
        inner = inner[key]
    if value is None:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return rule


FILTER: Final = ("filters", 0, "filter-conditions", 0)
LOCATOR: Final = "object-locator"

WRONG: Final = [
    (changed("exclude", "rule-action", value="exlude"), ".rule-action: ", 'mean "exclude"'),
    (changed("exclude", LOCATOR, "table-name"), ".object-locator.table-name: is missing", ""),
    (changed("exclude", LOCATOR, "tabel", value="x"), ".object-locator.tabel: unknown key", ""),
    (changed("explicit", LOCATOR, "table-name", value="a%"), "an explicit rule names exactly", ""),
    (changed("filter", LOCATOR, "table-name", value="a%"), "a rule with filters names exactly", ""),
    (changed("filter", "rule-action", value="exclude"), ".filters: can only stand in a rule", ""),
    (changed("filter", *FILTER, "value"), "[0].value: is missing; gte needs it", ""),
    (changed("filter", *FILTER, "start-value", value=3), "start-value: cannot stand beside", ""),
    (changed("filter", *FILTER, "filter-operator", value="like"), "filter-operator: must be", ""),
    (changed("filter", "filters", 0, "filter-conditions", value=[]), "must have 1 to", ""),
    (changed("load order as text", "load-order", value="0"), ".load-order: must be", ""),
    (changed("rename schema", "value"), ".value: is missing; rename needs it", ""),
    (changed("replace prefix", "old-value"), ".old-value: is missing", ""),
    (changed("rename schema", "rule-action", value="remove-column"), "cannot be remove-column", ""),
    (changed("rename schema", "rule-target", value="database"), ".rule-target: must be", ""),
    (changed("rename schema", LOCATOR, "schema-name"), "a rule for a schema needs it", ""),
    (changed("primary key", LOCATOR, "table-name", value="%"), "define-primary-key names", ""),
    (changed("primary key", "primary-key-def", "columns", value=[]), "must have 1 to", ""),
    (changed("change type", "data-type"), ".data-type: is missing", ""),
    (changed("change type", "data-type", "type", value="int5"), "data-type.type: must be", ""),
    (changed("change type", LOCATOR, "data-type"), "column-name: is missing; name a column", ""),
    (changed("add column", "expression"), ".expression: is missing; add-column", ""),
    (
        changed("before image", "before-image-def", "column-prefix", value=""),
        "needs a column-p",
        "",
    ),
    (changed("mask", "value", value="  "), "one printable ASCII character", ""),
    (changed("segments", "parallel-load", "boundaries", value=[[1]]), "boundaries[0]: must", ""),
    (changed("segments", "parallel-load", "columns"), "needs columns and boundaries", ""),
    (changed("segments", "parallel-load", "type", value="auto"), "parallel-load.type: must", ""),
    (changed("segments", LOCATOR, "schema-name", value="%"), "a table-settings rule names", ""),
    (changed("segments", "parallel-load"), "needs parallel-load or lob-settings", ""),
    (changed("partitions", "parallel-load", "partitions"), "partitions-list names", ""),
    (changed("lobs", "lob-settings", "bulk-max-size", value="0"), "above 0 in limited mode", ""),
    (
        changed("object mapping", "mapping-parameters", "partition-key-name"),
        "attribute-name needs it",
        "",
    ),
    (changed("object mapping", "rule-action"), ".rule-action: is missing", ""),
    (changed("tags", "tag-set"), ".tag-set: is missing", ""),
    (changed("validation", "source-function"), "needs a source-function", ""),
    (changed("validation", LOCATOR, "column-name"), "column-name: is missing", ""),
    (changed("exclude", "rule-type", value="selektion"), ".rule-type: must be", "'selection'"),
    (changed("exclude", "rule-id", value="two"), ".rule-id: must be a number", ""),
]


@pytest.mark.parametrize(("rule", "words", "more"), WRONG)
def test_a_wrong_rule_is_refused_under_its_id(rule: Any, words: str, more: str) -> None:
    found = problems(rule)
    assert any(words in problem and more in problem for problem in found), found
    with pytest.raises(ConfigError) as caught:
        parse_rules(document(rule))
    assert {rule_of(problem.field) for problem in caught.value.problems} == {str(rule["rule-id"])}


@pytest.mark.parametrize("action", sorted({a for actions in ACTIONS.values() for a in actions}))
@pytest.mark.parametrize("target", ACTIONS)
def test_an_action_belongs_to_its_targets(target: str, action: str) -> None:
    keys = ("primary-key-def", "before-image-def", "data-type")
    found = problems(transformation(target, action, value="x", **dict.fromkeys(keys)))
    refused = any(f"cannot be {action} for a {target}" in problem for problem in found)
    assert refused is (action not in ACTIONS[target])


@pytest.mark.parametrize(
    ("name", "target", "words"),
    [
        ("topic", "postgres", "is for targets of engine dynamodb, kafka, kinesis, not postgres"),
        ("tags", "mysql", "is for targets of engine s3, not mysql"),
        ("tablespace", "aurora", "is for Oracle targets, not aurora"),
        ("topic", "kafka", ""),
        ("tags", "s3", ""),
        ("tablespace", "oracle", ""),
    ],
)
def test_some_rules_are_for_some_targets(name: str, target: str, words: str) -> None:
    found = problems(VALID[name], target=target)
    assert [words in problem for problem in found] == ([True] if words else [])


def test_ids_are_unique_and_something_is_included() -> None:
    assert ["rule-id: must be unique" in problem for problem in problems(SELECTION)] == [True]
    with pytest.raises(ConfigError, match="must hold a selection rule that includes"):
        parse_rules(json.dumps({"rules": [VALID["exclude"]]}))


def test_a_rule_without_an_id_is_named_by_its_place() -> None:
    rule = changed("exclude", "rule-id")
    assert any("rules[1].rule-id: is missing" in problem for problem in problems(rule))


def test_what_is_valid_and_cannot_be_carried_is_refused_by_name_at_a_start() -> None:
    with pytest.raises(ConfigError, match=r'rule-id "7"\).rule-type: "transformation" rules are'):
        parse_table_mapping(document(VALID["rename schema"]))


# --- any document ---------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.sampled_from(sorted(VALID)), min_size=1, max_size=3),
    st.lists(st.integers(0, 9), min_size=1, max_size=6),
    JSON,
    st.sampled_from(["", "kafka", "postgres"]),
)
def test_a_mutation_is_taken_or_refused_with_its_place(
    names: list[str], path: list[int], change: Any, target: str
) -> None:
    whole = damaged({"rules": [SELECTION, *(VALID[name] for name in names)]}, path, change)
    unnamed = []
    try:
        read = parse_rules(json.dumps(whole), target=target)
        assert parse_rules(rules_text(read), target=target) == read
    except ConfigError as error:
        unnamed = [p for p in error.problems if not (p.field and p.constraint)]
    assert unnamed == []
