"""Ten thousand transactions at random: what `make test` runs of `python -m tests.differential`."""

from pathlib import Path
from typing import Final

import pytest

from tests.conftest import Clusters
from tests.differential.run import between, differ
from tests.servers.postgres import Database

TRANSACTIONS: Final = 2_500
MARKERS: Final = 5

RUNS: Final = [
    ("table-parallel", "15", "18", 1),
    ("table-parallel", "18", "15", 2),
    ("transactional", "15", "18", 3),
    ("transactional", "18", "15", 4),
]
"""Mode, source, target, seed."""


# Joins the usual run once what it has found is mended: docs/progress.md, item 0.
@pytest.mark.nightly
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
