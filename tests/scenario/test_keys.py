"""`key-parallel` between real servers: one table by several sessions, and the way in and out."""

from collections.abc import Iterable

import pytest

from tests.scenario.conftest import Replicate
from tests.scenario.kills import applying
from tests.scenario.running import Replication, Run, until
from tests.scenario.workload import create
from tests.scenario.writers import Writers
from tests.servers.postgres import Database

BY_KEY = applying("key-parallel")
BY_TABLE = applying("table-parallel")

BUCKETS = [f"public.hot:{n}/16" for n in range(16)]

HOT = "CREATE TABLE hot (id bigint PRIMARY KEY, v text)"

FILL = "INSERT INTO hot SELECT g, 'v' FROM generate_series(1, 5000) g"


def streaming(replication: Replication) -> Run:
    run = replication.run()
    run.state("streaming")
    return run


def lanes(target: Database, table: str = "public.hot") -> list[str]:
    """The checkpoint rows of a table."""
    found = target.execute(
        "SELECT lane FROM penstock.checkpoint WHERE lane = %s OR lane LIKE %s", table, f"{table}:%"
    )
    return [str(lane) for (lane,) in found]


def test_a_large_transaction_of_one_table_is_written_by_several(
    replicate: Replicate, source: Database, target: Database
) -> None:
    source.execute(HOT)
    replication = replicate(apply={"mode": "key-parallel"})
    with streaming(replication) as run:
        source.execute(FILL)
        source.execute("UPDATE hot SET v = 'w' WHERE id % 3 = 0")
        source.execute("UPDATE hot SET id = id + 10000 WHERE id % 100 = 0")
        replication.await_applied(run)
        assert replication.differences() == []
        assert run.stop() == 0
    ((writers,),) = target.execute("SELECT count(DISTINCT xmin::text) FROM hot WHERE v = 'v'")
    assert int(str(writers)) > 1
    moved = target.execute("SELECT lane FROM penstock.checkpoint WHERE seq > 0 AND lane <> %s", "")
    assert {lane for (lane,) in moved} >= set(BUCKETS)


def test_keys_that_move_truncates_and_new_columns_come_in_their_place(
    replicate: Replicate, source: Database
) -> None:
    source.execute(HOT)
    replication = replicate(apply=BY_KEY)
    with streaming(replication) as run:
        for number in range(3):
            source.execute(
                f"INSERT INTO hot (id, v) SELECT g, 'a' FROM generate_series(1, {SOME}) g"
            )
            source.execute("UPDATE hot SET id = -id WHERE id % 7 = 0")
            source.execute(f"ALTER TABLE hot ADD COLUMN c{number} int DEFAULT 5")
            source.execute(f"UPDATE hot SET c{number} = id, id = id + {SOME} WHERE id % 5 = 0")
            if number < 2:
                source.execute("TRUNCATE hot")
        replication.await_applied(run)
        assert replication.differences() == []
        assert run.stop() == 0


SOME = 500


def test_which_tables_go_by_one_lane_is_said_with_the_reason(
    replicate: Replicate, source: Database
) -> None:
    source.execute(
        f"{HOT}; CREATE TABLE named (id int PRIMARY KEY, name text UNIQUE);"
        "CREATE TABLE priced (price numeric PRIMARY KEY);"
        "CREATE TABLE parent (id int PRIMARY KEY);"
        "CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES parent);"
        "CREATE TABLE whole (id int PRIMARY KEY); ALTER TABLE whole REPLICA IDENTITY FULL"
    )
    replication = replicate(apply=BY_KEY)
    replication.catch_up()
    code, said = replication.command("check")
    assert code == 0, said
    wanted = {
        "named": "unique index named_name_key beside the key",
        "priced": "key column price is of type numeric",
        "child": "a foreign key on the target ties it to public.parent",
        "whole": "its replica identity is FULL",
    }
    told = {line for line in said.splitlines() if "applied by one lane" in line}
    for table, reason in wanted.items():
        assert any(f"public.{table}: " in line and reason in line for line in told), said
    assert not any("public.hot" in line for line in told)
    with replication.run() as run:
        for table, reason in wanted.items():
            until(
                lambda t=table, r=reason: _logged(run.log, t, r),  # type: ignore[misc]
                f"a line about {table}",
                run=run,
            )
        assert run.stop() == 0


def _logged(lines: Iterable[str], table: str, reason: str) -> bool:
    return any("lanes.whole-table" in x and f"public.{table}" in x and reason in x for x in lines)


@pytest.mark.parametrize("killed", [False, True])
def test_the_mode_is_changed_between_two_runs(
    replicate: Replicate, source: Database, target: Database, killed: bool
) -> None:
    """There and back: at each start the positions are those of the other layout."""
    create(source)
    source.execute(HOT)
    name = "modes"
    with Writers(source) as writers:
        for apply in (BY_TABLE, BY_KEY, BY_TABLE, BY_KEY):
            replication = replicate(id=name, apply=apply)
            with streaming(replication) as run:
                until(lambda: len(lanes(target)) > 0, "lanes", run=run)
                source.execute(f"{FILL} ON CONFLICT (id) DO UPDATE SET v = hot.v || '.'")
                replication.await_applied(run)
                if apply is BY_KEY:
                    assert sorted(lanes(target)) == sorted(BUCKETS)
                if killed:
                    run.kill_supervisor()
                else:
                    assert run.stop() == 0
        writers.stop()
    replication = replicate(id=name, apply=BY_TABLE)
    replication.catch_up()
    replication.catch_up()
    assert replication.differences() == []
    assert lanes(target) == ["public.hot"]


def test_a_unique_constraint_made_later_has_the_table_applied_in_order(
    replicate: Replicate, source: Database, target: Database
) -> None:
    """No start is needed: the positions of the buckets stay, one session applies them all."""
    source.execute(HOT)
    replication = replicate(apply=BY_KEY)
    with streaming(replication) as run:
        source.execute("INSERT INTO hot SELECT g, 'v' || g FROM generate_series(1, 100) g")
        for database in (source, target):
            replication.await_applied(run)
            database.execute("ALTER TABLE hot ADD CONSTRAINT one UNIQUE (v)")
        run.says("unique index one beside the key")
        mark = run.mark
        for round_ in range(30):
            source.execute("DELETE FROM hot WHERE id <= 50")
            source.execute(
                "INSERT INTO hot SELECT g, 'v' || (50 - g + %s %% 2) FROM generate_series(1, 49) g",
                round_,
            )
        replication.await_tables(["hot"], run)
        assert "suspended" not in {e.get("state") for e in run.events[mark:]}
        assert run.stop() == 0


def test_a_refused_row_stops_the_whole_table_and_it_comes_back(
    replicate: Replicate, source: Database, target: Database
) -> None:
    source.execute(f"{HOT}; CREATE TABLE other (id int PRIMARY KEY)")
    replication = replicate(apply={**BY_KEY, "mend_interval": "1s"})
    with streaming(replication) as run:
        source.execute(FILL)
        replication.await_applied(run)
        target.execute("ALTER TABLE hot ADD CONSTRAINT small CHECK (id < 6000)")
        source.execute("INSERT INTO hot VALUES (7000, 'bad')")
        run.table("public.hot", "suspended")
        source.execute("UPDATE hot SET v = 'w' WHERE id < 400; INSERT INTO other VALUES (1)")
        replication.await_tables(["other"], run)
        assert target.execute("SELECT count(*) FROM hot WHERE v = 'w'") == [(0,)]
        mark = run.mark
        target.execute("ALTER TABLE hot DROP CONSTRAINT small")
        run.table("public.hot", "streaming", after=mark)
        replication.await_tables(["hot"], run)
        assert run.stop() == 0
