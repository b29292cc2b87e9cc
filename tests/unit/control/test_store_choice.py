import subprocess
import sys
from pathlib import Path

import pytest

from engine.config.secret import Secret
from engine.control.store.choice import choose
from engine.control.store.postgres import SCHEMA, PostgresStore
from engine.control.store.sqlite import SqliteStore
from engine.errors import ConfigError


def test_without_a_url_it_is_a_file_in_the_state_directory(tmp_path: Path) -> None:
    store = choose(tmp_path)
    assert isinstance(store, SqliteStore)
    assert store._path == tmp_path / "penstock.db"


@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
def test_a_url_names_a_database_and_a_schema_may_be_named(tmp_path: Path, scheme: str) -> None:
    url = Secret(f"{scheme}://h/d")
    for schema, used in (("", SCHEMA), ("own", "own")):
        store = choose(tmp_path, url, schema=schema)
        assert isinstance(store, PostgresStore)
        assert store._schema == used


@pytest.mark.parametrize("url", ["mysql://u:hidden@h/d", "/var/hidden.db", ""])
def test_another_url_is_refused_without_being_said(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError, match="store: is no url of PostgreSQL") as refused:
        choose(tmp_path, Secret(url))
    assert "hidden" not in f"{refused.value} {refused.value!r}"


def test_without_the_driver_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "engine.control.store.postgres")
    monkeypatch.delattr("engine.control.store.postgres")
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(ConfigError, match=r"needs the driver asyncpg .*penstock\[postgres\]"):
        choose(tmp_path, Secret("postgresql://h/d"))


def test_a_store_in_a_file_loads_no_driver() -> None:
    script = (
        "import sys; from pathlib import Path; from engine.control.store.choice import choose;"
        "choose(Path('/nowhere')); sys.exit('asyncpg' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0
