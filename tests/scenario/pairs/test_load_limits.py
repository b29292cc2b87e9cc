"""Our core as the limit of a load between real servers: rows are made ready by plain Python."""

from pathlib import Path
from typing import Final

from engine.capacity.sample import Cause
from tests.scenario.pairs.conftest import Ends
from tests.scenario.pairs.replication import PairReplication
from tests.scenario.scraped import METRICS, Gauges
from tests.servers.versions import MYSQL_VERSIONS

COLUMNS: Final = 40
TABLES: Final = 4
DOUBLINGS: Final = 17
"""131,072 rows a table: some tens of seconds of our core, and it is stopped once it has told."""

WORDS: Final = ("our core is the limit", "making the source's rows ready", "compile the loops")


def test_our_core_as_the_limit_of_a_load_is_told_and_what_it_does(
    ends: Ends, tmp_path: Path
) -> None:
    source, target = ends.source(MYSQL_VERSIONS[0]), ends.target("18")
    columns = ", ".join(f"c{number} int NOT NULL DEFAULT {number}" for number in range(COLUMNS))
    try:
        for number in range(TABLES):
            table = f"t{number}"
            source.database.execute(
                f"CREATE TABLE {table} (id int AUTO_INCREMENT PRIMARY KEY, {columns})"
            )
            source.database.execute(f"INSERT INTO {table} VALUES ()")
            for _ in range(DOUBLINGS):
                source.database.execute(f"INSERT INTO {table} (c0) SELECT c0 FROM {table}")
        replication = PairReplication.between(
            tmp_path, "load-limit", source, target, replication={"type": "full-load"}
        )
        with replication.run(METRICS, PENSTOCK_PURE_PYTHON="1") as run:
            gauges = Gauges.of(run, "shop")
            run.await_event(
                lambda e: e["event"] == "metrics" and e.get("verdict") == Cause.CPU.value,
                f"the verdict {Cause.CPU}",
            )
            gauges.scrape()
            spent = {
                stage: gauges.value("stage_seconds_total", stage=f"load-{stage}") or 0.0
                for stage in ("source", "decode", "target")
            }
            run.stop()
        lines = [line for line in run.log if "load.verdict" in line]
        assert any(all(word in line for word in WORDS) for line in lines), lines
        assert spent["decode"] > 1.0, spent
    finally:
        source.drop()
        target.drop()
