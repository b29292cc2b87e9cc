"""Random work between families, as `python -m tests.differential --source mariadb-10.11` does it.
More of it, between more servers: `make chaos SUITES=differential-pairs`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import Clusters, MysqlServers
from tests.differential.pairs import between, differ
from tests.scenario.pairs.conftest import Ends
from tests.scenario.pairs.sides import MysqlSide

TRANSACTIONS: Final = 150
MARKERS: Final = 2

RUNS: Final = [
    ("mariadb-10.11", "18", "table-parallel", 1),
    ("mysql-9", "mariadb-10.11", "transactional", 2),
]
"""Source, target, mode, seed."""


@pytest.fixture
def ends(clusters: Clusters, mysql_servers: MysqlServers) -> Iterator[Ends]:
    ends = Ends(clusters, mysql_servers)
    yield ends
    ends.destroy()


@pytest.mark.parametrize(("source", "target", "mode", "seed"), RUNS)
def test_random_work_arrives_whole(
    ends: Ends, tmp_path: Path, source: str, target: str, mode: str, seed: int
) -> None:
    start, end = ends.source(source), ends.target(target)
    assert isinstance(start, MysqlSide)
    try:
        replication = between(tmp_path, start, end, mode)
        with start.database.server.settings_kept():
            result = differ(replication, seed=seed, transactions=TRANSACTIONS, markers=MARKERS)
        assert result.differences == []
        assert result.transactions >= TRANSACTIONS - MARKERS
        assert result.met["in vain"] < result.transactions
    finally:
        start.drop()
        end.drop()
