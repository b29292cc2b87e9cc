"""The oldest release as a source: no binary option, so the stream is text."""

from collections.abc import Callable

import pytest

from tests.scenario.faults.watched import Watched
from tests.scenario.running import until
from tests.scenario.workload import SCHEMA, Writers, broken_rules
from tests.servers.postgres import Cluster, Database


@pytest.mark.nightly
def test_postgresql_13_streams_in_text_mode(
    private_cluster: Callable[..., Cluster], target: Database, tmp_path: object
) -> None:
    source = Database.create(private_cluster("13"), "old")
    source.execute(SCHEMA)
    replication = Watched.between(tmp_path, "old-release", source, target)  # type: ignore[arg-type]
    with replication.run() as run, Writers(source) as writers:
        run.state("streaming")
        count = writers.committed
        until(lambda: writers.committed > count + 300, "transactions", run=run)
        writers.stop()
        replication.await_applied(run)
        assert run.stop() == 0, run.story()
    assert replication.differences() == []
    assert broken_rules(target) == []
