"""The connection string of a URL, and what both drivers trust."""

import os
import ssl
from pathlib import Path

import pytest

from connectors.postgres.address import conninfo
from engine.config.url import parse_postgres_url

PATHS = ssl.get_default_verify_paths()
VARIABLES = PATHS.openssl_cafile_env, PATHS.openssl_capath_env


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("PGSSLROOTCERT", raising=False)
    for name in VARIABLES:
        monkeypatch.setenv(name, "")  # so that what is set below goes with the test
        monkeypatch.delenv(name)


def test_the_system_of_libpq_is_that_of_python() -> None:
    conninfo(parse_postgres_url("postgresql://u@h/d?sslrootcert=system"))
    found = tuple(os.environ[name] for name in VARIABLES)
    assert found == (PATHS.openssl_cafile, PATHS.openssl_capath)


def test_what_the_user_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLES[0], "mine.pem")
    conninfo(parse_postgres_url("postgresql://u@h/d?sslrootcert=system"))
    assert os.environ[VARIABLES[0]] == "mine.pem"


def test_a_file_of_authorities_changes_nothing() -> None:
    text = conninfo(parse_postgres_url("postgresql://u:secret@h/d?sslrootcert=ca.pem"))
    assert "password='secret'" in text
    assert not [name for name in VARIABLES if name in os.environ]


FULL = "postgresql://u@h/d?sslmode=verify-full"


def test_without_a_certificate_the_machine_says_who_is_trusted() -> None:
    """As with the other systems. A host elsewhere is verified without being asked for."""
    for url in (FULL, "postgresql://u@h/d"):
        assert "sslrootcert='system'" in conninfo(parse_postgres_url(url))
    assert VARIABLES[0] in os.environ


@pytest.mark.parametrize("mode", ["disable", "prefer", "require", "verify-ca"])
def test_only_the_name_of_a_server_makes_that_safe(mode: str) -> None:
    text = conninfo(parse_postgres_url(f"postgresql://u@h/d?sslmode={mode}"))
    assert "sslrootcert" not in text


def test_a_socket_has_no_certificate() -> None:
    url = "postgresql:///d?host=/tmp&sslmode=verify-full"
    assert "sslrootcert" not in conninfo(parse_postgres_url(url))


def test_what_libpq_finds_by_itself_comes_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PGSSLROOTCERT", "mine.pem")
    assert "sslrootcert" not in conninfo(parse_postgres_url(FULL))
    monkeypatch.delenv("PGSSLROOTCERT")
    (tmp_path / ".postgresql").mkdir()
    (tmp_path / ".postgresql" / "root.crt").write_text("PEM")
    assert "sslrootcert" not in conninfo(parse_postgres_url(FULL))
