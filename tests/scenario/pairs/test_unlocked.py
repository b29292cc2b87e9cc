"""A MySQL source whose user may not take the lock of the load: killed while writers change the very
tables that are read."""

import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.scenario.pairs.conftest import Ends
from tests.scenario.pairs.replication import PairReplication
from tests.scenario.pairs.sides import SCHEMA, MysqlSide, Side
from tests.scenario.running import Run
from tests.scenario.workload import LOAD_SCHEMA, TABLES, broken_rules, create
from tests.scenario.writers import Writers
from tests.servers.versions import MYSQL_VERSIONS

SEED = random.SystemRandom().randrange(1 << 32)

USER: Final = "unlocked"

WRITERS: Final = 3
SECONDS: Final = 1.5
"""At most, from a start to its kill: some are in the load."""


@pytest.fixture
def source(ends: Ends) -> Iterator[MysqlSide]:
    name = next((name for name in MYSQL_VERSIONS if name.startswith("mysql")), None)
    if name is None:
        pytest.skip("MariaDB's snapshots need no lock")
    side = ends.source(name)
    assert isinstance(side, MysqlSide)
    server = side.database.server
    server.execute(
        f"DROP USER IF EXISTS {USER}; CREATE USER {USER}; GRANT SELECT ON {SCHEMA}.* TO {USER};"
        f"GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO {USER}"
    )
    side.url = server.url(user=USER)
    yield side
    server.execute(f"DROP USER {USER}")
    side.drop()


@pytest.fixture
def target(ends: Ends) -> Iterator[Side]:
    side = ends.target("18")
    yield side
    side.drop()


@pytest.mark.parametrize("kills", [2, pytest.param(12, marks=pytest.mark.nightly)])
def test_killed_in_a_load_without_lock_it_loses_and_repeats_nothing(
    source: MysqlSide, target: Side, tmp_path: Path, kills: int
) -> None:
    create(source.database, loading=True)
    replication = PairReplication.between(
        tmp_path, "unlocked", source, target, load={"rows_per_chunk": 1_000}
    )
    chosen = random.Random(SEED)
    runs: list[Run] = []
    try:
        with Writers(source.database, count=WRITERS, seed=SEED, loading=True) as writers:
            for _ in range(kills):
                with replication.run() as run:
                    run.event("started")
                    time.sleep(chosen.uniform(0, SECONDS))
                    run.kill_supervisor()
                runs.append(run)
            with replication.run() as run:
                run.state("streaming")
                assert run.stop() == 0
            runs.append(run)
        assert any("a snapshot of its own" in line for run in runs for line in run.log)
        replication.catch_up()
        assert replication.differences((*TABLES, *LOAD_SCHEMA)) == []
        assert broken_rules(source.database) == broken_rules(target.database) == []
        assert writers.committed
    except BaseException as error:
        error.add_note(f"seed {SEED}")
        raise
