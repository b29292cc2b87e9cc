"""A source is never hurt: its log is not kept, its own statements never fail because of us."""

from typing import Final

from tests.scenario.faults.conftest import Replicate
from tests.scenario.faults.watched import ROW
from tests.scenario.running import until
from tests.servers.postgres import Cluster, Database

NOISE: Final = "INSERT INTO noise SELECT repeat('x', 1000) FROM generate_series(1, 8000)"
"""About 8 MB of log."""

KEPT_BYTES_MAX: Final = 2_000_000


def test_an_idle_database_never_holds_log(
    source: Database, source_server: Cluster, replicate: Replicate
) -> None:
    """Log of another database and of a table that is not carried is let go."""
    source.execute("CREATE TABLE item (id int PRIMARY KEY); CREATE TABLE noise (x text)")
    source_server.execute("CREATE TABLE IF NOT EXISTS noise (x text)")
    source_server.configure(autovacuum="off")  # it takes transaction ids too
    source_server.restart()
    replication = replicate(mapping={"include": ["public.item"]})
    kept = (
        "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)"
        " FROM pg_replication_slots WHERE slot_name = %s"
    )
    with replication.run() as run:
        run.state("streaming")
        newest = source.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text")
        for _ in range(3):
            source_server.execute(NOISE)
            source.execute(NOISE)
        until(
            lambda: (
                source.execute("CHECKPOINT") == []
                and source.execute(kept, replication.slot)[0][0] < KEPT_BYTES_MAX
            ),
            "the log to be let go",
            run=run,
        )
        later = source.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text")
        assert int(later[0][0]) - int(newest[0][0]) == 6, "something was written to the source"
        assert run.stop() == 0
    source_server.configure(autovacuum="on")
    source_server.reload()
    source_server.execute("DROP TABLE noise")


IDENTITIES: Final = """
CREATE TABLE with_key (id int PRIMARY KEY, x text);
CREATE TABLE without_key (id int, x text);
CREATE TABLE full_row (id int, x text);
ALTER TABLE full_row REPLICA IDENTITY FULL;
CREATE TABLE by_index (id int NOT NULL, x text);
CREATE UNIQUE INDEX by_index_id ON by_index (id);
ALTER TABLE by_index REPLICA IDENTITY USING INDEX by_index_id;
CREATE TABLE said_nothing (id int PRIMARY KEY, x text);
ALTER TABLE said_nothing REPLICA IDENTITY NOTHING;
CREATE TABLE deferred_key (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, x text);
CREATE TABLE parts (id int PRIMARY KEY, x text) PARTITION BY RANGE (id);
CREATE TABLE parts_low PARTITION OF parts FOR VALUES FROM (0) TO (50);
CREATE TABLE parts_high PARTITION OF parts FOR VALUES FROM (50) TO (100);
ALTER TABLE parts_high REPLICA IDENTITY NOTHING;
CREATE TABLE keyless_parts (id int, x text) PARTITION BY RANGE (id);
CREATE TABLE keyless_low PARTITION OF keyless_parts FOR VALUES FROM (0) TO (100);
CREATE UNLOGGED TABLE forgetful (id int, x text);
CREATE TABLE parent (id int PRIMARY KEY, x text);
CREATE TABLE child () INHERITS (parent)
"""

NAMES: Final = (
    "with_key", "without_key", "full_row", "by_index", "said_nothing", "deferred_key", "parts",
    "keyless_parts", "forgetful", "parent", "child",
)  # fmt: skip


def _work(source: Database, round_: int) -> None:
    """What an application does to every table; raises what the server refuses."""
    first = round_ * 10
    for name in NAMES:
        source.execute(
            f"INSERT INTO {name} SELECT g, '{ROW}' FROM generate_series({first}, {first + 9}) g"
        )
        for each in (first, first + 1):
            source.execute(f"UPDATE {name} SET x = x || 'y' WHERE id = {each}")
        source.execute(f"DELETE FROM {name} WHERE id = {first + 2}")
    source.execute("UPDATE parts SET x = 'high' WHERE id % 10 = 4")


def test_the_applications_statements_never_fail(source: Database, replicate: Replicate) -> None:
    source.execute(IDENTITIES)
    source.execute("INSERT INTO parts SELECT g, 'high' FROM generate_series(90, 99) g")
    _work(source, 0)
    for insert_only in (False, True):
        policy = {"without_identity": "insert-only"} if insert_only else {}
        replication = replicate(source=policy) if policy else replicate()
        base = 4 if insert_only else 1
        if insert_only:
            file = replication.file
            file.write_text(file.read_text() + '[load]\nprepare = "drop-and-create"\n')
        with replication.run() as run:
            _work(source, base)  # perhaps while it is loading
            run.state("streaming")
            _work(source, base + 1)
            replication.await_applied(run)
            assert run.stop() == 0, run.story()
        _work(source, base + 2)
        replication.catch_up()
        carried = ["with_key", "full_row", "by_index"]
        replication.await_tables(carried)
        code, text = replication.command("cleanup", "--yes")
        assert code == 0, text
        _work(source, base + 3 if insert_only else 0 + 8)
