"""A database that would be carried into itself is noticed by what it is, not by its address."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenario.pairs.conftest import Ends
from tests.scenario.pairs.replication import PairReplication
from tests.scenario.pairs.sides import SCHEMA, PostgresSide, Side
from tests.servers.versions import MYSQL_VERSIONS, VERSIONS


@pytest.fixture(params=[VERSIONS[0], *MYSQL_VERSIONS])
def side(request: pytest.FixtureRequest, ends: Ends) -> Iterator[Side]:
    side = ends.source(request.param)
    side.execute(f"CREATE TABLE {SCHEMA}.t (id int PRIMARY KEY)")
    side.execute(f"INSERT INTO {SCHEMA}.t VALUES (1)")
    yield side
    side.drop()


def into_itself(side: Side, folder: Path) -> PairReplication:
    """Its other address leads to the same server."""
    replication = PairReplication.between(folder, "same", side, side)
    text = replication.file.read_text()
    first, second = text.split("[target]")
    replication.file.write_text(f"{first}[target]{second.replace('127.0.0.1', 'localhost')}")
    assert text != replication.file.read_text()
    return replication


def test_it_is_refused_before_anything_is_written(side: Side, tmp_path: Path) -> None:
    replication = into_itself(side, tmp_path)
    code, said = replication.command("check")
    assert code == 1
    assert "same-database" in said
    with replication.run("--stop-at=caught-up") as run:
        assert run.wait() == 2
    assert "tables would be carried into themselves" in run.ending
    schemas = side.execute("SELECT schema_name FROM information_schema.schemata")
    assert "penstock" not in {name for (name,) in schemas}


def test_cleanup_names_what_was_made_on_the_source(side: Side, ends: Ends, tmp_path: Path) -> None:
    target = ends.target(VERSIONS[-1])
    replication = PairReplication.between(tmp_path, "made", side, target)
    replication.catch_up()
    code, said = replication.command("cleanup", "--yes")
    target.drop()
    assert code == 0, said
    if isinstance(side, PostgresSide):
        assert "source: replication slot penstock_made\nsource: publication penstock_made" in said
    else:
        assert "source: nothing was made there" in said
        assert "slot" not in said
    assert "control rows of made" in said
