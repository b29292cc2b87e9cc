"""A kill at every named crash point, one after the other on one replication."""

from tests.scenario.conftest import Replicate
from tests.scenario.failpoints import die_at, points
from tests.scenario.kills import applying
from tests.scenario.workload import broken_rules, create
from tests.scenario.writers import Writers


def test_a_kill_at_every_failpoint_loses_and_repeats_nothing(replicate: Replicate) -> None:
    replication = replicate(
        load={"rows_per_chunk": 1000, "parallel_tables": 2},
        apply=applying("key-parallel"),  # which has points of its own beside all others
        source={"without_identity": "insert-only"},
    )
    create(replication.source, loading=True)
    with Writers(replication.source, loading=True):
        for name in points():
            die_at(replication, name)
    replication.catch_up()
    assert replication.differences() == []
    assert broken_rules(replication.target) == []


def test_an_error_in_the_middle_of_a_batch_is_survived(replicate: Replicate) -> None:
    """The connection to the target is in an unknown state then, and is not used again."""
    replication = replicate()
    create(replication.source)
    replication.catch_up()
    with (
        Writers(replication.source),
        replication.run(PENSTOCK_FAILPOINT="apply.before-commit:3:error") as run,
    ):
        assert "failpoint" not in run.event("restarting")["reason"]  # an OSError's text may quote
        run.kill_supervisor()
    replication.catch_up()
    assert replication.differences() == []
