"""The size of a replication that has never run, and of one that has."""

from tests.scenario.conftest import Replicate, one_pair
from tests.scenario.running import Run


def decisions(run: Run, rule: str) -> list[str]:
    return [e["reason"] for e in run.events if e["event"] == "capacity" and e["rule"] == rule]


@one_pair
def test_a_first_start_reckons_its_size_and_a_restart_goes_on_with_what_was_decided(
    replicate: Replicate,
) -> None:
    replication = replicate(capacity={"min": 2, "max": 8})
    replication.source.execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
    with replication.run() as run:
        run.state("streaming")
        (reason,) = decisions(run, "first")
        assert run.stop() == 0
    assert reason.startswith("memory: 80 MiB + 1 copier")
    assert "queue: " in reason
    assert "appliers: " in reason
    assert any("capacity begins with 2 units: memory" in line for line in run.log)
    with replication.run() as again:
        again.state("streaming")
        assert again.stop() == 0
    assert decisions(again, "first") == []
    assert replication.differences() == []
