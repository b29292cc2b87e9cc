"""Table mappings and replication settings of a request."""

import json
from typing import Any

import pytest

from engine.config.settings import defaults
from engine.control.api.documents import (
    mappings,
    settings,
    settings_modified,
    settings_shown,
)
from engine.control.api.faults import InvalidParameterValueException

RULE: dict[str, Any] = {
    "rule-type": "selection",
    "rule-id": "1",
    "rule-name": "shop",
    "object-locator": {"schema-name": "shop", "table-name": "%"},
    "rule-action": "include",
}


def rules(*changes: dict[str, Any]) -> str:
    """Rules that differ from `RULE`; None takes a key out."""
    made = [{**RULE, **change} for change in changes]
    return json.dumps(
        {"rules": [{k: v for k, v in rule.items() if v is not None} for rule in made]}
    )


def test_mappings_are_shown_without_blanks_and_as_they_were_written() -> None:
    text = rules({"rule-id": 7})
    assert mappings(text) == text.replace(": ", ":").replace(", ", ",")


def test_a_name_may_be_that_of_two_rules() -> None:
    assert mappings(rules({}, {"rule-id": "2"})).count("shop") == 4


def test_every_type_of_rule_is_taken_whether_or_not_it_is_carried() -> None:
    rename = {
        "rule-type": "transformation",
        "rule-id": "2",
        "rule-name": "2",
        "rule-target": "schema",
        "object-locator": {"schema-name": "shop"},
        "rule-action": "rename",
        "value": "store",
    }
    assert "store" in mappings(json.dumps({"rules": [RULE, rename]}))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"rules": }', "Invalid Table Mappings document. Invalid json: Expecting value: line 1"),
        ("[]", "Invalid Table Mappings document. Invalid json: must be a JSON object"),
        ('{"hello": "world"}', "Valid Table mappings is required"),
        ('{"rules": []}', "Valid Table mappings is required"),
        ('{"rules": [5]}', r"Error in mapping rules. rules\[0\]: expected an object"),
        (rules({"rule-id": None}), r"Error in mapping rules. rules\[0\].rule-id: is missing"),
        (
            rules({"rule-type": "something"}),
            "Error in mapping rules. Rule with ruleId = 1 failed validation. rule-type: must be",
        ),
        (
            rules({"object-locator": None}),
            "Rule with ruleId = 1 failed validation. object-locator: is missing",
        ),
        (
            rules({"rule-action": "including"}),
            "Rule with ruleId = 1 failed validation. rule-action: must be one of",
        ),
        (
            rules({}, {"rule-id": "2", "rule-name": "2", "rule-type": "table-settings"}),
            "Rule with ruleId = 2 failed validation. .* without wildcards",
        ),
        (rules({}, {"rule-id": 1}), "Error in mapping rules. Duplicate ruleid 1"),
        (rules({"rule-action": "exclude"}), "rules: must hold a selection rule that includes"),
    ],
)
def test_a_mapping_that_aws_refuses_is_refused_by_its_rule(text: str, message: str) -> None:
    with pytest.raises(InvalidParameterValueException, match=message):
        mappings(text)


def test_settings_are_kept_as_given_and_shown_whole() -> None:
    given = {"FullLoadSettings": {"MaxFullLoadSubTasks": 4}, "Logging": {"EnableLogging": True}}
    kept = settings(json.dumps(given), "cdc")
    assert kept == given
    shown = json.loads(settings_shown(kept, "cdc"))
    assert shown["FullLoadSettings"]["MaxFullLoadSubTasks"] == 4
    assert shown["FullLoadSettings"]["TargetTablePrepMode"] == "DO_NOTHING"
    assert shown["Logging"]["EnableLogging"] is True
    assert shown["Logging"]["CloudWatchLogGroup"] is None
    assert shown["ErrorBehavior"]["RecoverableErrorCount"] == -1


def test_the_log_of_one_that_ran_is_named_and_nothing_else_changes() -> None:
    given = {"BeforeImageSettings": {"FieldName": '"CloudWatchLogGroup": null'}}
    before = json.loads(settings_shown(given, "cdc"))
    after = json.loads(settings_shown(given, "cdc", group='g"', stream="s"))
    assert after["Logging"].pop("CloudWatchLogGroup") == 'g"'
    assert after["Logging"].pop("CloudWatchLogStream") == "s"
    for key in ("CloudWatchLogGroup", "CloudWatchLogStream"):
        assert before["Logging"].pop(key) is None
    assert after == before


def test_what_is_shown_is_of_what_is_kept_and_of_nothing_shown_before() -> None:
    def shown(given: dict[str, object], kind: str = "cdc") -> Any:
        return json.loads(settings_shown(given, kind))

    untouched = shown({})
    assert untouched == defaults("cdc")
    changed = {
        "FullLoadSettings": {"CommitRate": 7},
        "ControlTablesSettings": {"HistoryTimeslotInMinutes": 9},
        "ValidationSettings": {"ValidationOnly": True},
        "Logging": {"LogComponents": [{"Id": "SORTER", "Severity": "LOGGER_SEVERITY_DEBUG"}]},
    }
    first = shown(changed)
    assert first["FullLoadSettings"]["CommitRate"] == 7
    assert first["ControlTablesSettings"]["historyTimeslotInMinutes"] == 9
    assert first["ValidationSettings"]["ValidationQueryCdcDelaySeconds"] == 180
    changed["FullLoadSettings"] = {"CommitRate": 8}
    assert shown(changed)["FullLoadSettings"]["CommitRate"] == 8
    assert shown({}) == untouched
    assert shown({}, "full-load") == defaults("full-load")
    assert defaults("cdc") == untouched


def test_a_modification_replaces_keys_and_null_takes_one_back() -> None:
    before = settings('{"Logging": {"EnableLogging": true, "EnableLogContext": true}}', "cdc")
    change = '{"Logging": {"EnableLogContext": null}, "StreamBufferSettings": null}'
    after = settings_modified(before, change, "cdc")
    assert after == {"Logging": {"EnableLogging": True}}


def test_a_modification_may_need_what_is_there() -> None:
    before = settings('{"Logging": {"EnableLogging": true}}', "cdc")
    after = settings_modified(before, '{"Logging": {"EnableLogContext": true}}', "cdc")
    assert after == {"Logging": {"EnableLogging": True, "EnableLogContext": True}}


def test_a_modification_is_checked_with_what_stays() -> None:
    before = settings('{"Logging": {"EnableLogging": true, "EnableLogContext": true}}', "cdc")
    with pytest.raises(InvalidParameterValueException, match=r"needs Logging\.EnableLogging"):
        settings_modified(before, '{"Logging": {"EnableLogging": false}}', "cdc")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "Invalid settings. Invalid json: Expecting property name"),
        ("7", "Invalid settings. Invalid json: must be a JSON object"),
        ('{"Loging": {}}', "Invalid settings: Loging unknown section .did you mean 'Logging'?"),
        (
            '{"FullLoadSettings": {"MaxFullLoadSubTasks": 50}}',
            "FullLoadSettings.MaxFullLoadSubTasks must be a whole number from 1 to 49",
        ),
        (
            '{"Logging": {"EnableLogContext": true}}',
            "Logging.EnableLogContext needs Logging.EnableLogging to be true",
        ),
        (
            '{"Logging": {"CloudWatchLogGroup": "mine"}}',
            "CloudWatchLogGroup or CloudWatchLogStream cannot be set",
        ),
    ],
)
def test_settings_that_aws_refuses_are_refused_by_their_key(text: str, message: str) -> None:
    with pytest.raises(InvalidParameterValueException, match=message):
        settings(text, "full-load-and-cdc")
    with pytest.raises(InvalidParameterValueException, match=message):
        settings_modified({}, text, "full-load-and-cdc")


def test_a_mangled_list_is_refused_before_it_is_merged() -> None:
    for items in ('[{"Severity": "LOGGER_SEVERITY_INFO"}]', "[7]", '[{"Id": {}}]', "{}"):
        text = f'{{"Logging": {{"LogComponents": {items}}}}}'
        with pytest.raises(InvalidParameterValueException, match=r"Logging\.LogComponents"):
            settings_modified({}, text, "cdc")
