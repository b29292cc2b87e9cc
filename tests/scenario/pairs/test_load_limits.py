"""Our core as the limit of a load between real servers: rows are made ready by plain Python."""

from pathlib import Path
from typing import Final

from tests.scenario.pairs.conftest import Ends
from tests.scenario.pairs.replication import PairReplication
from tests.scenario.scraped import METRICS, Gauges
from tests.servers.versions import MYSQL_VERSIONS

COLUMNS: Final = 40
TABLES: Final = 3
DOUBLINGS: Final = 18
"""262,144 rows a table: ten seconds of a core, of which five are enough for the verdict."""

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
        replication = PairReplication.between(tmp_path, "load-limit", source, target)
        with replication.run(METRICS, PENSTOCK_PURE_PYTHON="1") as run:
            gauges = Gauges.of(run, "shop")
            run.says(WORDS[0])
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
