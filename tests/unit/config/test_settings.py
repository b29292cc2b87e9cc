"""AWS's replication settings as documents: merged over its defaults, answered whole."""

import json
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config.document import Document, read_json
from engine.config.problems import Problems
from engine.config.reconcile import without_effect
from engine.config.replication import ReplicationType
from engine.config.settings import (
    ReplicationSettings,
    defaults,
    modified,
    parse_given,
    read_settings,
)
from engine.config.settings_catalog import CATALOG, Entry, Group, Items, Setting, Shown
from engine.config.settings_effect import IDLE, changed_without_effect, key_effects
from engine.errors import ConfigError

GOLDEN: Final = Path(__file__).parent / "golden" / "settings_defaults.json"
"""What AWS's API answered for a serverless replication of type full-load-and-cdc."""

TYPES: Final = [str(kind) for kind in ReplicationType]

EXAMPLES: Final = settings(max_examples=60, deadline=None)


def read(document: object, replication_type: str = "full-load-and-cdc") -> ReplicationSettings:
    problems = Problems("settings.json")
    assert isinstance(document, dict)
    found = read_settings(document, problems, replication_type)
    problems.raise_found()
    return found


def section(settings: ReplicationSettings, name: str) -> Any:
    return settings.document()[name]


# --- defaults -------------------------------------------------------------------------------------


@pytest.mark.parametrize("replication_type", TYPES)
def test_without_settings_the_answer_is_what_the_api_gave(replication_type: str) -> None:
    expected = json.loads(GOLDEN.read_text())
    if replication_type == "full-load":
        expected["TTSettings"] = None
    if replication_type == "cdc":
        expected["FullLoadSettings"]["TargetTablePrepMode"] = "DO_NOTHING"
    assert json.loads(read({}, replication_type).text()) == expected
    assert read(expected, replication_type).document() == expected


def test_what_is_written_is_merged_over_the_defaults() -> None:
    found = read({"FullLoadSettings": {"MaxFullLoadSubTasks": 3}}).document()
    expected = defaults()
    expected["FullLoadSettings"]["MaxFullLoadSubTasks"] = 3  # type: ignore[index]
    assert found == expected


@pytest.mark.parametrize("name", ["ValidationSettings", "ResyncSettings"])
def test_a_section_that_aws_does_not_show_is_whole_once_it_is_written(name: str) -> None:
    assert name not in defaults()
    shown = section(read({name: {}}), name)
    entry = CATALOG.keys[name]
    assert isinstance(entry, Group)
    assert shown.keys() == entry.keys.keys()


def test_time_travel_can_be_written_for_a_full_load() -> None:
    shown = section(read({"TTSettings": {"TTRecordSettings": {}}}, "full-load"), "TTSettings")
    assert shown["EnableTT"] is False
    assert shown["TTS3Settings"] is None
    assert shown["TTRecordSettings"]["MaxRecordSize"] == 64


def test_what_was_given_is_kept_beside_what_it_means() -> None:
    text = '{"FullLoadSettings": {"CommitRate": 5}}'
    document, found = parse_given(text, replication_type="cdc")
    assert document == json.loads(text)
    assert found.value("FullLoadSettings.CommitRate") == 5
    assert found.value("FullLoadSettings.TargetTablePrepMode") == "DO_NOTHING"
    with pytest.raises(ConfigError, match="ReplicationSettings: syntax: not valid JSON"):
        parse_given("{")


# --- values that follow from others ---------------------------------------------------------------


@pytest.mark.parametrize("name", ["HistoryTimeslotInMinutes", "historyTimeslotInMinutes"])
def test_the_history_slot_has_two_names(name: str) -> None:
    tables = section(read({"ControlTablesSettings": {name: 7}}), "ControlTablesSettings")
    assert tables["HistoryTimeslotInMinutes"] == tables["historyTimeslotInMinutes"] == 7


def test_two_different_history_slots_are_refused() -> None:
    both = {"HistoryTimeslotInMinutes": 7, "historyTimeslotInMinutes": 8}
    with pytest.raises(ConfigError, match="historyTimeslotInMinutes: is also set"):
        read({"ControlTablesSettings": both})


def test_log_group_and_stream_are_the_servers() -> None:
    found = read({"Logging": {"CloudWatchLogGroup": "mine", "CloudWatchLogStream": "mine too"}})
    assert section(found, "Logging")["CloudWatchLogGroup"] is None
    logging: Any = found.document(log_group="g", log_stream="s")["Logging"]
    assert (logging["CloudWatchLogGroup"], logging["CloudWatchLogStream"]) == ("g", "s")


def test_log_components_are_merged_by_id() -> None:
    debug = {"Id": "TARGET_LOAD", "Severity": "LOGGER_SEVERITY_DEBUG"}
    added = {"Id": "VALIDATOR", "Severity": "LOGGER_SEVERITY_INFO"}
    found = section(read({"Logging": {"LogComponents": [added, debug]}}), "Logging")
    components = found["LogComponents"]
    assert len(components) == 20
    assert debug in components
    assert components[-1] == added
    with pytest.raises(ConfigError, match="two items of the same Id"):
        read({"Logging": {"LogComponents": [debug, debug]}})


def test_validation_alone_waits_three_minutes() -> None:
    only = {"FullLoadSettings": {"TargetTablePrepMode": "DO_NOTHING"}}
    found = read(only | {"ValidationSettings": {"ValidationOnly": True}})
    assert section(found, "ValidationSettings")["ValidationQueryCdcDelaySeconds"] == 180
    told = {"ValidationOnly": True, "ValidationQueryCdcDelaySeconds": 0}
    found = read(only | {"ValidationSettings": told})
    assert section(found, "ValidationSettings")["ValidationQueryCdcDelaySeconds"] == 0


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"Logging": {"EnableLogContext": True}}, "EnableLogContext: needs Logging.EnableLogging"),
        ({"BeforeImageSettings": {"EnableBeforeImage": True}}, "needs BeforeImageSettings.FieldN"),
        (
            {
                "LoopbackPreventionSettings": {"EnableLoopbackPrevention": True},
                "TargetMetadata": {"BatchApplyEnabled": True},
            },
            "needs TargetMetadata.BatchApplyEnabled to be false",
        ),
        ({"ValidationSettings": {"ValidationOnly": True}}, "TargetTablePrepMode to be DO_NOTHING"),
        (
            {
                "FullLoadSettings": {
                    "StopTaskCachedChangesApplied": True,
                    "StopTaskCachedChangesNotApplied": True,
                }
            },
            "cannot be true beside",
        ),
        ({"ChangeProcessingTuning": {"BatchApplyTimeoutMin": 31}}, "must not be above"),
        ({"FullLoadSetings": {}}, "did you mean 'FullLoadSettings'"),
        ({"FullLoadSettings": {"MaxFullLoadSubTasks": 50}}, "from 1 to 49"),
        ({"TargetMetadata": []}, "expected an object"),
        ({"Logging": {"LogComponents": [3]}}, "LogComponents[0]: expected an object"),
        ({"Logging": {"LogComponents": [{"Id": "SORTR"}]}}, 'did you mean "SORTER"'),
    ],
)
def test_a_wrong_document_says_where_and_what(document: Document, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(document)
    assert any(words in str(problem) for problem in caught.value.problems), caught.value.problems


# --- modification ---------------------------------------------------------------------------------


def test_a_modification_replaces_the_keys_it_gives() -> None:
    before: Document = {
        "FullLoadSettings": {"MaxFullLoadSubTasks": 3, "CommitRate": 5},
        "ControlTablesSettings": {"HistoryTimeslotInMinutes": 7},
        "TargetMetadata": {"LobMaxSize": 5},
        "Logging": {"LogComponents": [{"Id": "IO", "Severity": "LOGGER_SEVERITY_INFO"}]},
    }
    change: Document = {
        "FullLoadSettings": {"MaxFullLoadSubTasks": 4},
        "ControlTablesSettings": {"historyTimeslotInMinutes": 9},
        "TargetMetadata": {"LobMaxSize": None},
        "Logging": {"LogComponents": [{"Id": "SORTER", "Severity": "LOGGER_SEVERITY_INFO"}]},
        "BeforeImageSettings": {"FieldName": "before"},
    }
    made = modified(before, change)
    assert made == {
        "FullLoadSettings": {"MaxFullLoadSubTasks": 4, "CommitRate": 5},
        "ControlTablesSettings": {"historyTimeslotInMinutes": 9},
        "TargetMetadata": {},
        "Logging": {
            "LogComponents": [
                {"Id": "IO", "Severity": "LOGGER_SEVERITY_INFO"},
                {"Id": "SORTER", "Severity": "LOGGER_SEVERITY_INFO"},
            ]
        },
        "BeforeImageSettings": {"FieldName": "before"},
    }
    assert before["FullLoadSettings"] == {"MaxFullLoadSubTasks": 3, "CommitRate": 5}
    read(made)


def test_a_changed_type_changes_only_what_nobody_wrote() -> None:
    assert read({}, "cdc").value("FullLoadSettings.TargetTablePrepMode") == "DO_NOTHING"
    written: Document = {"FullLoadSettings": {"TargetTablePrepMode": "TRUNCATE_BEFORE_LOAD"}}
    assert section(read(written, "cdc"), "FullLoadSettings") != section(
        read({}, "cdc"), "FullLoadSettings"
    )


# --- any document ---------------------------------------------------------------------------------


def valid(entry: Entry) -> st.SearchStrategy[Any]:
    """Values that AWS would take for a key."""
    if isinstance(entry, Group):
        keys = {name: valid(inner) for name, inner in entry.keys.items()}
        return st.fixed_dictionaries({}, optional=keys)
    if isinstance(entry, Items):
        unique = entry.identity or "SourceCharacterCodePoint"
        return st.lists(
            valid(entry.item).filter(lambda item: unique in item),
            max_size=2,
            unique_by=lambda item: item[unique],
        )
    values = [True, False, 0, 1, 2, 7, "DO_NOTHING", "STOP_TASK", "text", "41", entry.default]
    return st.sampled_from([value for value in values if takes(entry, value)])


def takes(entry: Setting, value: object) -> bool:
    try:
        entry.kind.read(value)
    except ValueError:
        return value is None
    return True


def came_back(written: Any, answered: Any, entry: Entry) -> bool:
    """Whether everything written has the same value in the answer."""
    if entry.shown is Shown.BY_SERVER or written is None:
        return True
    if isinstance(entry, Group):
        return all(came_back(written[k], answered[k], entry.keys[k]) for k in written)
    if isinstance(entry, Items) and entry.identity:
        by_id = {item[entry.identity]: item for item in answered}
        return all(came_back(item, by_id[item[entry.identity]], entry.item) for item in written)
    if isinstance(entry, Items):
        return len(written) == len(answered) and all(
            came_back(*pair, entry.item) for pair in zip(written, answered, strict=True)
        )
    return bool(written == answered)


@EXAMPLES
@given(valid(CATALOG), st.sampled_from(TYPES))
def test_what_was_written_comes_back_and_the_answer_reads_as_itself(
    document: Document, replication_type: str
) -> None:
    try:
        found = read(document, replication_type)
    except ConfigError:
        return  # keys that do not go together
    answered = json.loads(found.text())
    assert came_back(document, answered, CATALOG)
    assert read(answered, replication_type).document() == answered


@EXAMPLES
@given(valid(CATALOG), valid(CATALOG))
def test_a_modification_of_any_document_by_any_other_has_what_was_given(
    before: Document, change: Document
) -> None:
    made = modified(before, change)
    try:
        answered = read(made).document()
        read(change)
    except ConfigError:
        return
    assert came_back(change, answered, CATALOG)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


def mutilated(document: Any, path: list[int], value: Any) -> Any:
    """The document with something else in one of its places."""
    if not path or not document or not isinstance(document, dict | list):
        return value
    made = dict(document) if isinstance(document, dict) else list(document)
    keys: list[Any] = list(document) if isinstance(document, dict) else list(range(len(document)))
    key = keys[path[0] % len(keys)]
    made[key] = mutilated(made[key], path[1:], value)
    return made


@EXAMPLES
@given(valid(CATALOG), st.lists(st.integers(0, 30), min_size=1, max_size=4), JSON)
def test_a_mutation_is_read_or_refused_with_its_place(
    document: Document, path: list[int], value: Any
) -> None:
    problems = Problems("settings.json")
    damaged = read_json(json.dumps(mutilated(document, path, value)), problems)
    if damaged is not None:
        json.loads(read_settings(damaged, problems).text())
    try:
        problems.raise_found()
    except ConfigError as error:
        unnamed = [p for p in error.problems if not (p.field and p.constraint)]
    else:
        unnamed = []
    assert unnamed == []


# --- what has effect ------------------------------------------------------------------------------


def test_every_key_has_an_effect_or_a_reason_to_have_none() -> None:
    assert [key.path for key in key_effects() if not key.about] == []


def test_every_reason_belongs_to_a_key() -> None:
    paths = [key.path for key in key_effects()]
    assert [begin for begin in IDLE if not any(path.startswith(begin) for path in paths)] == []


def test_a_start_tells_of_changed_keys_without_effect_only() -> None:
    whole = read(defaults())
    assert len(without_effect(whole)) > 50
    assert changed_without_effect(whole, "full-load-and-cdc") == ()
    changed = read(
        {
            "TargetMetadata": {"LobMaxSize": 33, "SupportLobs": True},
            "ValidationSettings": {"EnableValidation": True, "ThreadCount": 5},
            "FullLoadSettings": {"MaxFullLoadSubTasks": 3},
        }
    )
    assert changed_without_effect(changed, "full-load-and-cdc") == (
        "TargetMetadata.LobMaxSize",
        "ValidationSettings.EnableValidation",
    )
