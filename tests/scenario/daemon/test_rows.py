"""Rows that the target refuses, as the daemon tells of them."""

from pathlib import Path

from tests.scenario.daemon.replicated import replicated, start
from tests.scenario.daemon.serving import Serving
from tests.servers.postgres import Database


def test_rows_that_were_set_aside_are_in_the_statistics_of_their_table(
    tmp_path: Path, source: Database, target: Database
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY, v int)")
    target.execute("CREATE TABLE t (id int PRIMARY KEY, v int CHECK (v < 100))")
    settings = {"ErrorBehavior": {"ApplyErrorInsertPolicy": "LOG_ERROR"}}
    with Serving(tmp_path) as daemon:
        it = replicated(daemon, "rows", source, target, settings=settings)
        start(daemon, it.arn)
        daemon.await_status(it.arn, "running")
        source.execute("INSERT INTO t SELECT g, 98 + g FROM generate_series(1, 3) g")
        dms = daemon.client()

        def told() -> bool:
            answer = dms.describe_replication_table_statistics(ReplicationConfigArn=it.arn)
            details = "2 rows were not applied, and are kept in the quarantine table"
            return [
                (table.get("ValidationStateDetails"), table["AppliedInserts"])
                for table in answer["ReplicationTableStatistics"]
            ] == [(details, 1)]

        daemon.until(told, "the rows that were set aside")
        assert target.execute("SELECT id FROM t") == [(1,)]
        assert daemon.stop() == 0
