import sys
from collections.abc import Sequence
from importlib import metadata
from importlib.metadata import EntryPoint
from types import ModuleType

import pytest

from connectors.postgres.source import PostgresSource
from engine import registry
from engine.abilities import SpeakingSource
from engine.config.endpoint import SourceConfig, TargetConfig
from engine.config.replication import ReplicationConfig
from engine.config.url import parse_url
from engine.errors import ConfigError
from engine.seams import SystemClock, SystemRandom


def test_an_unknown_engine_suggests_the_nearest() -> None:
    with pytest.raises(ConfigError, match='did you mean "postgres"') as caught:
        registry.source("postgresql")
    assert caught.value.field == "source.engine"


def test_an_engine_that_has_no_such_side_is_refused() -> None:
    with pytest.raises(ConfigError, match='"blackhole" cannot be a source'):
        registry.source("blackhole")


def test_names_lists_what_each_side_knows() -> None:
    assert {"postgres", "memory"} <= set(registry.names("source"))
    assert "blackhole" not in registry.names("source")
    assert {"blackhole", "mysql", "mariadb", "aurora"} <= set(registry.names("target"))


def test_a_connector_is_imported_on_first_use(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("outside_connector")
    monkeypatch.setattr(module, "create", lambda *_: None, raising=False)
    monkeypatch.setitem(sys.modules, "outside_connector", module)
    connector = registry.Connector(source="outside_connector:create")
    monkeypatch.setattr(registry, "CONNECTORS", {"x": connector})
    assert registry.source("x") is vars(module)["create"]


def test_a_missing_driver_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("modules")
    (folder / "needs_driver.py").write_text("import a_driver_that_nobody_has\n")
    monkeypatch.syspath_prepend(str(folder))
    connector = registry.Connector(target="needs_driver:create", install="penstock[x]")
    monkeypatch.setattr(registry, "CONNECTORS", {"x": connector})
    with pytest.raises(ConfigError, match="a_driver_that_nobody_has") as caught:
        registry.target("x")
    assert caught.value.hint == "pip install 'penstock[x]'"


def test_a_broken_module_of_our_own_is_not_called_a_missing_driver(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connector = registry.Connector(source="connectors.nothing_here:create")
    monkeypatch.setattr(registry, "CONNECTORS", {"x": connector})
    with pytest.raises(ModuleNotFoundError):
        registry.source("x")


def test_outside_connectors_come_by_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("outside_connector")
    monkeypatch.setattr(module, "create", lambda *_: None, raising=False)
    monkeypatch.setitem(sys.modules, "outside_connector", module)
    point = EntryPoint("theirs", "outside_connector:create", "penstock.sources")
    monkeypatch.setattr(
        metadata,
        "entry_points",
        lambda group, name="theirs": [point] if (group, name) == (point.group, "theirs") else [],
    )
    assert registry.source("theirs") is vars(module)["create"]
    assert "theirs" in registry.names("source")


def _postgres(start: str = "") -> ReplicationConfig:
    url = parse_url("postgresql://u@localhost/d")
    source = SourceConfig(engine="postgres", url=url)
    target = TargetConfig(engine="postgres", url=url)
    return ReplicationConfig(id="x", source=source, target=target, start_position=start)


def test_a_source_is_told_which_forms_the_target_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Sequence[str]] = []
    monkeypatch.setattr(PostgresSource, "speak", lambda _, forms: told.append(forms))
    registry.connect(_postgres(), SystemClock(), SystemRandom())
    assert told == [("postgres",)]


def test_a_source_refuses_a_target_that_takes_nothing_it_has() -> None:
    source, _ = registry.connect(_postgres(), SystemClock(), SystemRandom())
    assert isinstance(source, SpeakingSource)
    source.speak(["other", "postgres-text"])
    with pytest.raises(ConfigError, match=r"target\.engine: takes rows as other"):
        source.speak(["other"])


def test_a_start_that_is_no_position_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"start_position: .*such as 16/B374D848"):
        registry.connect(_postgres("yesterday"), SystemClock(), SystemRandom())
