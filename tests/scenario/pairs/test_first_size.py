"""A first start from a MySQL source reckons its size, and carries what was changed meanwhile."""

from pathlib import Path
from typing import Final

import pytest

from tests.scenario.pairs.conftest import Ends
from tests.scenario.pairs.replication import PairReplication
from tests.scenario.pairs.sides import SCHEMA
from tests.scenario.running import until
from tests.servers.versions import MYSQL_VERSIONS

COLUMNS: Final = "(id int PRIMARY KEY, value varchar(40))"


@pytest.mark.parametrize("kind", ["cdc", "full-load-and-cdc"])
def test_a_first_start_reckons_its_size_and_carries_what_comes(
    ends: Ends, tmp_path: Path, kind: str
) -> None:
    source, target = ends.source(MYSQL_VERSIONS[0]), ends.target("18")
    try:
        source.database.execute(f"CREATE TABLE t {COLUMNS}")
        if kind == "cdc":
            target.database.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
            target.database.execute(
                f"CREATE TABLE {SCHEMA}.t (id int PRIMARY KEY, value varchar(40))"
            )
        replication = PairReplication.between(
            tmp_path,
            f"first-{kind}",
            source,
            target,
            replication={"type": kind},
            capacity={"max": 4},
        )
        with replication.run() as run:
            run.state("streaming")
            run.says("capacity begins with 1 unit: memory")
            for number in range(5):
                source.database.execute(f"INSERT INTO t VALUES ({number}, 'x')")
            source.database.execute("ALTER TABLE t ADD COLUMN more int")
            source.database.execute("UPDATE t SET more = 7")
            until(lambda: not replication.differences(["t"]), "t to be equal", run=run)
            assert run.stop() == 0
        assert replication.differences(["t"]) == []
    finally:
        source.drop()
        target.drop()
