"""What Penstock stores on the target, overwritten by somebody else."""

import pytest

from tests.scenario.faults.conftest import Replicate
from tests.servers.postgres import Database

DAMAGED = {
    "the frontier": ("checkpoint SET position = 'A/' WHERE lane = 'frontier'", "frontier in"),
    "a table": ("checkpoint SET position = '' WHERE lane = 'public.t'", "public.t in"),
    "the timeline": (
        "checkpoint SET position = 'one' WHERE lane = 'source:branch'",
        "source:branch",
    ),
    "a chunk": ("chunk SET until = 'now'", "public.t, chunk 0"),
}


@pytest.mark.parametrize(("damage", "named"), DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_position_needs_a_person_and_says_which(
    replicate: Replicate, source: Database, target: Database, damage: str, named: str
) -> None:
    """Somebody wrote to our tables. Put back, it goes on as if nothing had been."""
    source.execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
    replication = replicate()
    replication.catch_up()
    table = damage.partition(" ")[0]
    target.execute(f"CREATE TABLE kept AS TABLE penstock.{table}; UPDATE penstock.{damage}")
    with replication.run() as run:
        assert run.wait() == 3, run.story()
    assert named in run.story()
    target.execute(
        f"TRUNCATE penstock.{table}; INSERT INTO penstock.{table} TABLE kept; DROP TABLE kept"
    )
    source.execute("INSERT INTO t VALUES (2)")
    replication.catch_up()
    assert replication.differences() == []
