"""TLS to both servers: every session is encrypted and checked, or refused with the reason."""

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import pytest

from tests.conftest import need
from tests.scenario.conftest import Majors
from tests.scenario.faults.conftest import Replicate
from tests.scenario.faults.watched import ROW
from tests.scenario.running import until
from tests.servers.certificates import END, Authority
from tests.servers.postgres import Cluster, Database

TABLE: Final = f"""
CREATE TABLE item (id int PRIMARY KEY, note text);
INSERT INTO item SELECT g, '{ROW}' FROM generate_series(1, 10) g
"""
PAST: Final = dt.datetime(2021, 1, 1, tzinfo=dt.UTC)


@dataclass
class Encrypted:
    """A server with TLS, whose certificate may be replaced."""

    cluster: Cluster
    authority: Authority

    def present(self, *hosts: str, until: dt.datetime = END) -> None:
        """Show a certificate for these names from now on."""
        for file in self.authority.sign(self.cluster.data, *hosts, until=until):
            self.cluster.give(file)
        self.cluster.configure(ssl="on")
        self.cluster.restart()


@pytest.fixture(scope="module")
def encrypted(majors: Majors, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Encrypted]:
    cluster = need(majors[0], lambda: Cluster(majors[0]))
    cluster.start()
    cluster.access("hostssl all all 127.0.0.1/32 trust")
    yield Encrypted(cluster, Authority.create(tmp_path_factory.mktemp("authority")))
    cluster.destroy()


@pytest.fixture
def shop(encrypted: Encrypted) -> Iterator[Database]:
    encrypted.present("127.0.0.1", "localhost")
    database = Database.create(encrypted.cluster, "shop")
    encrypted.cluster.execute(TABLE, database="shop")
    yield database
    encrypted.present("127.0.0.1")
    encrypted.cluster.drop_database("shop")


Place = Callable[..., str]


@pytest.fixture
def place(encrypted: Encrypted) -> Place:
    def url(database: str = "shop", **options: str) -> str:
        return f"{encrypted.cluster.dsn(database)}?{urlencode(options)}"

    return url


def test_every_session_of_a_replication_is_encrypted(
    shop: Database, encrypted: Encrypted, replicate: Replicate, place: Place
) -> None:
    """Source and target are one server here: catalog, load, stream, apply and control sessions."""
    encrypted.cluster.execute("CREATE DATABASE copy")
    trusted = {"sslmode": "verify-full", "sslrootcert": str(encrypted.authority.file)}
    replication = replicate(source_dsn=place(**trusted), target_dsn=place("copy", **trusted))
    try:
        with replication.run() as run:
            run.state("streaming")
            plain = encrypted.cluster.execute(
                "SELECT count(*) FILTER (WHERE s.ssl), count(*) FILTER (WHERE NOT s.ssl)"
                " FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid)"
                " WHERE a.application_name LIKE 'penstock%'"
            )
            assert plain[0][0] > 4
            assert plain[0][1] == 0
            encrypted.cluster.execute(f"INSERT INTO item VALUES (11, '{ROW}')", database="shop")
            count = "SELECT count(*) FROM item"
            until(
                lambda: encrypted.cluster.execute(count, database="copy") == [(11,)],
                "rows",
                run=run,
            )
            assert run.stop() == 0
        code, text = replication.command("compare")
        assert code == 0, text
        code, text = replication.command("cleanup", "--yes")
        assert code == 0, text
    finally:
        encrypted.cluster.drop_database("copy")


@pytest.mark.parametrize("side", ["source", "target"])
@pytest.mark.parametrize("wrong", ["authority", "name", "expired", "nothing-trusted"])
def test_a_server_that_cannot_prove_who_it_is_is_refused(
    shop: Database,
    encrypted: Encrypted,
    replicate: Replicate,
    place: Place,
    tmp_path: Path,
    side: str,
    wrong: str,
) -> None:
    options = {"sslmode": "verify-full", "sslrootcert": str(encrypted.authority.file)}
    if wrong == "authority":
        options["sslrootcert"] = str(Authority.create(tmp_path, "other").file)
    elif wrong == "name":
        encrypted.present("elsewhere.example")
    elif wrong == "expired":
        encrypted.present("127.0.0.1", until=PAST)
    else:
        options["sslrootcert"] = str(tmp_path / "none.crt")
    replication = replicate(**{f"{side}_dsn": place(**options)})
    last = replication.refused()
    assert side in last
    assert "certificate" in last
    code, text = replication.command("check")
    assert code == 1
    assert "certificate" in text


@pytest.mark.parametrize("system", [{"sslrootcert": "system"}, {"sslmode": "verify-full"}])
def test_what_the_machine_trusts_is_trusted_by_both_drivers(
    shop: Database,
    encrypted: Encrypted,
    replicate: Replicate,
    place: Place,
    monkeypatch: pytest.MonkeyPatch,
    system: dict[str, str],
) -> None:
    """The variable stands for the authorities that the machine was given."""
    monkeypatch.setenv("SSL_CERT_FILE", str(encrypted.authority.file))
    encrypted.cluster.execute("CREATE DATABASE copy")
    replication = replicate(source_dsn=place(**system), target_dsn=place("copy", **system))
    try:
        code, text = replication.command("check")
        assert code == 0, text
        replication.catch_up()
        code, text = replication.command("compare")
        assert code == 0, text
        code, text = replication.command("cleanup", "--yes")
        assert code == 0, text
    finally:
        encrypted.cluster.drop_database("copy")


@pytest.mark.parametrize("side", ["source", "target"])
@pytest.mark.parametrize("system", [{"sslrootcert": "system"}, {"sslmode": "verify-full"}])
def test_a_server_that_the_machine_does_not_trust_is_refused(
    shop: Database, replicate: Replicate, place: Place, side: str, system: dict[str, str]
) -> None:
    replication = replicate(**{f"{side}_dsn": place(**system)})
    last = replication.refused()
    assert side in last
    assert "certificate verify failed" in last
    code, text = replication.command("check")
    assert code == 1
    assert "certificate verify failed" in text


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_server_without_tls_is_refused_where_it_is_required(
    replicate: Replicate, source: Database, target: Database, side: str
) -> None:
    database = source if side == "source" else target
    url = database.cluster.dsn(database.name, sslmode="require")
    last = replicate(**{f"{side}_dsn": url}).refused()
    assert side in last
    assert "SSL" in last or "TLS" in last
