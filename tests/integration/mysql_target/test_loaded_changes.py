"""Changes that go by LOAD DATA: as exact as statements, and refused as they are."""

import pytest

from engine.errors import RowMissingError, RowRejectedError
from engine.model.batch import Run
from engine.model.change import DELETE, INSERT, UPDATE
from engine.model.relation import Relation
from engine.model.value import Row
from tests.integration.mysql_target.conftest import Rig, row

pytestmark = pytest.mark.usefixtures("loading")

MANY = 300


@pytest.fixture
def loading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.mysql.target_rows.LOAD_ROWS_MIN", 1)


def _rows(count: int = MANY) -> list[Row]:
    return [row(str(n), f"name\t{n}\\") for n in range(count)]


async def _table(rig: Rig, more: str = "") -> Relation:
    rig.execute(f"CREATE TABLE t (id int PRIMARY KEY, name varchar(20) NOT NULL{more})")
    return await rig.relation()


def _loads(rig: Rig) -> int:
    return int(rig.execute("SHOW GLOBAL STATUS LIKE 'Com_load'")[0][1])


def _held(rig: Rig) -> list[tuple[object, ...]]:
    return rig.execute("SELECT COUNT(*), MIN(id), MAX(id), MAX(name) FROM t")


async def test_rows_are_inserted_updated_and_deleted_in_sets(rig: Rig) -> None:
    relation = await _table(rig)
    before = _loads(rig)
    written = await rig.apply(Run(INSERT, relation, _rows(), net=True))
    assert written.rows == MANY
    assert written.bytes > MANY * 10
    assert rig.execute("SELECT name FROM t WHERE id = 7") == [("name\t7\\",)]
    changed = [row(str(n), "changed") for n in range(MANY)]
    await rig.apply(Run(UPDATE, relation, changed, (0, 1), net=True))
    assert rig.execute("SELECT DISTINCT name FROM t") == [("changed",)]
    await rig.apply(Run(DELETE, relation, changed[1:], net=True))
    assert _held(rig) == [(1, 0, 0, "changed")]
    assert _loads(rig) > before + 1


async def test_several_loads_of_one_transaction_are_one_script(rig: Rig) -> None:
    relation = await _table(rig)
    rig.execute("CREATE TABLE u LIKE t")
    other = await rig.relation("u")
    await rig.apply(
        Run(INSERT, relation, _rows(), net=True),
        Run(INSERT, other, _rows(5), net=True),
        Run(UPDATE, relation, [row(str(n), "x") for n in range(50)], (0, 1), net=True),
        Run(INSERT, relation, [row("999", "last")], net=True),
    )
    assert _held(rig) == [(MANY + 1, 0, 999, "x")]
    assert rig.execute("SELECT COUNT(*) FROM u") == [(5,)]
    assert rig.execute("SELECT COUNT(*) FROM t WHERE name = 'x'") == [(50,)]


BAD = {
    "a text that is too long": row("1000", "x" * 21),
    "a number that is too large": row("99999999999", "x"),
    "a number that is none": row("12x", "x"),
    "a NULL that is not allowed": row("1000", None),
    "a key that is there": row("5", "x"),
}


@pytest.mark.parametrize("what", BAD)
async def test_a_row_that_does_not_fit_refuses_all_and_is_found_by_statements(
    rig: Rig, what: str
) -> None:
    relation = await _table(rig)
    rows = [*_rows(), BAD[what], row("2000", "x")]
    with pytest.raises(RowRejectedError, match="did not load the rows as they are"):
        await rig.apply(Run(INSERT, relation, rows, net=True))
    assert _held(rig) == [(0, None, None, None)]
    loads = _loads(rig)
    with pytest.raises(RowRejectedError) as caught:
        await rig.apply(Run(INSERT, relation, rows, net=True))
    assert "did not load" not in str(caught.value)
    assert _held(rig) == [(0, None, None, None)]
    await rig.apply(Run(INSERT, relation, _rows(), net=True))
    assert _held(rig)[0][0] == MANY
    assert _loads(rig) == loads


async def test_rows_in_order_go_by_statements(rig: Rig) -> None:
    relation = await _table(rig)
    loads = _loads(rig)
    await rig.apply(Run(INSERT, relation, _rows()))
    assert (_held(rig)[0][0], _loads(rig)) == (MANY, loads)


async def test_a_parent_that_is_missing_is_noticed(rig: Rig) -> None:
    rig.execute("CREATE TABLE parent (id int PRIMARY KEY); INSERT INTO parent VALUES (1)")
    relation = await _table(rig, ", FOREIGN KEY (id) REFERENCES parent (id)")
    with pytest.raises(RowRejectedError):
        await rig.apply(Run(INSERT, relation, [row("1", "x"), row("2", "x")], net=True))
    assert _held(rig)[0][0] == 0
    await rig.apply(Run(INSERT, relation, [row("1", "x")], net=True))
    assert _held(rig)[0][0] == 1


async def test_a_trigger_that_refuses_is_noticed(rig: Rig) -> None:
    relation = await _table(rig)
    rig.execute(
        "CREATE TRIGGER refuses BEFORE INSERT ON t FOR EACH ROW"
        " BEGIN IF NEW.id = 3 THEN SIGNAL SQLSTATE '45000'; END IF; END"
    )
    with pytest.raises(RowRejectedError):
        await rig.apply(Run(INSERT, relation, _rows(5), net=True))
    assert _held(rig)[0][0] == 0


async def test_a_row_to_change_that_is_missing_is_told_as_such(rig: Rig) -> None:
    relation = await _table(rig)
    await rig.apply(Run(INSERT, relation, _rows(), net=True))
    changed = [row(str(n), "changed") for n in range(MANY + 2)]
    with pytest.raises(RowMissingError, match="2 of 302 rows"):
        await rig.apply(Run(UPDATE, relation, changed, (0, 1), net=True))
    assert rig.execute("SELECT COUNT(*) FROM t WHERE name = 'changed'") == [(0,)]


async def test_generated_columns_and_columns_of_the_target_alone_stay_its_own(rig: Rig) -> None:
    rig.execute(
        "CREATE TABLE s (id int PRIMARY KEY, name varchar(20) NOT NULL,"
        " size int AS (id * 2) VIRTUAL)"
    )
    await _table(rig, ", size int AS (id * 2) STORED, own int DEFAULT 7")
    relation = await rig.relation(like="s")
    rows = [row(str(n), "x", "0") for n in range(MANY)]
    await rig.apply(Run(INSERT, relation, rows, net=True))
    assert rig.execute("SELECT COUNT(*), SUM(size = id * 2), SUM(own) FROM t") == [
        (MANY, MANY, 7 * MANY)
    ]


async def test_a_server_that_allows_no_load_any_more_gets_statements(rig: Rig) -> None:
    relation = await _table(rig)
    with rig.database.server.settings_kept():
        rig.execute("SET GLOBAL local_infile = OFF")
        with pytest.raises(RowRejectedError):
            await rig.apply(Run(INSERT, relation, _rows(), net=True))
        await rig.apply(Run(INSERT, relation, _rows(), net=True))
    assert _held(rig)[0][0] == MANY


async def test_without_the_right_to_load_statements_are_used(rig: Rig) -> None:
    relation = await _table(rig)
    rig.session.loads = False
    loads = _loads(rig)
    await rig.apply(Run(INSERT, relation, _rows(), net=True))
    assert (_held(rig)[0][0], _loads(rig)) == (MANY, loads)
