"""One table that does not move on the target, and all the others that must."""

from typing import Final

import pytest

from tests.scenario.beside import NEIGHBOURS, SCHEMA, Course, locked
from tests.scenario.conftest import Replicate, one_pair
from tests.servers.postgres import Database

TRANSACTIONS: Final = 300

WIDE: Final = (
    "INSERT INTO held SELECT -g - {first}, repeat(md5(g::text), 250)"
    " FROM generate_series(1, {count}) g"
)
"""8 kB each."""

MANY: Final = "DO $$ BEGIN FOR n IN 0 .. 11 LOOP {}; COMMIT; END LOOP; END $$".format(
    WIDE.format(first="n * 100", count=100)
)
"""10 MB in a dozen transactions: more than a lane's share of a queue of 16 MiB."""

HUGE: Final = WIDE.format(first=0, count=4_000)
"""32 MB in one transaction: more than the whole queue."""


@one_pair
@pytest.mark.parametrize(
    "work",
    [
        pytest.param(HUGE, id="a huge transaction"),
        pytest.param(MANY, id="many transactions", marks=pytest.mark.nightly),
    ],
)
def test_neighbours_go_on_to_the_end_while_a_lane_is_stuck_and_overflows(
    replicate: Replicate, source: Database, target: Database, work: str
) -> None:
    """What only waits on our disk is not durable: the source keeps it until the lane is through."""
    source.execute(SCHEMA)
    replication = replicate(capacity={"unit_memory": "128MiB"})
    with replication.run() as run:
        run.state("streaming")
        with locked(target):
            source.execute("UPDATE held SET value = 'waits' WHERE id = 0")
            waits = str(source.execute("SELECT pg_current_wal_insert_lsn()")[0][0])
            source.execute(work)
            run.says("what waits in it goes to disk")
            Course(replication, run, TRANSACTIONS).seconds()
            assert replication.differences(NEIGHBOURS) == []
            assert target.execute("SELECT count(*) FROM held") == [(1,)]
            assert not replication.confirmed_reaches(waits)
        replication.await_applied(run)
        assert run.stop() == 0
    assert replication.differences() == []


@one_pair
def test_a_table_that_the_target_refuses_holds_neither_its_neighbours_nor_the_log(
    replicate: Replicate, source: Database, target: Database
) -> None:
    source.execute(SCHEMA)
    replication = replicate(apply={"mend_interval": "1s"})
    with replication.run() as run:
        run.state("streaming")
        target.execute("ALTER TABLE held ADD CONSTRAINT no CHECK (id <= 0)")
        course = Course(replication, run, TRANSACTIONS)
        course.seconds()
        run.table("public.held", "suspended")
        course.seconds()
        replication.await_applied(run)
        assert replication.differences(NEIGHBOURS) == []
        assert replication.state("public.held") == "suspended"
        target.execute("ALTER TABLE held DROP CONSTRAINT no")
        run.table("public.held", "streaming", after=run.mark)
        replication.await_tables(["held"], run)
        assert run.stop() == 0
    assert replication.differences() == []
