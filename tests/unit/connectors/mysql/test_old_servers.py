"""What is said of servers that are older than any test's."""

from collections.abc import Sequence

import pytest

from connectors.mysql.flavour import Flavour
from connectors.mysql.preflight_settings import findings
from connectors.mysql.server import Server, read_server
from engine.errors import SourceError
from engine.model.finding import Severity

OLD: Sequence[str] = ("5.6.51-log", "5.7.5", "5.5.5-10.1.48-MariaDB", "10.2.4-MariaDB")
UNTESTED: Sequence[str] = ("5.7.44", "5.5.5-10.5.29-MariaDB-log")
TESTED: Sequence[str] = ("8.0.15", "9.4.0", "10.6.0-MariaDB", "11.8.3-MariaDB")


@pytest.mark.parametrize("version", OLD)
async def test_a_server_whose_tables_cannot_be_described_is_refused(version: str) -> None:
    async def ask(_doing: str, query: str) -> Sequence[Sequence[str | None]]:
        assert "@@version" in query
        return [(version, "1", "1", "0")]

    with pytest.raises(SourceError, match="cannot be described"):
        await read_server(ask)


@pytest.mark.parametrize("version", [*UNTESTED, *TESTED])
def test_a_server_that_nobody_tried_is_warned_about(version: str) -> None:
    server = Server(Flavour.of(version), "", 1, gtid=True, log_bin=True)
    said = [f.severity for f in findings(server, {}) if f.check == "source-version"]
    assert said == ([Severity.WARNS] if version in UNTESTED else [])
