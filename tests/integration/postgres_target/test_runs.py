"""Every kind of run, as calls and as a set, gives the same rows."""

import pytest

from engine.errors import RowMissingError, RowRejectedError
from engine.model.batch import Run
from engine.model.change import DELETE, INSERT, UPDATE
from engine.model.value import UNCHANGED, Row
from tests.integration.postgres_target.conftest import Rig

pytestmark = pytest.mark.in_turn

SIZES = (3, 300)
"""As calls, as a set."""


def masked(rows: list[Row], *unchanged: int) -> list[Row]:
    return [tuple(UNCHANGED if i in unchanged else v for i, v in enumerate(row)) for row in rows]


async def filled(rig: Rig, count: int, columns: str = "id int PRIMARY KEY, a text, b int") -> None:
    rig.execute(f"CREATE TABLE t ({columns})")
    rig.execute(f"INSERT INTO t SELECT g, 'a' || g, g FROM generate_series(1, {count}) g")


@pytest.mark.parametrize("net", [True, False])
@pytest.mark.parametrize("count", SIZES)
async def test_inserts(rig: Rig, count: int, net: bool) -> None:
    await filled(rig, 0)
    rows = rig.wire(
        "SELECT g::int, CASE WHEN g % 2 = 0 THEN repeat('é', g) END, NULL::int"
        f" FROM generate_series(1, {count}) g"
    )
    written = await rig.apply(Run(INSERT, await rig.relation(), rows, net=net))
    assert written.rows == count
    assert rig.rows() == [(g, "é" * g if g % 2 == 0 else None, None) for g in range(1, count + 1)]


@pytest.mark.parametrize("net", [True, False])
@pytest.mark.parametrize("count", SIZES)
async def test_updates_write_only_what_was_sent(rig: Rig, count: int, net: bool) -> None:
    await filled(rig, count + 5)
    rows = rig.wire(f"SELECT g::int, '?', g + 1000 FROM generate_series(1, {count}) g")
    run = Run(UPDATE, await rig.relation(), masked(rows, 1), sent=(0, 2), net=net)
    for _ in range(2):
        await rig.apply(run)
    assert rig.rows() == [(g, f"a{g}", g + 1000 if g <= count else g) for g in range(1, count + 6)]


@pytest.mark.parametrize("net", [True, False])
@pytest.mark.parametrize("count", SIZES)
async def test_deletes(rig: Rig, count: int, net: bool) -> None:
    await filled(rig, count + 5)
    rows = rig.wire(f"SELECT g::int, 'x', 1 FROM generate_series(1, {count}) g")
    await rig.apply(Run(DELETE, await rig.relation(), masked(rows, 1, 2), net=net))
    assert [row[0] for row in rig.rows()] == list(range(count + 1, count + 6))


@pytest.mark.parametrize("net", [True, False])
@pytest.mark.parametrize("count", SIZES)
async def test_a_key_change_keeps_the_columns_that_were_not_sent(
    rig: Rig, count: int, net: bool
) -> None:
    await filled(rig, count)
    news = rig.wire(f"SELECT g + 10000, '?', g * 2 FROM generate_series(1, {count}) g")
    olds = rig.wire(f"SELECT g::int, '?', 0 FROM generate_series(1, {count}) g")
    run = Run(UPDATE, await rig.relation(), masked(news, 1), (0, 2), masked(olds, 1, 2), net=net)
    await rig.apply(run)
    assert rig.rows() == [(g + 10000, f"a{g}", g * 2) for g in range(1, count + 1)]


@pytest.mark.parametrize("count", SIZES)
async def test_old_rows_with_the_same_key_go_as_a_set_beside_key_changes(
    rig: Rig, count: int
) -> None:
    await filled(rig, count)
    news = rig.wire(
        f"SELECT CASE g WHEN 2 THEN -2 ELSE g END, 'n' || g, g FROM generate_series(1, {count}) g"
    )
    olds = rig.wire("SELECT * FROM t ORDER BY id")
    await rig.apply(Run(UPDATE, await rig.relation(), news, (0, 1, 2), olds, net=True))
    expected = [(-2 if g == 2 else g, f"n{g}", g) for g in range(1, count + 1)]
    assert rig.rows() == sorted(expected)


async def test_a_run_that_is_not_net_is_applied_in_order(rig: Rig) -> None:
    await filled(rig, 1)
    relation = await rig.relation()
    rows = rig.wire("SELECT 1, 'v' || g, g FROM generate_series(1, 100) g")
    await rig.apply(Run(UPDATE, relation, rows, sent=(0, 1, 2)))
    assert rig.rows() == [(1, "v100", 100)]


async def test_small_and_large_runs_of_one_transaction_keep_their_order(rig: Rig) -> None:
    await filled(rig, 0)
    relation = await rig.relation()
    many = rig.wire("SELECT g, 'n', g FROM generate_series(1, 300) g")
    one = rig.wire("SELECT 5, 'one', 5")
    await rig.apply(
        Run(INSERT, relation, one, net=True),
        Run(DELETE, relation, one, net=True),
        Run(INSERT, relation, many, net=True),
        Run(UPDATE, relation, one, sent=(0, 1, 2), net=True),
        Run(DELETE, relation, many[100:], net=True),
        Run(DELETE, relation, many[:1], net=True),
    )
    assert rig.rows("SELECT count(*), min(id), max(id) FROM t") == [(99, 2, 100)]
    assert rig.rows("SELECT a FROM t WHERE id = 5") == [("one",)]


@pytest.mark.parametrize("net", [True, False])
@pytest.mark.parametrize("count", SIZES)
@pytest.mark.parametrize("kind", [UPDATE, DELETE])
async def test_a_missing_row_is_never_committed_over(
    rig: Rig, kind: int, count: int, net: bool
) -> None:
    await filled(rig, count)
    rig.execute(f"DELETE FROM t WHERE id = {count}")
    before = rig.rows()
    rows = rig.wire(f"SELECT g, 'n', g FROM generate_series(1, {count}) g")
    run = Run(kind, await rig.relation(), rows, (0, 1, 2) if kind == UPDATE else (), net=net)
    with pytest.raises(RowMissingError, match=r"public\.t"):
        await rig.apply(run)
    assert rig.rows() == before
    assert rig.lane().seq == 0


@pytest.mark.parametrize("count", SIZES)
async def test_an_update_that_sets_nothing_still_needs_its_row(rig: Rig, count: int) -> None:
    await filled(rig, count)
    rows = masked(rig.wire(f"SELECT g, 'n', g FROM generate_series(1, {count + 1}) g"), 1, 2)
    relation = await rig.relation()
    await rig.apply(Run(UPDATE, relation, rows[:-1], (0,), net=True))
    with pytest.raises(RowMissingError):
        await rig.apply(Run(UPDATE, relation, rows[1:], (0,), net=True))


@pytest.mark.parametrize("count", SIZES)
async def test_a_key_held_twice_on_the_target_is_refused(rig: Rig, count: int) -> None:
    await filled(rig, count)
    relation = await rig.relation()
    rig.execute("ALTER TABLE t DROP CONSTRAINT t_pkey; INSERT INTO t VALUES (1, 'again', 1)")
    rows = rig.wire(f"SELECT g, 'n', g FROM generate_series(1, {count}) g")
    with pytest.raises(RowRejectedError, match="more than one row"):
        await rig.apply(Run(UPDATE, relation, rows, (0, 1, 2), net=True))


async def test_a_violation_names_the_constraint_and_no_value(rig: Rig) -> None:
    await filled(rig, 1)
    for count in SIZES:
        rows = rig.wire(f"SELECT g, 'secret', g FROM generate_series(1, {count}) g")
        with pytest.raises(RowRejectedError) as caught:
            await rig.apply(Run(INSERT, await rig.relation(), rows, net=True))
        assert caught.value.sqlstate == "23505"
        assert "t_pkey" in str(caught.value)
        assert "secret" not in str(caught.value)


# --- tables without key ---------------------------------------------------------------------------


@pytest.mark.parametrize("partitioned", [False, True])
async def test_without_key_each_change_touches_exactly_one_row(rig: Rig, partitioned: bool) -> None:
    tail = " PARTITION BY HASH (a)" if partitioned else ""
    rig.execute(f"CREATE TABLE t (a int, j json, x xml, p point, n numeric, f float8){tail}")
    if partitioned:
        for part in range(2):
            rig.execute(f"CREATE TABLE t{part} PARTITION OF t FOR VALUES WITH"
                        f" (MODULUS 2, REMAINDER {part})")  # fmt: skip
    relation = await rig.relation()
    query = (
        "SELECT 1, '{{\"a\": 1}}'::json, '<x/>'::xml, '(1,2)'::point, {n}::numeric, 'NaN'::float8"
        " UNION ALL SELECT NULL, NULL, NULL, NULL, 2.0, '-0'::float8"
    )
    rows = rig.wire(query.format(n="1.0"))
    await rig.apply(Run(INSERT, relation, [rows[0], rows[0], rows[0], rows[1], rows[1]]))
    other = rig.wire(query.format(n="1.00"))
    await rig.apply(Run(UPDATE, relation, other[:1], tuple(range(6)), rows[:1]))
    await rig.apply(Run(DELETE, relation, rows))
    query = "SELECT a, n::text, count(*) FROM t GROUP BY 1, 2 ORDER BY 1, 2"
    assert rig.rows(query) == [(1, "1.0", 1), (1, "1.00", 1), (None, "2.0", 1)]
    await rig.apply(Run(DELETE, relation, [rows[0], rows[1]]))
    with pytest.raises(RowMissingError):
        await rig.apply(Run(DELETE, relation, rows[:1]))


@pytest.mark.parametrize("partitioned", [False, True])
async def test_one_of_several_equal_rows_is_changed_by_the_plan_for_a_tiny_table_too(
    rig: Rig, partitioned: bool
) -> None:
    """It joins the other way round: a subquery with FOR UPDATE that is run again within its
    statement passes over what the statement has changed, and finds the next equal row."""
    tail = " PARTITION BY HASH (a)" if partitioned else ""
    rig.execute(f"CREATE TABLE t (a int, b int){tail}")
    if partitioned:
        rig.execute("CREATE TABLE t0 PARTITION OF t FOR VALUES WITH (MODULUS 1, REMAINDER 0)")
    relation = await rig.relation()
    rig.execute("INSERT INTO t VALUES (1, 1); ANALYZE t")
    rig.execute("INSERT INTO t SELECT 1, 1 FROM generate_series(1, 19)")
    (old,), (new,) = rig.wire("SELECT 1, 1"), rig.wire("SELECT 1, 2")
    await rig.apply(Run(UPDATE, relation, [new], (1,), [old]))
    await rig.apply(Run(DELETE, relation, [old]))
    assert rig.rows("SELECT b, count(*) FROM t GROUP BY b ORDER BY b") == [(1, 18), (2, 1)]


async def test_old_values_that_were_not_sent_are_left_out_of_the_match(rig: Rig) -> None:
    rig.execute("CREATE TABLE t (a int, b text)")
    relation = await rig.relation()
    rig.execute("INSERT INTO t VALUES (1, 'long'), (2, 'long')")
    olds = masked(rig.wire("SELECT 2, '?'"), 1)
    news = masked(rig.wire("SELECT 3, '?'"), 1)
    await rig.apply(Run(UPDATE, relation, news, (0,), olds))
    assert rig.rows() == [(1, "long"), (3, "long")]


async def test_many_changes_without_key_go_in_order(rig: Rig) -> None:
    rig.execute("CREATE TABLE t (a int)")
    relation = await rig.relation()
    rig.execute("INSERT INTO t VALUES (0), (0)")
    olds = rig.wire("SELECT g FROM generate_series(0, 1499) g")
    news = rig.wire("SELECT g + 1 FROM generate_series(0, 1499) g")
    await rig.apply(Run(UPDATE, relation, news, (0,), olds))
    assert rig.rows() == [(0,), (1500,)]


# --- columns of a special kind --------------------------------------------------------------------


@pytest.mark.parametrize("count", SIZES)
async def test_identity_and_generated_columns(rig: Rig, count: int) -> None:
    rig.execute(
        "CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a int,"
        " twice int GENERATED ALWAYS AS (a * 2) STORED,"
        " other int GENERATED BY DEFAULT AS IDENTITY)"
    )
    relation = await rig.relation()
    assert [column.name for column in relation.columns] == ["id", "a", "other"]
    rows = rig.wire(f"SELECT g::int, g::int, g::int FROM generate_series(1, {count}) g")
    await rig.apply(Run(INSERT, relation, rows, net=True))
    rows = rig.wire(f"SELECT g::int, -g::int, g::int FROM generate_series(1, {count}) g")
    await rig.apply(Run(UPDATE, relation, rows, (0, 1, 2), net=True))
    assert rig.rows() == [(g, -g, -g * 2, g) for g in range(1, count + 1)]


@pytest.mark.parametrize("count", SIZES)
async def test_a_column_generated_on_the_target_is_not_written(rig: Rig, count: int) -> None:
    rig.execute("CREATE SCHEMA s; CREATE TABLE s.t (id int PRIMARY KEY, a int, b int)")
    rig.execute("CREATE TABLE t (id int PRIMARY KEY, a int, b int GENERATED ALWAYS AS (a) STORED)")
    relation = await rig.relation("t", like="s.t")
    rows = rig.wire(f"SELECT g, g, 99 FROM generate_series(1, {count}) g")
    await rig.apply(Run(INSERT, relation, rows, net=True))
    await rig.apply(Run(UPDATE, relation, rows, (0, 1, 2), net=True))
    assert rig.rows() == [(g, g, g) for g in range(1, count + 1)]


@pytest.mark.parametrize("count", SIZES)
async def test_quoted_names(rig: Rig, count: int) -> None:
    name = 'T "x" %s é' + "n" * 50
    table = '"T ""x"" %s é' + "n" * 50 + '"'
    rig.execute(f'CREATE TABLE {table} ("a ""b" int, "SELECT" text, PRIMARY KEY ("a ""b"))')
    relation = await rig.relation(name)
    rows = rig.wire(f"SELECT g, 'x' FROM generate_series(1, {count}) g")
    await rig.apply(Run(INSERT, relation, rows, net=True))
    await rig.apply(Run(UPDATE, relation, rows, (0, 1), net=True))
    await rig.apply(Run(DELETE, relation, rows, net=True))
    assert rig.rows(f"SELECT * FROM {table}") == []


@pytest.mark.parametrize("count", SIZES)
async def test_a_table_of_one_column_and_one_of_none(rig: Rig, count: int) -> None:
    rig.execute("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE nothing ()")
    rows = rig.wire(f"SELECT g FROM generate_series(1, {count}) g")
    await rig.apply(Run(INSERT, await rig.relation(), rows, net=True))
    await rig.apply(Run(INSERT, await rig.relation("nothing"), [() for _ in rows], net=True))
    assert rig.rows("SELECT count(*) FROM t") == rig.rows("SELECT count(*) FROM nothing")


# --- deferred constraints -------------------------------------------------------------------------


@pytest.fixture
def deferred(rig: Rig) -> None:
    rig.execute(
        "CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE t (id int PRIMARY KEY,"
        " parent int REFERENCES parent DEFERRABLE INITIALLY IMMEDIATE,"
        " u int UNIQUE DEFERRABLE INITIALLY IMMEDIATE)"
    )


@pytest.mark.usefixtures("deferred")
@pytest.mark.parametrize("count", SIZES)
async def test_deferrable_constraints_are_checked_at_commit(rig: Rig, count: int) -> None:
    child, parent = await rig.relation(), await rig.relation("parent")
    rows = rig.wire(f"SELECT g, g, g FROM generate_series(1, {count}) g")
    parents = rig.wire(f"SELECT g FROM generate_series(1, {count}) g")
    await rig.apply(Run(INSERT, child, rows, net=True), Run(INSERT, parent, parents, net=True))
    orphans = rig.wire(f"SELECT g, g, g FROM generate_series({count + 1}, {count * 2}) g")
    with pytest.raises(RowRejectedError) as caught:
        await rig.apply(Run(INSERT, child, orphans, net=True))
    assert caught.value.sqlstate == "23503"
    assert len(rig.rows()) == count
    assert not rig.session.broken


@pytest.mark.parametrize("count", SIZES)
async def test_what_only_the_commit_refuses_is_told_and_nothing_is_durable(
    rig: Rig, count: int
) -> None:
    """A trigger put off to the commit, of which no constraint tells beforehand."""
    rig.execute(
        "CREATE TABLE t (id int PRIMARY KEY); CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql"
        " AS $$ BEGIN RAISE check_violation; END $$; CREATE CONSTRAINT TRIGGER late AFTER INSERT"
        f" ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (new.id > {count})"
        " EXECUTE FUNCTION no()"
    )
    relation = await rig.relation()
    good = rig.wire(f"SELECT g FROM generate_series(1, {count}) g")
    bad = rig.wire(f"SELECT g FROM generate_series({count + 1}, {count * 2}) g")
    await rig.apply(Run(INSERT, relation, good, net=True))
    with pytest.raises(RowRejectedError) as caught:
        await rig.apply(Run(INSERT, relation, bad, net=True))
    assert caught.value.sqlstate == "23514"
    assert rig.lane().seq == 1
    assert len(rig.rows()) == count
    assert not rig.session.broken
    await rig.apply(Run(DELETE, relation, good, net=True))
    assert rig.rows() == []


@pytest.mark.usefixtures("deferred")
async def test_inside_a_savepoint_a_refusal_belongs_to_its_rows(rig: Rig) -> None:
    child = await rig.relation()
    good = rig.wire("SELECT 1, NULL::int, 1")
    orphan = rig.wire("SELECT 2, 7, 2")
    async with rig.session.begin([rig.fence]) as transaction:
        await transaction.savepoint()
        await transaction.write([Run(INSERT, child, good)])
        await transaction.release_savepoint()
        await transaction.savepoint()
        await transaction.write([Run(INSERT, child, orphan)])
        with pytest.raises(RowRejectedError) as caught:
            await transaction.release_savepoint()
        await transaction.rollback_to_savepoint()
        await transaction.commit()
    assert caught.value.sqlstate == "23503"
    assert rig.rows() == [(1, None, 1)]
    assert rig.lane().seq == 1


@pytest.mark.usefixtures("deferred")
async def test_a_savepoint_may_be_released_before_what_its_rows_lead_to_is_there(rig: Rig) -> None:
    child, parents = await rig.relation(), await rig.relation("parent")
    early, parent = rig.wire("SELECT 2, 1, 2"), rig.wire("SELECT 1")
    async with rig.session.begin([rig.fence]) as transaction:
        await transaction.savepoint()
        await transaction.write([Run(INSERT, child, early)])
        await transaction.release_savepoint(checked=False)
        await transaction.savepoint()
        with pytest.raises(RowRejectedError):
            await transaction.write([Run(INSERT, parents, [*parent, *parent])])
        await transaction.rollback_to_savepoint()
        await transaction.savepoint()
        await transaction.write([Run(INSERT, parents, parent)])
        await transaction.release_savepoint()
        await transaction.commit()
    assert rig.rows() == [(2, 1, 2)]


async def test_savepoints_nest_and_a_set_survives_their_rollback(rig: Rig) -> None:
    await filled(rig, 300)
    relation = await rig.relation()
    rows = rig.wire("SELECT g, 'n', g FROM generate_series(1, 300) g")
    missing = rig.wire("SELECT g, 'n', g FROM generate_series(2, 301) g")
    async with rig.session.begin([rig.fence]) as transaction:
        await transaction.savepoint()
        await transaction.savepoint()
        with pytest.raises(RowMissingError):
            await transaction.write([Run(UPDATE, relation, missing, (0, 1, 2), net=True)])
        await transaction.rollback_to_savepoint()
        await transaction.write([Run(UPDATE, relation, rows, (0, 1, 2), net=True)])
        await transaction.release_savepoint()
        await transaction.commit()
    rig.seq += 1
    await rig.apply(Run(UPDATE, relation, rows, (0, 1, 2), net=True))
    assert rig.rows("SELECT DISTINCT a FROM t") == [("n",)]


async def test_staging_tables_are_used_again(rig: Rig) -> None:
    await filled(rig, 300)
    relation = await rig.relation()
    rows = rig.wire("SELECT g, 'n', g FROM generate_series(1, 300) g")
    for size in (300, 60, 200):
        await rig.apply(Run(UPDATE, relation, rows[:size], (0, 1, 2), net=True))
    count = (
        "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
        " WHERE nspname LIKE 'pg_temp%' AND relkind = 'r'"
    )
    assert rig.rows(count) == [(1,)]
