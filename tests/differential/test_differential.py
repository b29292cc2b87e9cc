"""Random work in each mode: what `make test` runs of `python -m tests.differential`. Ten thousand
transactions and more, each mode in either direction: `make chaos SUITES=differential`."""

from pathlib import Path
from typing import Final

import pytest

from tests.conftest import Clusters
from tests.differential.run import between, differ
from tests.servers.postgres import Database

TRANSACTIONS: Final = 1_250
MARKERS: Final = 3

RUNS: Final = [
    ("table-parallel", "15", "18", 1),
    ("transactional", "18", "15", 4),
    ("key-parallel", "15", "18", 5),
]
"""Mode, source, target, seed."""


@pytest.mark.parametrize(("mode", "source", "target", "seed"), RUNS)
def test_random_work_arrives_whole(
    clusters: Clusters, tmp_path: Path, mode: str, source: str, target: str, seed: int
) -> None:
    start = Database.create(clusters.need(source), f"differ_from_{seed}")
    end = Database.create(clusters.need(target), f"differ_to_{seed}")
    try:
        replication = between(tmp_path, start, end, mode)
        result = differ(replication, seed=seed, transactions=TRANSACTIONS, markers=MARKERS)
        assert result.differences == []
        assert result.transactions >= TRANSACTIONS - MARKERS
        assert result.met["in vain"] < result.transactions
    finally:
        start.drop()
        end.drop()
