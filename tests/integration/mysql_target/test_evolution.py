"""Schema changes of the source on a server where DDL commits."""

# ruff: noqa: PT012 (what must raise is a whole transaction)

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace

import pytest

from connectors.mysql import control_sql, session, target_evolution
from engine.errors import FenceFailedError, RowRejectedError, SchemaMismatchError
from engine.model.batch import Run
from engine.model.change import INSERT, SchemaChanged, SchemaStep
from engine.model.relation import Column, ColumnType, Format, Relation
from engine.model.state import Fence
from tests.integration.mysql_target.conftest import LANE, Rig, rows

NIGHT = dt.datetime.fromisoformat("2024-02-29 01:02:03")


async def _known(rig: Rig) -> Relation:
    rig.execute("CREATE TABLE t (id int PRIMARY KEY, a int NOT NULL, b varchar(10))")
    rig.execute("INSERT INTO t VALUES (1, 10, 'x')")
    return await rig.relation()


def _changed(known: Relation, columns: Sequence[Column], *steps: SchemaStep) -> SchemaChanged:
    after = replace(known, columns=tuple(columns))
    return SchemaChanged(known.table, known, after, exact=True, steps=steps)


def _column(name: str, type_: str, *, nullable: bool = True) -> Column:
    return Column(name, ColumnType(type_), Format.TEXT, nullable=nullable)


def _added(known: Relation, default: str = "'it''s \\\\'") -> SchemaChanged:
    column = _column("c", "varchar(20) character set utf8mb4 collate utf8mb4_bin", nullable=False)
    step = SchemaStep("add-column", "c", type=column.type.name, default=default)
    return _changed(known, [*known.columns, column], step)


async def _evolve(rig: Rig, change: SchemaChanged, *runs: Run) -> None:
    async with rig.session.begin([rig.fence]) as transaction:
        await transaction.evolve(change)
        await transaction.write(runs)
        await transaction.commit()
    rig.seq += 1


def _intents(rig: Rig) -> int:
    replication = rig.session.config.replication
    sql = "SELECT COUNT(*) FROM penstock.intent WHERE replication = %s"
    return int(rig.execute(sql, replication)[0][0])


@pytest.mark.parametrize("narrower", ["decimal(12,2)", "float", "datetime"])
async def test_a_column_that_somebody_made_narrower_is_noticed_without_an_error(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, narrower: str
) -> None:
    """The server rounds what does not fit, and says so of some types only."""
    wide = {"decimal(12,2)": "decimal(12,4)", "float": "double", "datetime": "datetime(6)"}
    value = "1.2345" if narrower != "datetime" else "2024-01-01 00:00:00.000001"
    rig.execute(f"CREATE TABLE t (id int PRIMARY KEY, a {wide[narrower]})")
    relation = await rig.relation()
    await rig.apply(Run(INSERT, relation, rows(["1", value])))
    before = await rig.session.statements(relation)
    monkeypatch.setattr(session, "LOOK_SECONDS", 0.0)
    assert await rig.session.statements(relation) is before
    rig.execute(f"ALTER TABLE t MODIFY a {narrower}")
    with pytest.raises((SchemaMismatchError, RowRejectedError)):
        await rig.apply(Run(INSERT, relation, rows(["2", value])))
    assert rig.execute("SELECT id FROM t") == [(1,)]
    rig.execute(f"ALTER TABLE t MODIFY a {wide[narrower]}, ADD c int")
    await rig.apply(Run(INSERT, relation, rows(["2", value])))
    assert rig.execute("SELECT id FROM t ORDER BY id") == [(1,), (2,)]


async def test_an_added_column_gives_existing_rows_what_the_source_gave_them(rig: Rig) -> None:
    known = await _known(rig)
    change = _added(known)
    assert change.after is not None
    await _evolve(rig, change, Run(INSERT, change.after, rows(["2", "20", None, "new"])))
    assert rig.execute("SELECT * FROM t ORDER BY id") == [
        (1, 10, "x", "it's \\"), (2, 20, None, "new"),
    ]  # fmt: skip
    assert _intents(rig) == 0


async def test_a_change_that_was_made_and_not_recorded_is_found_made(rig: Rig) -> None:
    known = await _known(rig)
    async with rig.session.begin([rig.fence]) as transaction:
        await transaction.evolve(_added(known))
    assert (_intents(rig), len(rig.execute("SELECT c FROM t"))) == (1, 1)
    rig.execute("UPDATE t SET c = 'changed since'")
    await _evolve(rig, _added(known))
    assert rig.execute("SELECT * FROM t") == [(1, 10, "x", "changed since")]
    assert _intents(rig) == 0


async def test_a_change_that_was_meant_and_not_made_is_made(rig: Rig) -> None:
    known = await _known(rig)
    change = _added(known)
    there = await rig.session.table_now(known.table)
    assert there is not None
    await rig.session.run(
        control_sql.save_intent(
            rig.session.config.replication,
            known.table,
            target_evolution._text(change),
            target_evolution._shape(there),
        )
    )
    await _evolve(rig, change)
    assert rig.execute("SELECT c FROM t") == [("it's \\",)]


async def test_who_has_lost_the_lane_changes_no_table(rig: Rig) -> None:
    known = await _known(rig)
    with pytest.raises(FenceFailedError):
        async with rig.session.begin([Fence(LANE, 1, 99, "p")]) as transaction:
            await transaction.evolve(_added(known))
    assert len(rig.execute("SHOW COLUMNS FROM t")) == 3


async def test_a_renamed_column_keeps_its_values(rig: Rig) -> None:
    known = await _known(rig)
    columns = [known.columns[0], replace(known.columns[1], name="a2"), known.columns[2]]
    step = SchemaStep("rename-column", "a", "a2")
    await _evolve(rig, _changed(known, columns, step))
    assert rig.execute("SELECT id, a2, b FROM t") == [(1, 10, "x")]


async def test_a_dropped_column_stays_and_asks_for_nothing(rig: Rig) -> None:
    known = await _known(rig)
    change = _changed(known, [known.columns[0], known.columns[2]], SchemaStep("drop-column", "a"))
    assert change.after is not None
    after = replace(change.after, key=(0,))
    await _evolve(rig, replace(change, after=after), Run(INSERT, after, rows(["2", "y"])))
    assert rig.execute("SELECT * FROM t ORDER BY id") == [(1, 10, "x"), (2, None, "y")]


async def test_a_column_that_was_kept_steps_aside_for_its_successor(rig: Rig) -> None:
    known = await _known(rig)
    rig.execute("ALTER TABLE t ADD c varchar(20)")
    rig.execute("UPDATE t SET c = 'old'")
    await _evolve(rig, _added(known, "''"))
    assert rig.execute("SELECT id, c, c_kept_1 FROM t") == [(1, "", "old")]


async def test_a_type_becomes_wider_and_keeps_what_the_column_says(rig: Rig) -> None:
    known = await _known(rig)
    rig.execute("ALTER TABLE t MODIFY a int NOT NULL DEFAULT 7")
    columns = [known.columns[0], _column("a", "bigint", nullable=False), known.columns[2]]
    await _evolve(rig, _changed(known, columns, SchemaStep("retype-column", "a", type="bigint")))
    (shown,) = [row for row in rig.execute("SHOW COLUMNS FROM t") if row[0] == "a"]
    assert (shown[1].partition("(")[0], shown[2], shown[4]) == ("bigint", "NO", "7")


async def test_a_column_that_somebody_made_wider_than_the_new_type_stays_so(rig: Rig) -> None:
    await _known(rig)
    rig.execute("ALTER TABLE t MODIFY a bigint NOT NULL, MODIFY b varchar(90) COLLATE utf8mb4_bin")
    known = await rig.relation()
    text = "varchar(30) character set utf8mb4 collate utf8mb4_bin"
    steps = [
        SchemaStep("retype-column", "a", type="int"),
        SchemaStep("retype-column", "b", type=text),
    ]
    columns = [known.columns[0], _column("a", "int", nullable=False), _column("b", text)]
    await _evolve(rig, _changed(known, columns, *steps))
    assert (await rig.relation()).columns == known.columns
    assert not _intents(rig)


async def test_a_text_that_becomes_a_long_one_keeps_its_default(rig: Rig) -> None:
    """Of which MySQL takes one as an expression only."""
    known = await _known(rig)
    there = "varchar(10) character set utf8mb4 collate utf8mb4_bin"
    rig.execute(f"ALTER TABLE t MODIFY b {there} DEFAULT 'it''s'")
    known = await rig.relation()
    long = "longtext character set utf8mb4 collate utf8mb4_bin"
    columns = [*known.columns[:2], _column("b", long)]
    await _evolve(rig, _changed(known, columns, SchemaStep("retype-column", "b", type=long)))
    rig.execute("INSERT INTO t (id, a) VALUES (2, 2)")
    assert rig.execute("SELECT b FROM t ORDER BY id") == [("x",), ("it's",)]


@pytest.mark.parametrize("type_", ["float", "decimal(1,0)"])
async def test_a_type_that_does_not_hold_the_old_values_is_refused(rig: Rig, type_: str) -> None:
    known = await _known(rig)
    columns = [known.columns[0], _column("a", type_), known.columns[2]]
    step = SchemaStep("retype-column", "a", type=type_)
    with pytest.raises(SchemaMismatchError, match="without loss"):
        await _evolve(rig, _changed(known, columns, step))


async def test_a_whole_number_out_of_range_keeps_its_type_from_changing(rig: Rig) -> None:
    """The source's column had none when it changed; the target's ALTER refuses one."""
    known = await _known(rig)
    unsigned = "int unsigned"
    columns = [known.columns[0], _column("a", unsigned, nullable=False), known.columns[2]]
    change = _changed(known, columns, SchemaStep("retype-column", "a", type=unsigned))
    rig.execute("UPDATE t SET a = -1")
    with pytest.raises(SchemaMismatchError, match="does not fit"):
        await _evolve(rig, change)
    rig.execute("UPDATE t SET a = 3")
    await _evolve(rig, change)
    assert (await rig.relation()).columns[1].type.name == unsigned
    assert rig.execute("SELECT a FROM t") == [(3,)]


@pytest.mark.parametrize("value", ["ünï", "日本"])
async def test_a_character_set_that_lacks_some_characters(rig: Rig, value: str) -> None:
    """The source had none of them when it changed; the target's ALTER would refuse them."""
    await _known(rig)
    rig.execute("ALTER TABLE t MODIFY b varchar(10) CHARACTER SET utf8mb4")
    rig.execute("UPDATE t SET b = %s", value)
    known = await rig.relation()
    type_ = "varchar(30) character set latin1 collate latin1_swedish_ci"
    step = SchemaStep("retype-column", "b", type=type_)
    change = _changed(known, [*known.columns[:2], _column("b", type_)], step)
    if value == "ünï":
        await _evolve(rig, change)
        assert (await rig.relation()).columns[2].type.name == type_
    else:
        with pytest.raises(SchemaMismatchError, match="does not fit") as refused:
            await _evolve(rig, change)
        assert value not in str(refused.value)
    assert rig.execute("SELECT b FROM t") == [(value,)]


async def test_rows_that_came_before_in_the_same_transaction(rig: Rig) -> None:
    """Held back, they are written behind the change; sent, they would keep it from happening."""
    known = await _known(rig)
    run = Run(INSERT, known, rows(["2", "20", "y"]))
    async with rig.session.begin([rig.fence]) as transaction:
        await transaction.write([run])
        await transaction.evolve(_added(known))
        await transaction.commit()
    rig.seq += 1
    assert rig.execute("SELECT id, c FROM t ORDER BY id") == [(1, "it's \\"), (2, "it's \\")]
    other = replace(await rig.relation(), id=7)
    step = SchemaStep("add-column", "d", type="int")
    with pytest.raises(SchemaMismatchError, match="commits here"):
        async with rig.session.begin([rig.fence]) as transaction:
            await transaction.savepoint()
            await transaction.write([Run(INSERT, other, rows(["3", "30", "z", ""]))])
            await transaction.evolve(_changed(other, [*other.columns, _column("d", "int")], step))


async def test_a_column_of_postgresql(rig: Rig) -> None:
    known = await _known(rig)
    types = ("integer", "integer", "character varying(10)")
    columns = [replace(c, type=ColumnType(t)) for c, t in zip(known.columns, types, strict=True)]
    before = replace(known, wire="postgres", columns=tuple(columns))
    step = SchemaStep("add-column", "c", type="boolean", default="true")
    await _evolve(rig, _changed(before, [*columns, _column("c", "boolean", nullable=False)], step))
    assert rig.execute("SELECT c FROM t") == [(1,)]


@pytest.mark.parametrize(
    ("type_", "default", "there"),
    [
        ("boolean", "'t'", 1),
        ("bytea", " E'\\\\x00ff'", b"\0\xff"),
        ("bit(4)", "'1010'", b"\x0a"),
        ("timestamp with time zone", "'2024-02-29 01:02:03+00'", NIGHT),
        ("text", "'it''s'", "it's"),
        ("numeric", "'1.10'", "1.10"),
    ],
)
async def test_a_default_of_postgresql_is_spelt_as_values_of_rows_are(
    rig: Rig, type_: str, default: str, there: object
) -> None:
    known = await _known(rig)
    types = ("integer", "integer", "character varying(10)")
    columns = [replace(c, type=ColumnType(t)) for c, t in zip(known.columns, types, strict=True)]
    before = replace(known, wire="postgres", columns=tuple(columns))
    step = SchemaStep("add-column", "c", type=type_, default=default)
    await _evolve(rig, _changed(before, [*columns, _column("c", type_)], step))
    assert rig.execute("SELECT c FROM t") == [(there,)]


async def test_a_default_that_no_value_here_is_is_refused(rig: Rig) -> None:
    known = await _known(rig)
    before = replace(known, wire="postgres")
    step = SchemaStep("add-column", "c", type="date", default="'infinity'")
    with pytest.raises(SchemaMismatchError, match="no counterpart"):
        await _evolve(rig, _changed(before, [*known.columns, _column("c", "date")], step))


async def test_columns_swap_their_names_and_one_becomes_wider(rig: Rig) -> None:
    known = await _known(rig)
    ((wide, _),) = [(c.type.name, c) for c in known.columns if c.name == "b"]
    columns = [known.columns[0], _column("b", "bigint", nullable=False), _column("a", wide)]
    steps = (
        SchemaStep("rename-column", "a", new_name="aside"),
        SchemaStep("rename-column", "b", new_name="a"),
        SchemaStep("rename-column", "aside", new_name="b"),
        SchemaStep("retype-column", "b", type="bigint"),
    )
    change = _changed(known, columns, *steps)
    assert change.after is not None
    await _evolve(rig, change, Run(INSERT, change.after, rows(["2", str(1 << 40), "new"])))
    assert rig.execute("SELECT id, b, a FROM t ORDER BY id") == [(1, 10, "x"), (2, 1 << 40, "new")]
