"""The connection string of a URL, and what both drivers trust."""

import os
import ssl

import pytest

from connectors.postgres.address import conninfo
from engine.config.url import parse_postgres_url

PATHS = ssl.get_default_verify_paths()
VARIABLES = PATHS.openssl_cafile_env, PATHS.openssl_capath_env


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
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
