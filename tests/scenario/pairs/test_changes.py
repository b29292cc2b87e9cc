"""Schema changes, reloads and new tables between families, while rows come."""

import random

import pytest

from tests.scenario.pairs.conftest import Replicate
from tests.scenario.pairs.replication import PairReplication
from tests.scenario.pairs.sides import SCHEMA, Side, content
from tests.scenario.running import until
from tests.scenario.workload import create
from tests.scenario.writers import Writers

pytestmark = pytest.mark.in_turn("pair", 2)

SEED = random.SystemRandom().randrange(1 << 32)


def same(replication: PairReplication, table: str, columns: str) -> bool:
    here = content(replication.source, table, columns)
    try:
        return here == content(replication.target, table, columns)
    except Exception:  # noqa: BLE001 - a column or the table has not come yet
        return False


def altered(side: Side, *statements: str) -> None:
    for statement in statements:
        side.execute(statement.replace("t ", f"{SCHEMA}.t ", 1))


def test_schema_changes_arrive_in_their_place_also_across_a_restart(
    replicate: Replicate,
) -> None:
    replication = replicate()
    source = replication.source
    source.execute(f"CREATE TABLE {SCHEMA}.t (id int PRIMARY KEY, a varchar(10), b int)")
    source.execute(f"INSERT INTO {SCHEMA}.t VALUES (1, 'one', 1), (2, 'two', 2)")
    replication.catch_up()
    altered(
        source,
        "INSERT INTO t (id, a, b) VALUES (3, 'three', 3)",
        "ALTER TABLE t ADD COLUMN c int",
        "ALTER TABLE t ADD COLUMN d varchar(20) DEFAULT 'it''s' NOT NULL",
        "INSERT INTO t (id, a, b, c, d) VALUES (4, 'four', 4, 40, 'x')",
        "ALTER TABLE t RENAME COLUMN b TO e",
        "UPDATE t SET e = 20 WHERE id = 2",
    )
    with replication.run("--stop-at=caught-up") as run:
        assert run.wait() == 0, run.story()
    assert same(replication, "t", "id, a, e, c, d")
    altered(
        source,
        "ALTER TABLE t DROP COLUMN a",
        "INSERT INTO t (id, e, c, d) VALUES (5, 50, 500, 'five')",
        "UPDATE t SET d = 'changed' WHERE id = 1",
        "DELETE FROM t WHERE id = 3",
    )
    replication.catch_up()
    assert same(replication, "t", "id, e, c, d")


def test_a_change_of_type_that_keeps_every_value_is_followed(replicate: Replicate) -> None:
    replication = replicate()
    source = replication.source
    source.execute(f"CREATE TABLE {SCHEMA}.t (id int PRIMARY KEY, a varchar(10), n smallint)")
    source.execute(f"INSERT INTO {SCHEMA}.t VALUES (1, 'one', 1)")
    replication.catch_up()
    modify = "MODIFY COLUMN {} {}" if source.engine != "postgres" else "ALTER COLUMN {} TYPE {}"
    altered(
        source,
        f"ALTER TABLE t {modify.format('a', 'varchar(200)')}",
        f"ALTER TABLE t {modify.format('n', 'bigint')}",
        f"INSERT INTO t (id, a, n) VALUES (2, '{'long' * 40}', 5000000000)",
    )
    if source.engine != "postgres":
        altered(
            source,
            "ALTER TABLE t MODIFY COLUMN n bigint unsigned",
            f"INSERT INTO t (id, n) VALUES (3, {(1 << 64) - 1})",
            "ALTER TABLE t MODIFY COLUMN a varchar(300) CHARACTER SET utf8mb3",
            f"INSERT INTO t (id, a, n) VALUES (4, '{'even longer' * 20}', 4)",
        )
    replication.catch_up()
    assert same(replication, "t", "id, a, n")


def test_a_change_that_computes_values_anew_asks_for_a_reload_and_gets_it(
    replicate: Replicate,
) -> None:
    replication = replicate()
    source = replication.source
    source.execute(f"CREATE TABLE {SCHEMA}.t (id int PRIMARY KEY, a varchar(10))")
    source.execute(f"INSERT INTO {SCHEMA}.t VALUES (1, '1'), (2, '2')")
    replication.catch_up()
    if source.engine == "postgres":
        altered(source, "ALTER TABLE t ALTER COLUMN a TYPE int USING a::int * 2")
    else:
        altered(source, "ALTER TABLE t MODIFY COLUMN a int")
    with replication.run() as run:
        run.says("table stopped")
        assert run.stop() == 0
    # The target's column has to become what the source's is, which nobody does in silence.
    type_ = (
        "ALTER COLUMN a TYPE int USING a::int"
        if replication.target.engine == "postgres"
        else ("MODIFY COLUMN a int")
    )
    replication.target.execute(f"ALTER TABLE {SCHEMA}.t {type_}")
    with replication.run() as run:
        run.state("streaming")
        code, said = replication.command("reload", f"{SCHEMA}.t")
        assert code == 0, said
        until(lambda: same(replication, "t", "id, a"), "the table to be loaded again", run=run)
        source.execute(f"INSERT INTO {SCHEMA}.t VALUES (3, 3)")
        until(lambda: same(replication, "t", "id, a"), "what comes after the reload", run=run)
        assert run.stop() == 0


def test_a_new_table_is_loaded_while_others_stream(replicate: Replicate) -> None:
    replication = replicate()
    source = replication.source
    create(source.database)
    with replication.run() as run:
        run.state("streaming")
        with Writers(source.database, seed=SEED):
            source.execute(f"CREATE TABLE {SCHEMA}.late (id <auto> PRIMARY KEY, note varchar(20))")
            source.execute(f"INSERT INTO {SCHEMA}.late (note) VALUES ('a'), ('b')")
            run.table(f"{SCHEMA}.late", "streaming")
            source.execute(f"INSERT INTO {SCHEMA}.late (note) VALUES ('c')")
            source.execute(f"UPDATE {SCHEMA}.late SET note = 'd' WHERE note = 'a'")
            until(lambda: same(replication, "late", "id, note"), "the new table", run=run)
        assert run.stop() == 0
    replication.catch_up()
    assert replication.differences() == []


def test_a_table_is_reloaded_while_its_writers_run(replicate: Replicate) -> None:
    replication = replicate()
    source = replication.source
    create(source.database)
    with replication.run() as run:
        run.state("streaming")
        with Writers(source.database, seed=SEED):
            for table in ("item", "lost_and_found", "step"):
                mark = run.mark
                code, said = replication.command("reload", f"{SCHEMA}.{table}")
                assert code == 0, said
                run.table(f"{SCHEMA}.{table}", "loading", after=mark)
                run.table(f"{SCHEMA}.{table}", "streaming", after=mark)
        assert run.stop() == 0
    replication.catch_up()
    assert replication.differences() == []


def test_a_truncate_empties_the_target(replicate: Replicate) -> None:
    replication = replicate()
    source = replication.source
    source.execute(f"CREATE TABLE {SCHEMA}.t (id int PRIMARY KEY)")
    source.execute(f"INSERT INTO {SCHEMA}.t VALUES (1), (2)")
    replication.catch_up()
    altered(source, "INSERT INTO t VALUES (3)", "TRUNCATE TABLE t ", "INSERT INTO t VALUES (4)")
    replication.catch_up()
    assert same(replication, "t", "id")


@pytest.mark.parametrize("tool", ["gh-ost", "pt-online-schema-change"])
def test_a_table_swapped_in_by_an_online_tool_is_whole(replicate: Replicate, tool: str) -> None:
    replication = replicate()
    source = replication.source
    if source.engine == "postgres":
        pytest.skip("these tools are for MySQL")
    source.execute(f"CREATE TABLE {SCHEMA}.t (id int PRIMARY KEY, a varchar(10))")
    source.execute(f"INSERT INTO {SCHEMA}.t VALUES (1, 'one'), (2, 'two')")
    with replication.run() as run:
        run.state("streaming")
        new, old = ("_t_gho", "_t_del") if tool == "gh-ost" else ("_t_new", "_t_old")
        source.execute(f"CREATE TABLE {SCHEMA}.{new} LIKE {SCHEMA}.t")
        source.execute(f"ALTER TABLE {SCHEMA}.{new} ADD COLUMN b int NOT NULL DEFAULT 5")
        source.execute(f"INSERT INTO {SCHEMA}.{new} (id, a) SELECT id, a FROM {SCHEMA}.t")
        if tool == "gh-ost":  # it takes long mostly: its table is carried by then
            run.table(f"{SCHEMA}.{new}", "streaming")
        source.execute(f"INSERT INTO {SCHEMA}.t VALUES (3, 'three')")
        source.execute(f"INSERT INTO {SCHEMA}.{new} (id, a) VALUES (3, 'three')")
        source.execute(f"RENAME TABLE {SCHEMA}.t TO {SCHEMA}.{old}, {SCHEMA}.{new} TO {SCHEMA}.t")
        source.execute(f"DROP TABLE {SCHEMA}.{old}")
        source.execute(f"INSERT INTO {SCHEMA}.t (id, a, b) VALUES (4, 'four', 44)")
        until(lambda: same(replication, "t", "id, a, b"), "the new table's rows", run=run)
        source.execute(f"UPDATE {SCHEMA}.t SET b = 6 WHERE id = 1")
        until(lambda: same(replication, "t", "id, a, b"), "what comes after the swap", run=run)
        assert run.stop() == 0


@pytest.mark.parametrize("action", ["CASCADE", "SET NULL"])
def test_a_parent_that_is_deleted_and_comes_back_has_lost_its_children(
    replicate: Replicate, action: str
) -> None:
    """Also where the log does not tell what the foreign key did, and both are applied at once."""
    replication = replicate()
    source = replication.source
    source.execute(f"CREATE TABLE {SCHEMA}.p (id int PRIMARY KEY, n int)")
    source.execute(
        f"CREATE TABLE {SCHEMA}.t (id int PRIMARY KEY, p int,"
        f" FOREIGN KEY (p) REFERENCES {SCHEMA}.p (id) ON DELETE {action})"
    )
    source.execute(f"INSERT INTO {SCHEMA}.p VALUES (1, 1), (2, 2)")
    source.execute(f"INSERT INTO {SCHEMA}.t VALUES (10, 1), (20, 2)")
    replication.catch_up()
    session = source.session()
    session.execute(f"DELETE FROM {SCHEMA}.p WHERE id = 1")
    session.execute(f"INSERT INTO {SCHEMA}.p VALUES (1, 5)")
    session.commit()
    session.close()
    replication.catch_up()
    assert same(replication, "p", "id, n")
    assert same(replication, "t", "id, p")
