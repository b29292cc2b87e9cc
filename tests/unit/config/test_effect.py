"""Every key that a replication file takes has a reader, or is named as having no effect yet."""

import ast
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from engine.config.capacity import CapacityConfig
from engine.config.endpoint import SourceConfig, TargetConfig
from engine.config.endpoint_effect import IDLE_SETTINGS
from engine.config.endpoint_settings import (
    AddressSettings,
    PostgresSourceSettings,
    PostgresTargetSettings,
)
from engine.config.family import FAMILIES, Family
from engine.config.load import parse_replication
from engine.config.mysql_settings import MysqlSourceSettings, MysqlTargetSettings
from engine.config.reconcile import PAIRS, REFUSED
from engine.config.replication import ApplyConfig, LoadConfig, ReplicationConfig
from engine.config.section import Section, declared_keys
from engine.config.settings_catalog import CATALOG, Entry, Group, Items
from engine.config.settings_effect import why_idle

ROOT: Final = Path(__file__).parents[3]

BASE: Final = """
[replication]
id = "orders"
[source]
engine = "postgres"
url = "postgresql://u@localhost/d"
[target]
engine = "postgres"
url = "postgresql://u@localhost/d"
"""

READERS: Final[dict[type[Section], tuple[str, ...]]] = {
    ReplicationConfig: ("config",),
    SourceConfig: ("source",),
    TargetConfig: ("target",),
    LoadConfig: ("load",),
    ApplyConfig: ("apply",),
    CapacityConfig: ("capacity", "config"),
    PostgresSourceSettings: ("settings",),
    PostgresTargetSettings: ("settings",),
    MysqlSourceSettings: ("mysql",),
    MysqlTargetSettings: ("mysql",),
}
"""What a section is called where its fields are read: `config.load.prepare`, `source.origin`."""

RETENTION: Final = (
    "wal_retained_warn_bytes",
    "wal_retained_max_bytes",
    "wal_retained_policy",
    "catalog_xmin_age_warn",
)
"""Read by `Retention`, which calls its `SourceConfig` `config`."""

BECOMES: Final[dict[tuple[type[Section], str], tuple[str, str]]] = {
    (ReplicationConfig, "type"): ("config", "streams"),
    (ApplyConfig, "on_row_error"): ("config", "on_row_error"),
    (ApplyConfig, "appliers"): ("config", "budget"),
    (ApplyConfig, "batch_bytes_max"): ("config", "budget"),
    (CapacityConfig, "unit_memory_bytes"): ("config", "budget"),
    (CapacityConfig, "units_min"): ("capacity", "units_min"),
    (CapacityConfig, "units_max"): ("config", "ladder"),
    (CapacityConfig, "appliers_per_unit"): ("config", "budget"),
    (CapacityConfig, "copiers_per_unit"): ("config", "budget"),
    (CapacityConfig, "spool_max_bytes"): ("config", "budget"),
    (LoadConfig, "parallel_tables"): ("config", "budget"),
    (SourceConfig, "password_file"): ("source", "url"),
    (SourceConfig, "password_env"): ("source", "url"),
    (TargetConfig, "password_file"): ("target", "url"),
    (TargetConfig, "password_env"): ("target", "url"),
    (PostgresSourceSettings, "slot_name"): ("config", "slot_name"),
    (PostgresSourceSettings, "heartbeat_enable"): ("source", "heartbeat_interval_seconds"),
    (PostgresSourceSettings, "heartbeat_frequency_minutes"): (
        "source",
        "heartbeat_interval_seconds",
    ),
    (PostgresTargetSettings, "after_connect_script"): ("target", "session_replication_role"),
    (MysqlTargetSettings, "after_connect_script"): ("target", "session_replication_role"),
}
"""Keys that the configuration itself turns into something else, which is then read. That they do is
tested in `test_load.py` and `test_capacity.py`."""


@cache
def _reads() -> frozenset[tuple[str, str]]:
    """(name of the object, attribute) of every attribute that is read outside of engine/config."""
    return frozenset(_all_reads())


def _all_reads() -> Iterator[tuple[str, str]]:
    for folder in ("engine", "connectors"):
        for file in (ROOT / folder).rglob("*.py"):
            if file.is_relative_to(ROOT / "engine" / "config"):
                continue
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                    yield _called(node.value), node.attr


def _called(node: ast.expr) -> str:
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    return name.removeprefix("_")


def _keys() -> Iterator[tuple[type[Section], str, str]]:
    for section in READERS:
        for name, (field, _) in declared_keys(section).items():
            yield section, name, field


@pytest.mark.parametrize(
    ("section", "field"),
    [pytest.param(s, field, id=f"{s.TABLE}.{name}") for s, name, field in _keys()],
)
def test_every_key_is_read_by_somebody(section: type[Section], field: str) -> None:
    becomes = BECOMES.get((section, field))
    wanted = [becomes] if becomes else [(name, field) for name in READERS[section]]
    if section is SourceConfig and field in RETENTION:
        wanted = [("config", field)]
    assert _reads() & set(wanted), f"nothing reads {' or '.join(map('.'.join, wanted))}"


def test_what_the_configuration_turns_into_something_else_is_still_declared() -> None:
    fields = {(section, field) for section, _, field in _keys()}
    assert BECOMES.keys() <= fields


# --- AWS's keys -----------------------------------------------------------------------------------


def _no_effect(text: str, settings: str = "{}") -> tuple[str, ...]:
    files = {"settings.json": settings}
    return parse_replication(
        text, {}, file=Path("r.toml"), read_bytes=lambda path: files[path.name].encode()
    ).no_effect


def _leaves(entry: Entry, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    if isinstance(entry, Group):
        for name, inner in entry.keys.items():
            yield from _leaves(inner, (*path, name))
    else:
        yield path, [] if isinstance(entry, Items) else entry.default


@pytest.mark.parametrize(
    ("path", "default"),
    [pytest.param(path, default, id=".".join(path)) for path, default in _leaves(CATALOG)],
)
def test_a_replication_setting_has_effect_or_is_named(
    path: tuple[str, ...], default: object
) -> None:
    name = ".".join(path)
    document: object = "text" if default is None else default
    for part in reversed(path):
        document = {part: document}
    found = _no_effect(BASE + '[settings]\nfile = "settings.json"\n', json.dumps(document))
    effective = name in REFUSED or any(name in pair.aws for pair in PAIRS)
    if effective and "Delete" in name:
        effective = False  # its default, IGNORE_RECORD, is a policy that we have none for
    assert found == (() if effective else (name,))


TEXTS: Final = (
    "text",
    "password",
    "default",
    "wstring",
    "no-preference",
    "multiple-databases",
)
"""One of them is a word that a setting takes."""


def _aws_settings() -> Iterator[object]:
    for engine, family in FAMILIES.items():
        for side in ("source", "target"):
            for name in sorted(family.no_effect):
                yield pytest.param(engine, family, side, name, id=f"{engine}-{side}-{name}")


@pytest.mark.parametrize(("engine", "family", "side", "name"), list(_aws_settings()))
def test_an_endpoint_setting_has_effect_or_is_named(
    engine: str, family: Family, side: str, name: str
) -> None:
    kind = family.no_effect[name]
    values = (*TEXTS, True, 7)
    value = next(value for value in values if _takes(kind, value))
    text = BASE.replace('"postgres"', f'"{engine}"').replace("postgresql:", f"{family.scheme}:")
    text += f"[{side}.settings]\n{name} = {json.dumps(value)}\n"
    declared = declared_keys(family.source_settings if side == "source" else family.target_settings)
    expected = () if name in declared else (f"{side}.settings.{name}",)
    if name in ("AfterConnectScript", "HeartbeatFrequency"):
        expected = (f"{side}.settings.{name}",)
    assert _no_effect(text) == expected


def test_every_endpoint_setting_without_effect_has_a_reason() -> None:
    names = {name for family in FAMILIES.values() for name in family.no_effect}
    assert names == IDLE_SETTINGS.keys()
    assert why_idle("source.settings.PluginName") == IDLE_SETTINGS["PluginName"]


def _takes(kind: object, value: object) -> bool:
    try:
        kind.read(value)  # type: ignore[attr-defined]
    except ValueError:
        return False
    return True


def test_every_way_to_say_where_a_server_is_ends_in_its_url() -> None:
    text = BASE.replace('url = "postgresql://u@localhost/d"\n[target]', "[target]")
    text += '[source.settings]\nServerName = "localhost"\nPort = 7\nDatabaseName = "d"\n'
    text += 'Username = "u"\nPassword = "${PW}"\n'
    config = parse_replication(text, {"PW": "secret"}, file=Path("r.toml"))
    assert config.source.url is not None
    password = config.source.url.password
    found = {
        "server_name": config.source.url.host,
        "port": config.source.url.port,
        "database_name": config.source.url.database,
        "username": config.source.url.user,
        "password": password and password.reveal(),
    }
    assert found.keys() == {field for field, _ in declared_keys(AddressSettings).values()}
    assert list(found.values()) == ["localhost", 7, "d", "u", "secret"]
