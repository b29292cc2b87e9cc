"""Table mappings and replication settings of a request: read, checked, shown. (pure)

Both are held to AWS's rules as a whole. Whether we carry what they ask for is another question: a
start looks at that, and fails with what it is. Words of refusals as DMS was seen to answer them;
"Rule with ruleId" is in its user guide too ("Table settings and table mapping").
"""

import functools
import json
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import orjson

from engine.config.document import Document, read_json
from engine.config.problems import Problems, shown
from engine.config.rule_document import check_rules, rules_text
from engine.config.rule_parts import rule_of
from engine.config.settings import modified, parse_change, parse_given, read_given
from engine.control.api.faults import InvalidParameterValueException
from engine.errors import ConfigError

BY_SERVER: Final = ("CloudWatchLogGroup", "CloudWatchLogStream")
"""Keys of `Logging` that the server alone says."""

EXPANDED_KEPT: Final = 256
"""Expanded settings that are kept, of some 5 KB; most replications have the same few."""


def mappings(text: str, target: str = "") -> str:
    """Table mappings as they are kept and shown. `target`: AWS's name of the target's engine, for
    rules that only some have. Raises InvalidParameterValueException, naming the rule by its id."""
    problems = Problems("TableMappings")
    document = read_json(text, problems)
    if document is None:
        raise InvalidParameterValueException(
            f"Invalid Table Mappings document. Invalid json: {_syntax(_first(problems))}."
        )
    if not isinstance(document.get("rules"), list) or not document["rules"]:
        raise InvalidParameterValueException(
            "Valid Table mappings is required: an object with a list of rules."
        )
    twice = _twice(document["rules"])
    if twice:
        raise InvalidParameterValueException(f"Error in mapping rules. Duplicate ruleid {twice}.")
    check_rules(document, problems, target)
    if problems:
        raise InvalidParameterValueException(_rule_refused(_first(problems)))
    return rules_text(document)


def settings(text: str, replication_type: str) -> Document:
    """Replication settings as they were given, to be kept. Raises InvalidParameterValueException
    with the key and what it may be."""
    try:
        given, _ = parse_given(text, replication_type=replication_type)
    except ConfigError as error:
        raise _settings_refused(error) from None
    return _by_user(given)


def settings_modified(before: Document, text: str, replication_type: str) -> Document:
    """Settings after a modification: the keys that are given replace, the others stay. Raises
    InvalidParameterValueException."""
    try:
        change = parse_change(text, replication_type=replication_type)
    except ConfigError as error:
        raise _settings_refused(error) from None
    return checked(modified(before, _by_user(change)), replication_type)


def checked(given: Mapping[str, Any], replication_type: str) -> Document:
    """Settings that were kept, under another replication type or with others beside them."""
    return settings(json.dumps(given), replication_type)


def settings_shown(
    given: Mapping[str, Any], replication_type: str, *, group: str = "", stream: str = ""
) -> str:
    """Settings with every default, as JSON. `group` and `stream`: of its log, once it ran."""
    text = _expanded(orjson.dumps(given, option=orjson.OPT_SORT_KEYS), replication_type)
    for key, value in zip(BY_SERVER, (group, stream), strict=True):
        if value:
            # No text within JSON has a quote that is not escaped: this is the key and no value.
            text = text.replace(f'"{key}":null', f'"{key}":{json.dumps(value)}')
    return text


@functools.lru_cache(EXPANDED_KEPT)
def _expanded(given: bytes, replication_type: str) -> str:
    read = read_given(orjson.loads(given), replication_type=replication_type)
    # What the server says of the log is null in it, and nobody changes it: no copy is made.
    return orjson.dumps(read.expanded).decode()


def _by_user(given: Document) -> Document:
    logging = given.get("Logging")
    for key in BY_SERVER:
        if isinstance(logging, dict) and logging.get(key) is not None:
            raise InvalidParameterValueException(
                "Settings CloudWatchLogGroup or CloudWatchLogStream cannot be set: the server says"
                f" them; leave out Logging.{key}."
            )
    return given


def _first(problems: Problems) -> ConfigError:
    try:
        problems.raise_found()
    except ConfigError as error:
        return error
    raise AssertionError("there is a problem")


def _syntax(problem: ConfigError) -> str:
    return problem.constraint.removeprefix("not valid JSON: ")


def _twice(rules: object) -> str:
    """An id that two rules have. Written as a number or as text, it is the same one."""
    listed = rules if isinstance(rules, list) else []
    ids = [rule.get("rule-id") for rule in listed if isinstance(rule, dict)]
    counts = Counter(str(each) for each in ids if isinstance(each, str | int) and each != "")
    return next((shown(text) for text, count in counts.items() if count > 1), "")


def _rule_refused(problem: ConfigError) -> str:
    why = f"{problem.constraint} ({problem.hint})" if problem.hint else problem.constraint
    rule = rule_of(problem.field)
    if not rule:
        return f"Error in mapping rules. {problem.field}: {why}."
    key = problem.field.partition('").')[2] or "it"
    return f"Error in mapping rules. Rule with ruleId = {rule} failed validation. {key}: {why}."


def _settings_refused(error: ConfigError) -> InvalidParameterValueException:
    hint = f" ({error.hint})" if error.hint else ""
    if error.field == "syntax":
        return InvalidParameterValueException(f"Invalid settings. Invalid json: {_syntax(error)}.")
    return InvalidParameterValueException(
        f"Invalid settings: {error.field} {error.constraint}{hint}."
    )
