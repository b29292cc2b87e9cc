import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.config.load import parse_table_mapping
from engine.config.mapping import EVERYTHING, RuleAction, parse_short, short_mapping
from engine.config.pattern import NamePattern, literal
from engine.errors import ConfigError


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("%", "anything", True),
        ("%", "", True),
        ("a%", "abc", True),
        ("a%", "ba", False),
        ("%c", "abc", True),
        ("a%c%e", "abcde", True),
        ("a%c%e", "abcd", False),
        ("a_c", "abc", True),
        ("a_c", "ac", False),
        ("a[_]c", "a_c", True),
        ("a[_]c", "abc", False),
        ("t[ab]", "tb", True),
        ("t[ab]", "tc", False),
        ("t[a-d]", "tc", True),
        ("t[a-d]", "te", False),
        ("t[a-]", "t-", True),
        ("[%]", "%", True),
        ("Orders", "orders", False),
        ("[[]x", "[x", True),
        ("naïve_", "naïveté"[:6], True),
        ("%%", "x", True),
        ("_", "", False),
    ],
)
def test_patterns_match_as_aws_says(pattern: str, name: str, matches: bool) -> None:
    assert NamePattern(pattern).matches(name) is matches


@pytest.mark.parametrize("pattern", ["", "a[b", "a[]", "[d-a]", "x" * 300])
def test_a_broken_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        NamePattern(pattern)


@given(st.text(min_size=1, max_size=63))
def test_a_literal_matches_itself_only(name: str) -> None:
    assert literal(name).matches(name)
    assert not literal(name).matches(name + "x")
    assert literal(name).is_exact


def test_no_pattern_is_slow() -> None:
    started = time.process_time()
    assert not NamePattern("%a" * 100 + "%b").matches("a" * 63)
    assert time.process_time() - started < 1.0


def test_underscore_is_literal_in_the_short_form() -> None:
    schema, table = parse_short("public.order_items")
    assert schema.matches("public")
    assert table.matches("order_items")
    assert not table.matches("orderXitems")


def test_quotes_make_a_short_name_literal() -> None:
    schema, table = parse_short('"my.schema"."100% ""of"" it"')
    assert schema.matches("my.schema")
    assert table.matches('100% "of" it')
    assert not table.matches('100 ANY "of" it')


@pytest.mark.parametrize("text", ["public", "a.b.c", "", ".x", "x.", '"a.b', 3, None, '"".x'])
def test_a_short_pattern_needs_schema_and_table(text: object) -> None:
    with pytest.raises(ValueError, match=r"expected schema\.table"):
        parse_short(text)


def test_exclude_alone_leaves_everything_else_included() -> None:
    rules = short_mapping((), ("public.audit%",)).rules
    assert rules[0] is EVERYTHING.rules[0]
    assert rules[1].action is RuleAction.EXCLUDE


def rule(**changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "rule-type": "selection",
        "rule-id": "1",
        "rule-name": "one",
        "rule-action": "include",
        "object-locator": {"schema-name": "public", "table-name": "%"},
    }
    return {name: value for name, value in (made | changes).items() if value is not None}


def parse(*rules: object) -> tuple[str, ...]:
    """The problems of a mapping with these rules."""
    try:
        parse_table_mapping(json.dumps({"rules": rules}), "mapping.json")
    except ConfigError as error:
        return tuple(map(str, error.problems))
    return ()


def test_aws_rules_are_read() -> None:
    mapping = parse_table_mapping(
        json.dumps(
            {
                "rules": [
                    rule(**{"load-order": "5", "filters": []}),
                    rule(
                        **{
                            "rule-id": 2,
                            "rule-name": "two",
                            "rule-action": "explicit",
                            "object-locator": {
                                "schema-name": "s_1",
                                "table-name": "t_1",
                                "table-type": "table",
                            },
                        }
                    ),
                ]
            }
        )
    )
    first, second = mapping.rules
    assert first.load_order == 5
    assert first.matches("public", "x")
    assert second.id == "2"
    assert second.matches("s_1", "t_1")
    assert not second.matches("sX1", "t_1")


@pytest.mark.parametrize(
    "kind", ["transformation", "table-settings", "object-mapping", "post-processing", "validation"]
)
def test_other_rule_types_are_refused_by_rule_id(kind: str) -> None:
    (problem,) = parse(
        rule(), rule(**{"rule-type": kind, "rule-id": "7", "rule-name": "seven", "value": "x"})
    )
    assert 'rule-id "7"' in problem
    assert "not supported yet" in problem


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rule-type": "selektion"}, "did you mean 'selection'"),
        ({"rule-action": "includ"}, "did you mean 'include'"),
        ({"rule-id": None}, "rule-id: is missing"),
        ({"filters": [{"filter-type": "source"}]}, "filters are not supported yet"),
        ({"objekt-locator": {}}, "did you mean 'object-locator'"),
        ({"object-locator": None}, "expected an object with schema-name"),
        ({"object-locator": {"schema-name": "x"}}, "table-name: expected a name or pattern"),
        ({"object-locator": {"schema-name": "x", "table-name": "a[b"}}, "without ]"),
        (
            {"object-locator": {"schema-name": "x", "table-name": "v", "table-type": "view"}},
            "views are not supported",
        ),
        ({"load-order": 0}, "load-order: must be"),
        ({"load-order": True}, "load-order: must be"),
        ({"rule-action": "explicit"}, "exactly one table"),
        ({"rule-action": "exclude"}, "must hold a selection rule that includes"),
    ],
)
def test_a_wrong_rule_says_what_is_wrong(changes: dict[str, Any], words: str) -> None:
    problems = parse(rule(**changes))
    assert any(words in problem for problem in problems), problems
    assert all(problem.startswith("mapping.json: rules") for problem in problems)


def test_rule_ids_are_unique_and_names_need_not_be() -> None:
    (problem,) = parse(rule(), rule())
    assert "rules[1].rule-id: must be unique" in str(problem)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '"x"',
        "{}",
        '{"rules": []}',
        '{"rules": {}}',
        '{"rules": [1]}',
        "{",
        "[" * 100_000,
        '{"rules": NaN}',
        '{"rules": [], "rules": []}',
        '{"rulez": []}',
        '{"rules":' + "9" * 5000 + "}",
    ],
)
def test_what_is_no_mapping_is_a_config_error(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_table_mapping(text)


def test_a_key_written_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match="key rules is written twice"):
        parse_table_mapping('{"rules": [], "rules": []}')
