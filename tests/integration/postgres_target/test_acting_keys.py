"""Foreign keys of the target that delete or change rows by themselves, before the source's own
changes of these rows come."""

import pytest

from connectors.postgres.target import PostgresTarget
from engine.errors import RowMissingError, RowRejectedError
from engine.model.batch import Run
from engine.model.change import DELETE, INSERT, UPDATE
from engine.model.finding import Finding
from engine.model.state import Fence
from engine.model.value import UNCHANGED
from tests.integration.postgres_target.conftest import LANE, Rig, config

pytestmark = pytest.mark.in_turn

SIZES = (3, 300)
"""As calls, as a set."""

net_and_size = [(net, count) for net in (True, False) for count in SIZES]


@pytest.mark.parametrize(("net", "count"), net_and_size)
async def test_rows_that_a_chain_of_keys_has_deleted_are_as_they_should_be(
    rig: Rig, net: bool, count: int
) -> None:
    rig.execute(
        "CREATE TABLE top (id int PRIMARY KEY);"
        "CREATE TABLE middle (id int PRIMARY KEY, top int REFERENCES top ON DELETE CASCADE);"
        "CREATE TABLE t (id int PRIMARY KEY, middle int REFERENCES middle ON DELETE CASCADE);"
        f"INSERT INTO top SELECT generate_series(1, {count + 1});"
        "INSERT INTO middle SELECT id, id FROM top; INSERT INTO t SELECT id, id FROM middle"
    )
    tops = rig.wire(f"SELECT generate_series(1, {count})")
    rows = rig.wire(f"SELECT g, g FROM generate_series(1, {count}) g")
    await rig.apply(
        Run(DELETE, await rig.relation("top"), tops, net=net),
        Run(DELETE, await rig.relation("middle"), rows, net=net),
        Run(DELETE, await rig.relation(), rows, net=net),
    )
    assert rig.rows() == [(count + 1, count + 1)]


async def test_a_table_that_refers_to_itself(rig: Rig) -> None:
    rig.execute(
        "CREATE TABLE t (id int PRIMARY KEY, parent int REFERENCES t ON DELETE CASCADE);"
        "INSERT INTO t SELECT g, nullif(g / 2, 0) FROM generate_series(1, 9) g"
    )
    await rig.apply(
        Run(DELETE, await rig.relation(), rig.wire("SELECT unnest('{4,8,9}'::int[]), NULL::int"))
    )
    assert [row[0] for row in rig.rows()] == [1, 2, 3, 5, 6, 7]


async def test_rows_without_key_that_were_deleted_by_a_key(rig: Rig) -> None:
    rig.execute(
        "CREATE TABLE p (id int PRIMARY KEY);"
        "CREATE TABLE t (p int REFERENCES p ON DELETE CASCADE, a text);"
        "INSERT INTO p VALUES (1), (2); INSERT INTO t VALUES (1, 'x'), (1, 'x'), (2, 'x')"
    )
    rows = rig.wire("SELECT 1, 'x'::text")
    await rig.apply(
        Run(DELETE, await rig.relation("p"), rig.wire("SELECT 1"), net=True),
        Run(DELETE, await rig.relation(), rows * 2),
    )
    assert rig.rows() == [(2, "x")]


@pytest.mark.parametrize("key", ["p int REFERENCES p ON DELETE CASCADE", "p int"])
async def test_partitions_with_a_key_of_the_whole_or_of_their_own(rig: Rig, key: str) -> None:
    own = (
        ""
        if "REFERENCES" in key
        else "ALTER TABLE t1 ADD FOREIGN KEY (p) REFERENCES p ON DELETE CASCADE;"
    )
    rig.execute(
        f"CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE t (id int PRIMARY KEY, {key})"
        " PARTITION BY LIST (id); CREATE TABLE t1 PARTITION OF t FOR VALUES IN (1);"
        f"CREATE TABLE t2 PARTITION OF t DEFAULT; {own}"
        "INSERT INTO p VALUES (1); INSERT INTO t VALUES (1, 1)"
    )  # fmt: skip
    await rig.apply(
        Run(DELETE, await rig.relation("p"), rig.wire("SELECT 1"), net=True),
        Run(DELETE, await rig.relation(), rig.wire("SELECT 1, 1"), net=True),
    )
    assert rig.rows() == []


KEYS_THAT_DELETE_NOTHING = {
    "no key": "",
    "no action": "REFERENCES p",
    "set null": "REFERENCES p ON DELETE SET NULL",
    "cascaded updates": "REFERENCES p ON UPDATE CASCADE",
}


@pytest.mark.parametrize("key", KEYS_THAT_DELETE_NOTHING.values(), ids=KEYS_THAT_DELETE_NOTHING)
@pytest.mark.parametrize(("net", "count"), net_and_size)
async def test_without_a_key_that_deletes_a_missing_row_is_told(
    rig: Rig, net: bool, count: int, key: str
) -> None:
    rig.execute(
        f"CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE t (id int PRIMARY KEY, p int {key})"
    )
    rows = rig.wire(f"SELECT g, NULL::int FROM generate_series(1, {count}) g")
    rig.execute(f"INSERT INTO t SELECT generate_series(2, {count})")
    with pytest.raises(RowMissingError):
        await rig.apply(Run(DELETE, await rig.relation(), rows, net=net))
    assert len(rig.rows()) == count - 1


async def test_an_update_of_a_missing_row_is_told_also_where_keys_delete(rig: Rig) -> None:
    rig.execute(
        "CREATE TABLE p (id int PRIMARY KEY);"
        "CREATE TABLE t (id int PRIMARY KEY, p int REFERENCES p ON DELETE CASCADE)"
    )
    row = rig.wire("SELECT 1, NULL::int")
    with pytest.raises(RowMissingError):
        await rig.apply(Run(UPDATE, await rig.relation(), row, (0, 1), net=True))


async def test_keys_that_do_not_fire_leave_it_as_strict(rig: Rig) -> None:
    rig.execute(
        "CREATE TABLE p (id int PRIMARY KEY);"
        "CREATE TABLE t (id int PRIMARY KEY, p int REFERENCES p ON DELETE CASCADE)"
    )
    run = Run(DELETE, await rig.relation(), rig.wire("SELECT 1, 1"), net=True)
    target = PostgresTarget(config(rig.database.dsn, session_replication_role="replica"))
    async with target.session() as session, session.begin([Fence(LANE, 1, 0, "p")]) as transaction:
        await transaction.write([run])
        with pytest.raises(RowMissingError):
            await transaction.commit()
    await target.close()
    await rig.apply(run)


async def test_a_key_made_after_the_table_was_described(rig: Rig) -> None:
    """The statements compiled before know nothing of it; those for the next try do."""
    rig.execute(
        "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE t (id int PRIMARY KEY, p int);"
        "INSERT INTO p VALUES (1), (2)"
    )
    parents, relation = await rig.relation("p"), await rig.relation()
    rows = rig.wire("SELECT 1, 1 UNION ALL SELECT 2, 2")
    await rig.apply(Run(INSERT, relation, rows), Run(DELETE, relation, rows[:1], net=True))
    rig.execute("ALTER TABLE t ADD FOREIGN KEY (p) REFERENCES p ON DELETE CASCADE")
    runs = (
        Run(DELETE, parents, rig.wire("SELECT 2"), net=True),
        Run(DELETE, relation, rows[1:], net=True),
    )
    with pytest.raises(RowMissingError):
        await rig.apply(*runs)
    await rig.apply(*runs)
    assert rig.rows() == []


# --- keys that change rows ------------------------------------------------------------------------


@pytest.mark.parametrize("action", ["SET NULL", "SET DEFAULT"])
@pytest.mark.parametrize("count", SIZES)
async def test_a_value_that_a_key_has_taken_away_by_key(rig: Rig, count: int, action: str) -> None:
    rig.execute(
        "CREATE TABLE p (id int PRIMARY KEY);"
        f"CREATE TABLE t (id int PRIMARY KEY, p int REFERENCES p ON DELETE {action}, a text);"
        f"INSERT INTO p VALUES (1); INSERT INTO t SELECT g, 1 FROM generate_series(1, {count}) g"
    )
    rows = rig.wire(f"SELECT g, NULL::int, 'later' FROM generate_series(1, {count}) g")
    await rig.apply(
        Run(DELETE, await rig.relation("p"), rig.wire("SELECT 1"), net=True),
        Run(UPDATE, await rig.relation(), rows, (0, 1, 2), net=True),
    )
    assert rig.rows() == [(g, None, "later") for g in range(1, count + 1)]


@pytest.mark.parametrize(
    ("event", "change", "new"),
    [
        ("DELETE SET NULL", DELETE, "NULL::int"),
        ("UPDATE CASCADE", UPDATE, "2"),
        ("UPDATE SET NULL", UPDATE, "NULL::int"),
    ],
)
async def test_a_row_without_key_that_a_key_has_changed_is_found_as_it_is_now(
    rig: Rig, event: str, change: int, new: str
) -> None:
    rig.execute(
        f"CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE t (p int REFERENCES p ON {event},"
        " a text); INSERT INTO p VALUES (1); INSERT INTO t VALUES (1, 'a'), (1, 'a'), (NULL, 'b')"
    )
    parents, relation = await rig.relation("p"), await rig.relation()
    one, two = rig.wire("SELECT 1"), rig.wire("SELECT 2")
    moved = Run(DELETE, parents, one) if change == DELETE else Run(UPDATE, parents, two, (0,), one)
    olds = rig.wire("SELECT 1, 'a'::text")
    news = rig.wire(f"SELECT {new}, 'a'::text")
    await rig.apply(moved, Run(UPDATE, relation, news * 2, (0, 1), olds * 2))
    ((expected,),) = rig.rows(f"SELECT {new}")
    assert sorted(rig.rows(), key=repr) == sorted([(expected, "a")] * 2 + [(None, "b")], key=repr)


async def test_the_row_as_it_was_comes_first(rig: Rig) -> None:
    rig.execute(
        "CREATE TABLE p (id int PRIMARY KEY);"
        "CREATE TABLE t (p int REFERENCES p ON DELETE SET NULL, a text);"
        "INSERT INTO p VALUES (1); INSERT INTO t VALUES (NULL, 'a'), (1, 'a')"
    )
    olds, news = rig.wire("SELECT 1, 'a'::text"), rig.wire("SELECT NULL::int, '?'::text")
    news = [(news[0][0], UNCHANGED)]
    run = Run(UPDATE, await rig.relation(), news, (0,), olds)
    await rig.apply(run)
    assert rig.rows() == [(None, "a"), (None, "a")]
    await rig.apply(run)  # as if a key had done it
    rig.execute("DELETE FROM t")
    with pytest.raises(RowMissingError):
        await rig.apply(run)


@pytest.mark.parametrize("count", SIZES)
async def test_a_key_of_the_child_that_the_parents_new_key_has_changed(
    rig: Rig, count: int
) -> None:
    rig.execute(
        "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE t (p int REFERENCES p ON UPDATE CASCADE,"
        " line int, a text, PRIMARY KEY (p, line)); CREATE TABLE u (p int, line int, x int,"
        " FOREIGN KEY (p, line) REFERENCES t ON UPDATE CASCADE, PRIMARY KEY (p, line, x));"
        "INSERT INTO p VALUES (1), (7);"
        f"INSERT INTO t SELECT 1, g, 'a' FROM generate_series(1, {count}) g;"
        "INSERT INTO t VALUES (7, 1, 'other'); INSERT INTO u SELECT p, line, 1 FROM t"
    )
    parents, relation, last = [await rig.relation(name) for name in ("p", "t", "u")]
    olds = rig.wire(f"SELECT 1, g, '?'::text FROM generate_series(1, {count}) g")
    news = rig.wire(f"SELECT 2, g, 'b'::text FROM generate_series(1, {count}) g")
    olds_last = rig.wire(f"SELECT 1, g, 1 FROM generate_series(1, {count}) g")
    news_last = rig.wire(f"SELECT 2, g, 1 FROM generate_series(1, {count}) g")
    await rig.apply(
        Run(UPDATE, parents, rig.wire("SELECT 2"), (0,), rig.wire("SELECT 1")),
        Run(UPDATE, relation, news, (0, 1, 2), olds, net=True),
        Run(UPDATE, last, news_last, (0, 1, 2), olds_last, net=True),
    )
    assert rig.rows("SELECT * FROM t ORDER BY 1, 2") == [
        *((2, g, "b") for g in range(1, count + 1)),
        (7, 1, "other"),
    ]
    assert rig.rows("SELECT count(*) FROM u WHERE p = 2") == [(count,)]
    with pytest.raises(RowMissingError):
        await rig.apply(
            Run(UPDATE, relation, rig.wire("SELECT 7, 9, 'b'::text"), (0, 1, 2), olds[:1])
        )


async def test_a_key_change_that_no_key_has_made_moves_the_row_that_has_the_old_key(
    rig: Rig,
) -> None:
    rig.execute(
        "CREATE TABLE p (id int PRIMARY KEY); INSERT INTO p VALUES (1), (2);"
        "CREATE TABLE t (p int PRIMARY KEY REFERENCES p ON UPDATE CASCADE, a text);"
        "INSERT INTO t VALUES (1, 'a'), (2, 'in the way')"
    )
    old, new = rig.wire("SELECT 1, '?'::text"), rig.wire("SELECT 2, 'b'::text")
    with pytest.raises(RowRejectedError) as caught:
        await rig.apply(Run(UPDATE, await rig.relation(), new, (0, 1), old))
    assert caught.value.sqlstate == "23505"
    rig.execute("DELETE FROM t WHERE p = 2")
    await rig.apply(Run(UPDATE, await rig.relation(), new, (0, 1), old))
    assert rig.rows() == [(2, "b")]


# --- what is told beforehand ----------------------------------------------------------------------


async def acting(rig: Rig, *tables: str) -> list[Finding]:
    relations = [await rig.relation(table) for table in tables]
    found = await rig.target.preflight(relations)
    return [finding for finding in found if finding.check == "acting-keys"]


async def test_keys_that_act_where_a_statement_does_more_are_told(rig: Rig) -> None:
    rig.execute(
        "CREATE TABLE p (id int PRIMARY KEY);"
        "CREATE TABLE middle (id int PRIMARY KEY, p int REFERENCES p ON DELETE CASCADE);"
        "CREATE TABLE t (id int PRIMARY KEY, p int REFERENCES p ON DELETE SET NULL,"
        " middle int REFERENCES middle ON DELETE CASCADE, safe int REFERENCES p);"
        "CREATE TABLE u (id int PRIMARY KEY, a int REFERENCES p ON UPDATE CASCADE,"
        " b int REFERENCES p ON UPDATE CASCADE);"
        "CREATE TABLE v (id int PRIMARY KEY, self int REFERENCES v ON UPDATE CASCADE)"
    )
    found = await acting(rig, "p", "middle", "t", "u", "v")
    assert [finding.subject for finding in found] == ["public.t", "public.u", "public.v"]
    assert "t_p_fkey (ON DELETE SET NULL)" in found[0].message
    assert "t_middle_fkey (ON DELETE CASCADE)" in found[0].message
    assert "safe" not in found[0].message
    assert "session_replication_role" in found[0].remedy
    assert await acting(rig, "u") == found[1:2]
    replica = PostgresTarget(config(rig.database.dsn, session_replication_role="replica"))
    told = await replica.preflight([await rig.relation(table) for table in ("t", "u")])
    await replica.close()
    assert "acting-keys" not in {finding.check for finding in told}


async def test_keys_that_act_alone_are_not_told(rig: Rig) -> None:
    rig.execute(
        "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE q (id int PRIMARY KEY);"
        "CREATE TABLE t (id int PRIMARY KEY, p int REFERENCES p ON DELETE CASCADE,"
        " again int REFERENCES p ON DELETE CASCADE, q int REFERENCES q ON DELETE SET NULL);"
        "CREATE TABLE u (id int PRIMARY KEY, self int REFERENCES u ON DELETE SET NULL,"
        " p int REFERENCES p ON UPDATE CASCADE)"
    )
    assert await acting(rig, "p", "q", "t", "u") == []
