"""Whatever a file holds, reading it gives a configuration or a ConfigError, nothing else."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config.fingerprint import fingerprint
from engine.config.load import parse_replication, parse_settings, parse_table_mapping
from engine.config.mapping import parse_short
from engine.config.reference import SECTIONS
from engine.config.section import declared_keys
from engine.config.settings_catalog import CATALOG, Entry, Group, Items
from engine.config.url import parse_postgres_url
from engine.errors import ConfigError

SECRET = "hunter2canary"

EXAMPLES = settings(max_examples=200, deadline=None)

SCALARS = (
    st.text(max_size=20)
    | st.integers(-(2**70), 2**70)
    | st.booleans()
    | st.floats()
    | st.sampled_from(
        [
            "${A}",
            "${B}",
            "$${A}",
            "${",
            "10GiB",
            "5min",
            "transactional",
            "postgres",
            "memory",
            "public.%",
            '"a"."b"',
            f"postgresql://u:{SECRET}@h:5432/d",
            "postgresql://u@h/d?sslmode=x",
            "off",
            "\0",
            "\ud800",
            "a" * 5000,
            "mapping.json",
            "settings.json",
            "${S}",
        ]
    )
)

JSON = st.recursive(
    st.none() | SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4)
    ),
    max_leaves=12,
)


def leaves_only_config_errors(read: Callable[[], object]) -> None:
    try:
        read()
    except ConfigError as error:
        for problem in error.problems:
            assert problem.field
            assert problem.constraint
            assert SECRET not in str(problem)
            assert len(str(problem)) < 4000
            str(problem).encode()


def toml_value(value: object) -> str:
    """TOML for what JSON has; null becomes a text."""
    if isinstance(value, dict):
        inner = ", ".join(f"{json.dumps(str(k))} = {toml_value(v)}" for k, v in value.items())
        return "{" + inner + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    return json.dumps("null" if value is None else value)


KNOWN = {
    section.TABLE: st.dictionaries(
        st.sampled_from([*declared_keys(section), "settings", "unknown"]), JSON, max_size=5
    )
    for section in SECTIONS
}

SOUND = {
    "replication": {"id": "fuzz"},
    "source": {"engine": "memory"},
    "target": {"engine": "memory"},
}


def read_with(files: dict[str, bytes], text: str) -> None:
    def read(path: Path) -> bytes:
        if path.name not in files:
            raise FileNotFoundError(2, "No such file or directory")
        return files[path.name]

    environment = {"A": "value", "S": SECRET}
    config = parse_replication(text, environment, file=Path("fuzz.toml"), read_bytes=read)
    assert SECRET not in repr(config.source.url)
    fingerprint(config)
    assert config.budget(config.capacity.units_max).queue_bytes_max > 0


@EXAMPLES
@given(st.text(max_size=300))
def test_any_text_as_toml(text: str) -> None:
    leaves_only_config_errors(lambda: read_with({}, text))


@EXAMPLES
@given(st.fixed_dictionaries({}, optional=KNOWN), st.binary(max_size=200))
def test_known_tables_with_any_values(tables: dict[str, dict[str, object]], data: bytes) -> None:
    whole = {name: SOUND.get(name, {}) | tables.get(name, {}) for name in SOUND.keys() | tables}
    text = "\n".join(f"{name} = {toml_value(table)}" for name, table in whole.items())
    leaves_only_config_errors(
        lambda: read_with({"mapping.json": data, "settings.json": data}, text)
    )


@EXAMPLES
@given(st.fixed_dictionaries({}, optional={"source": KNOWN["source"], "apply": KNOWN["apply"]}))
def test_what_is_accepted_is_valid_toml_and_validates(tables: dict[str, dict[str, object]]) -> None:
    whole = {name: SOUND.get(name, {}) | tables.get(name, {}) for name in SOUND.keys() | tables}
    text = "\n".join(f"{name} = {toml_value(table)}" for name, table in whole.items())
    try:
        config = parse_replication(text, {"A": "v", "S": SECRET}, file=Path("fuzz.toml"))
    except ConfigError:
        return
    config.validate()
    assert tomllib.loads(text)["replication"]["id"] == config.id


@EXAMPLES
@given(st.text(max_size=300) | JSON.map(json.dumps))
def test_any_text_as_mapping_and_as_settings(text: str) -> None:
    leaves_only_config_errors(lambda: parse_table_mapping(text))
    leaves_only_config_errors(lambda: parse_settings(text))


RULE = st.fixed_dictionaries(
    {},
    optional={
        "rule-type": st.sampled_from(["selection", "transformation"]) | JSON,
        "rule-id": st.integers(1, 3) | JSON,
        "rule-name": st.text(max_size=2) | JSON,
        "rule-action": st.sampled_from(["include", "exclude", "explicit"]) | JSON,
        "object-locator": st.fixed_dictionaries(
            {},
            optional={
                "schema-name": st.text("%_[]-ab", max_size=6) | JSON,
                "table-name": st.text("%_[]-ab", max_size=6) | JSON,
                "table-type": st.sampled_from(["table", "view", "all"]) | JSON,
            },
        )
        | JSON,
        "load-order": st.integers(-1, 5) | JSON,
        "filters": JSON,
    },
)


@EXAMPLES
@given(st.lists(RULE, max_size=3))
def test_rules_with_any_values(rules: list[object]) -> None:
    text = json.dumps({"rules": rules})
    leaves_only_config_errors(lambda: parse_table_mapping(text).rules[0].matches("a", "b"))


def entry_strategy(entry: Entry) -> st.SearchStrategy[object]:
    if isinstance(entry, Group):
        keys = {name: entry_strategy(inner) for name, inner in entry.keys.items()}
        return st.fixed_dictionaries({}, optional=keys)
    if isinstance(entry, Items):
        return st.lists(entry_strategy(entry.item), max_size=2)
    return st.just(entry.default) | JSON


@EXAMPLES
@given(entry_strategy(CATALOG))
def test_known_settings_with_any_values(document: object) -> None:
    leaves_only_config_errors(lambda: parse_settings(json.dumps(document)))


@EXAMPLES
@given(st.text(max_size=60) | st.text("postgresql:/@?&=%[]uhd15,", max_size=60))
def test_urls_and_short_patterns_raise_nothing_but_value_errors(text: str) -> None:
    for read in (parse_postgres_url, parse_short):
        message = ""
        try:
            str(read(text))
        except ValueError as error:
            message = str(error)
        assert len(text) < 12 or text not in message
