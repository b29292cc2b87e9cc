"""What a user writes: `table-mapping`, `rule-document`, `task-settings`, `replication-file`,
`source-url`, `written-values`."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any, Final

from engine.config.environment import expand_text
from engine.config.fingerprint import fingerprint
from engine.config.load import parse_replication, parse_settings, parse_table_mapping
from engine.config.mapping import parse_short
from engine.config.pattern import NamePattern
from engine.config.problems import Problems
from engine.config.quantity import parse_duration, parse_size
from engine.config.rule_document import parse_rules, rules_text
from engine.config.settings_catalog import CATALOG, Entry, Group, Items
from engine.config.url import parse_postgres_url, parse_url
from engine.errors import ConfigError
from tests.fuzz.mutation import mutated_document, mutated_text
from tests.fuzz.target import Fuzzed

SECRET: Final = "hunter2canary"

PROBLEM_CHARACTERS_MAX: Final = 4000


def declared(read: Callable[[], object]) -> None:
    """A ConfigError names a field and a constraint, holds no secret, and can be printed."""
    try:
        read()
    except ConfigError as error:
        for problem in error.problems:
            assert problem.field
            assert problem.constraint
            assert SECRET not in str(problem)
            assert len(str(problem)) < PROBLEM_CHARACTERS_MAX
            str(problem).encode()
        raise


# --- table mapping --------------------------------------------------------------------------------

MAPPING: Final[Any] = {
    "rules": [
        {
            "rule-type": "selection",
            "rule-id": "1",
            "rule-name": "all",
            "object-locator": {"schema-name": "pub%", "table-name": "a[_b-d]%"},
            "rule-action": "include",
            "filters": [],
            "load-order": "2",
        },
        {
            "rule-type": "selection",
            "rule-id": 2,
            "rule-name": "not these",
            "object-locator": {"schema-name": "public", "table-name": "x", "table-type": "table"},
            "rule-action": "exclude",
        },
    ]
}


def mappings(random: Random) -> Iterator[str]:
    return _documents(MAPPING, random)


def read_mapping(text: str) -> None:
    def read() -> None:
        for rule in parse_table_mapping(text).rules:
            rule.matches("public", "aab" * 20)

    declared(read)


LOCATED: Final = {"schema-name": "public", "table-name": "orders"}

RULES: Final[Any] = {
    "rules": [
        {
            **MAPPING["rules"][0],
            "object-locator": LOCATED,
            "filters": [
                {
                    "filter-type": "source",
                    "column-name": "id",
                    "filter-conditions": [
                        {"filter-operator": "between", "start-value": "1", "end-value": 9}
                    ],
                }
            ],
        },
        {
            "rule-type": "transformation",
            "rule-id": "3",
            "rule-target": "column",
            "rule-action": "change-data-type",
            "object-locator": {**LOCATED, "column-name": "a%"},
            "data-type": {"type": "numeric", "precision": "38", "scale": 2},
        },
        {
            "rule-type": "table-settings",
            "rule-id": 4,
            "object-locator": LOCATED,
            "parallel-load": {"type": "ranges", "columns": ["id"], "boundaries": [["5"], [9]]},
            "lob-settings": {"mode": "limited", "bulk-max-size": "16"},
        },
        {
            "rule-type": "object-mapping",
            "rule-id": "5",
            "rule-action": "map-record-to-document",
            "object-locator": LOCATED,
            "mapping-parameters": {
                "partition-key-type": "attribute-name",
                "partition-key-name": "id",
                "attribute-mappings": [{"target-attribute-name": "a", "value": {"M": {}}}],
            },
        },
        {
            "rule-type": "post-processing",
            "rule-id": "6",
            "rule-action": "add-tag",
            "object-locator": LOCATED,
            "tag-set": [{"key": "k", "value": "${table-name}"}],
        },
    ]
}


def rules(random: Random) -> Iterator[str]:
    return _documents(RULES, random)


def read_rules(text: str) -> None:
    """What is taken comes back as it was."""

    def read() -> None:
        document = parse_rules(text)
        assert parse_rules(rules_text(document)) == document

    declared(read)


# --- settings -------------------------------------------------------------------------------------


def _defaults(entry: Entry) -> Any:
    if isinstance(entry, Group):
        return {name: _defaults(inner) for name, inner in entry.keys.items()}
    if isinstance(entry, Items):
        return [_defaults(entry.item)]
    return entry.default


def settings(random: Random) -> Iterator[str]:
    whole = json.loads(json.dumps(_defaults(CATALOG)))
    groups = [{name: value} for name, value in whole.items()]
    while True:
        source = _documents(random.choice([whole, *groups, *groups]), random)
        for _ in range(20):
            yield next(source)


def read_settings(text: str) -> None:
    declared(lambda: parse_settings(text))


def _documents(document: Any, random: Random) -> Iterator[str]:
    """It, damaged as a document and as text; sometimes deep."""
    text = json.dumps(document)
    while True:
        yield text
        for _ in range(6):
            yield json.dumps(mutated_document(document, random))
        for _ in range(3):
            yield mutated_text(text, random)
        if random.random() < 0.05:
            yield text.replace("{", '{"a":' + "[" * 10 ** random.randrange(5), 1)


# --- the file of a replication --------------------------------------------------------------------

FILE: Final[Any] = {
    "replication": {"id": "fuzz", "type": "full-load-and-cdc"},
    "source": {
        "engine": "postgres",
        "url": "postgresql://u:${S}@h:5432/d?sslmode=require",
        "wal_retained_max": "10GiB",
        "heartbeat": "10s",
    },
    "target": {"engine": "postgres", "url": "postgresql://u@h/d", "password_env": "S"},
    "mapping": {"include": ["public.%", '"a"."b"'], "exclude": ["public.x"]},
    "load": {"parallel_tables": 4, "snapshot_wait": "5min", "prepare": "truncate"},
    "apply": {"mode": "transactional", "batch_rows_max": 20000, "appliers": 4},
    "capacity": {"unit_memory": "256MiB", "min": 2, "max": 4, "spool_max": "1GiB"},
}

ENVIRONMENT: Final = {"S": SECRET, "U": "postgresql://u@h/d", "A": "value"}


def files(random: Random) -> Iterator[str]:
    while True:
        parts = {name: FILE[name] for name in FILE if random.random() < 0.7} | {
            name: FILE[name] for name in ("replication", "source", "target")
        }
        document = parts if random.random() < 0.2 else mutated_document(parts, random)
        text = toml(document)
        yield mutated_text(text, random) if random.random() < 0.3 else text


def toml(document: Any) -> str:
    if not isinstance(document, dict):
        return f"x = {_toml_value(document)}"
    return "\n".join(f"{json.dumps(key)} = {_toml_value(value)}" for key, value in document.items())


def _toml_value(value: Any) -> str:
    if isinstance(value, dict):
        return (
            "{" + ", ".join(f"{json.dumps(k)} = {_toml_value(v)}" for k, v in value.items()) + "}"
        )
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml_value, value)) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, int | float) else json.dumps(value or "null")


def read_file(text: str) -> None:
    def read() -> None:
        config = parse_replication(text, ENVIRONMENT, file=Path("fuzz.toml"), read_bytes=_no_file)
        if FILE["source"]["url"] in text and text.count("${S}") == 1:  # else it may be a name
            assert SECRET not in repr(config)
        fingerprint(config)

    declared(read)


def _no_file(path: Path) -> bytes:
    raise FileNotFoundError(2, "No such file or directory")


# --- single values --------------------------------------------------------------------------------

URLS: Final = (
    f"postgresql://u:{SECRET}@db.example:5432/app?sslmode=verify-full&application_name=a%20b",
    "postgres://u@[::1]/d?connect_timeout=5",
    "postgresql:///d?host=/run/postgresql&port=5433",
    "mysql://root:p%40ss@h:3306/db",
)


def urls(random: Random) -> Iterator[str]:
    while True:
        url = random.choice(URLS)
        yield url if random.random() < 0.1 else mutated_text(url, random)


def read_url(text: str) -> None:
    """Neither the error nor the URL's own text shows a password; damage may have made it, or a
    copy of it, the name of something else."""
    said = ""
    try:
        url = parse_url(text)
        password = url.password
        if password is not None and SECRET in password.reveal() and text.count(SECRET) == 1:
            said = repr(url) + str(url)
        parse_postgres_url(text)
    except ValueError as error:
        said += str(error)
        raise
    finally:
        assert SECRET not in said


def _expanded(text: str) -> str:
    return expand_text(text, ENVIRONMENT, "x", Problems("fuzz.toml"))


READERS: Final[tuple[tuple[Callable[[str], object], tuple[str, ...]], ...]] = (
    (parse_size, ("256MiB", "1 GiB", "1.5GB", "10B", "0")),
    (parse_duration, ("5min", "1s", "250ms", "1.5 h", "2d")),
    (parse_short, ("public.%", '"a b"."c""d"', "s.t")),
    (lambda text: NamePattern(text).matches("orders" * 10), ("a%c_[d-f]", "%%%", "[%]", "ord%s%")),
    (_expanded, ("${S}", "$${A}", "a${A}b${U}", "$A")),
)


def values(random: Random) -> Iterator[tuple[int, str]]:
    while True:
        reader = random.randrange(len(READERS))
        text = random.choice(READERS[reader][1])
        yield reader, (text if random.random() < 0.1 else mutated_text(text, random))


def read_value(case: tuple[int, str]) -> None:
    reader, text = case
    READERS[reader][0](text)


TARGETS: Final = (
    Fuzzed(
        name="table-mapping",
        generate=mappings,
        decode=read_mapping,
        errors=(ConfigError,),
        weight=4,
    ),
    Fuzzed(
        name="rule-document", generate=rules, decode=read_rules, errors=(ConfigError,), weight=2
    ),
    Fuzzed(
        name="task-settings",
        generate=settings,
        decode=read_settings,
        errors=(ConfigError,),
        weight=3,
    ),
    Fuzzed(
        name="replication-file", generate=files, decode=read_file, errors=(ConfigError,), weight=2
    ),
    Fuzzed(name="source-url", generate=urls, decode=read_url, errors=(ValueError,), weight=10),
    Fuzzed(
        name="written-values", generate=values, decode=read_value, errors=(ValueError,), weight=15
    ),
)
