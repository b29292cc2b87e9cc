"""Which bytes go through, which are cast, which pairs are refused."""

from dataclasses import replace

import pytest

from connectors.postgres.newer_values import INFINITE_INTERVALS_FROM
from engine.errors import RowRejectedError, SchemaMismatchError, TargetBusyError
from engine.model.batch import Run
from engine.model.change import DELETE, INSERT, UPDATE
from engine.model.relation import Format, Relation
from engine.model.value import Row
from tests.integration.postgres_target.conftest import Rig

pytestmark = pytest.mark.in_turn

SIZES = (3, 300)

WIDENED = (
    ("int", "bigint", "g"),
    ("smallint", "numeric(7,2)", "g"),
    ("real", "double precision", "g / 3.0"),
    ("numeric(10,2)", "numeric(12,4)", "g / 100.0"),
    ("varchar(10)", "text", "'v' || g"),
    ("varchar(10)", "varchar(20)", "'v' || g"),
    ("date", "timestamp", "date '2026-01-01' + g"),
    ("timestamp(3)", "timestamp", "timestamp '2026-01-01 12:34:56.789' + g * interval '1 day'"),
    ("jsonb", "text", "to_jsonb(g)"),
    ("int[]", "bigint[]", "ARRAY[g, NULL]"),
    ("uuid", "text", "md5(g::text)::uuid"),
    ("s.mood", "text", "'ok'"),
    ("s.mood", "more.mood", "'ok'"),
)  # fmt: skip

REFUSED = (
    ("int", "real"),
    ("bigint", "timestamp"),
    ("timestamptz", "timestamp"),
    ("date", "int"),
    ("uuid", "bytea"),
    ("money", "bigint"),
    ("numeric", "numeric(10,2)"),
    ("text", "varchar(10)"),
    ("json", "jsonb"),
    ("bigint", "int"),
    ("s.pair", "text"),
)

THROUGH = (
    ("citext", "'Word' || g", "public.citext"),
    ("hstore", "hstore('k', g::text)", "public.hstore"),
    ("s.mood[]", "ARRAY['ok']::s.mood[]", ""),
    ("s.pair", "ROW(g, 'x')::s.pair", ""),
    ("s.positive", "g", ""),
    ("int4range", "int4range(g, g + 2)", ""),
    ("s.span", "s.span(g, g + 2)", ""),
    ("char(5)", "'v' || g", ""),
    ("bit(3)", "B'101'", ""),
    ("interval", "g * interval '1 day'", ""),
    ("tsvector", "to_tsvector('simple', 'a b')", ""),
    ("numeric", "'NaN'", ""),
    ("bytea", "'\\x00ff'", ""),
)


@pytest.fixture(autouse=True)
def types(rig: Rig) -> None:
    rig.execute(
        "CREATE EXTENSION citext; CREATE EXTENSION hstore; CREATE SCHEMA s; CREATE SCHEMA more;"
        "CREATE TYPE s.mood AS ENUM ('sad', 'ok'); CREATE TYPE s.pair AS (a int, b text);"
        "CREATE DOMAIN s.positive AS int CHECK (VALUE > 0) NOT NULL;"
        "CREATE TYPE s.span AS RANGE (subtype = float8);"
        "CREATE TYPE more.mood AS ENUM ('sad', 'so so', 'ok')"
    )


async def relation(rig: Rig, sent: str, stored: str) -> Relation:
    rig.execute(f"CREATE TABLE s.t (id int PRIMARY KEY, v {sent})")
    rig.execute(f"CREATE TABLE t (id int PRIMARY KEY, v {stored})")
    return await rig.relation("t", like="s.t")


def wire(rig: Rig, count: int, sent: str, value: str) -> list[Row]:
    return rig.wire(f"SELECT g, ({value})::{sent} FROM generate_series(1, {count}) g")


def as_mood_of(found: Relation) -> Relation:
    """An enum of the same name with other labels, as the source's catalog would tell it."""
    columns = [
        replace(c, type=replace(c.type, name="more.mood")) if c.type.name == "s.mood" else c
        for c in found.columns
    ]
    return replace(found, columns=tuple(columns))


async def all_kinds(rig: Rig, found: Relation, rows: list[Row]) -> None:
    """Insert, update, and delete one; afterwards one row is gone."""
    await rig.apply(Run(INSERT, found, rows, net=True))
    await rig.apply(Run(UPDATE, found, rows, (0, 1), net=True))
    await rig.apply(Run(DELETE, found, rows[:1], net=True))


@pytest.mark.parametrize("count", SIZES)
@pytest.mark.parametrize(("sent", "stored", "value"), WIDENED)
async def test_a_wider_type_takes_the_value_as_the_server_casts_it(
    rig: Rig, count: int, sent: str, stored: str, value: str
) -> None:
    found = await relation(rig, sent, stored)
    if stored == "more.mood":
        found = as_mood_of(found)
    await all_kinds(rig, found, wire(rig, count, sent, value))
    cast = (
        f"({value})::{sent}::text::{stored}" if "mood" in sent else (f"({value})::{sent}::{stored}")
    )
    assert rig.rows("SELECT id, v::text FROM t ORDER BY 1") == rig.rows(
        f"SELECT g, ({cast})::text FROM generate_series(2, {count}) g"
    )


@pytest.mark.parametrize(("sent", "stored"), REFUSED)
async def test_what_would_lose_or_lie_is_refused(rig: Rig, sent: str, stored: str) -> None:
    found = await relation(rig, sent, stored)
    with pytest.raises(SchemaMismatchError, match=r"column v is .+ on the source") as caught:
        await rig.apply(Run(INSERT, found, wire(rig, 1, sent, "NULL")))
    target_type = rig.rows(
        "SELECT format_type(atttypid, atttypmod) FROM pg_attribute"
        " WHERE attrelid = 'public.t'::regclass AND attname = 'v'"
    )[0][0]
    assert str(target_type) in str(caught.value)


@pytest.mark.parametrize("count", SIZES)
@pytest.mark.parametrize(("sent", "value", "qualified"), THROUGH)
async def test_equal_types_pass_through(
    rig: Rig, count: int, sent: str, value: str, qualified: str
) -> None:
    name = qualified or sent
    found = await relation(rig, name, name)
    if name in ("s.mood[]", "s.pair") and int(rig.database.cluster.major) < 14:
        # These carry OIDs of the source, which the older server compares with its own.
        with pytest.raises(SchemaMismatchError, match="before 14 does not take in binary form"):
            await rig.apply(Run(INSERT, found, wire(rig, 1, name, value)))
        return
    await all_kinds(rig, found, wire(rig, count, name, value))
    assert rig.rows("SELECT v::text FROM t ORDER BY id") == rig.rows("SELECT ("
        f"({value})::{name})::text FROM generate_series(2, {count}) g")  # fmt: skip


@pytest.mark.parametrize("count", SIZES)
@pytest.mark.parametrize(
    ("sent", "stored", "value"),
    [
        ("varchar(4)", "varchar(4)", "'v' || g"),
        ("s.mood", "s.mood", "'ok'"),
        ("int", "bigint", "g"),
        ("numeric(10,2)", "numeric", "g"),
        ("regclass", "regclass", "'pg_class'::regclass"),
        ("s.pair", "s.pair", "ROW(g, 'x,\"y')::s.pair"),
        ("real", "double precision", "g / 3.0"),
    ],
)
async def test_text_columns_are_cast_by_the_target(
    rig: Rig, count: int, sent: str, stored: str, value: str
) -> None:
    found = await relation(rig, sent, stored)
    id_, column = found.columns
    found = replace(found, columns=(id_, replace(column, format=Format.TEXT)))
    text = f"({value})::{sent}::text"
    await all_kinds(rig, found, wire(rig, count, "text", text))
    assert rig.rows("SELECT v::text FROM t ORDER BY id") == rig.rows(
        f"SELECT (({value})::{sent}::{stored})::text FROM generate_series(2, {count}) g"
    )


async def test_a_key_whose_equality_is_not_the_ordinary_one_uses_its_index(rig: Rig) -> None:
    rig.execute("CREATE TABLE t (id public.citext PRIMARY KEY, v int)")
    rig.execute("INSERT INTO t SELECT 'Key' || g, 0 FROM generate_series(1, 20000) g; ANALYZE t")
    found = await rig.relation()
    for count in SIZES:
        rows = rig.wire(f"SELECT ('KEY' || g)::public.citext, g FROM generate_series(1, {count}) g")
        await rig.apply(Run(UPDATE, found, rows, (0, 1), net=True))
        assert rig.rows("SELECT count(*) FROM t WHERE v > 0") == [(count,)]


@pytest.mark.parametrize("count", SIZES)
async def test_text_that_is_too_long_is_refused_and_never_cut(rig: Rig, count: int) -> None:
    """The source's own declaration agrees, its value does not: a cast would cut it silently."""
    found = await relation(rig, "varchar(4)", "varchar(4)")
    id_, column = found.columns
    found = replace(found, columns=(id_, replace(column, format=Format.TEXT)))
    with pytest.raises(RowRejectedError) as caught:
        await rig.apply(Run(INSERT, found, wire(rig, count, "text", "'12345 secret'"), net=True))
    assert caught.value.sqlstate == "22001"
    assert "secret" not in str(caught.value)


# --- the target's own columns ---------------------------------------------------------------------


async def test_a_column_the_target_lacks_is_refused(rig: Rig) -> None:
    rig.execute("CREATE TABLE s.t (id int PRIMARY KEY, v int); CREATE TABLE t (id int PRIMARY KEY)")
    found = await rig.relation("t", like="s.t")
    with pytest.raises(SchemaMismatchError, match="no column v"):
        await rig.apply(Run(INSERT, found, rig.wire("SELECT 1, 1")))


async def test_a_table_the_target_lacks_is_refused(rig: Rig) -> None:
    rig.execute("CREATE TABLE s.t (id int PRIMARY KEY)")
    found = await rig.relation("t", like="s.t")
    with pytest.raises(SchemaMismatchError, match="no such table"):
        await rig.apply(Run(INSERT, found, rig.wire("SELECT 1")))


@pytest.mark.parametrize(
    ("column", "refused"),
    [("int", False), ("int NOT NULL DEFAULT 7", False), ("int NOT NULL", True)],
)
async def test_extra_columns_need_a_value_of_their_own(
    rig: Rig, column: str, refused: bool
) -> None:
    rig.execute(
        f"CREATE TABLE s.t (id int PRIMARY KEY); CREATE TABLE t (id int PRIMARY KEY, x {column})"
    )
    found = await rig.relation("t", like="s.t")
    run = Run(INSERT, found, rig.wire("SELECT g FROM generate_series(1, 100) g"), net=True)
    if not refused:
        await rig.apply(run)
        return
    with pytest.raises(SchemaMismatchError, match="column x is NOT NULL"):
        await rig.apply(run)


# --- a table that is altered meanwhile ------------------------------------------------------------


@pytest.mark.parametrize("count", SIZES)
@pytest.mark.parametrize("kind", [INSERT, UPDATE])
async def test_a_column_retyped_behind_our_back_is_never_written_wrongly(
    rig: Rig, count: int, kind: int
) -> None:
    """int8 bytes would go into a timestamp column, numeric be rounded to int, without a word."""
    rig.execute("CREATE TABLE t (id int PRIMARY KEY, a bigint, n numeric)")
    found = await rig.relation()
    rows = rig.wire(f"SELECT g, 5::int8, 1.5::numeric FROM generate_series(1, {count}) g")
    more = rig.wire(f"SELECT g + 1000, 6::int8, 2.5::numeric FROM generate_series(1, {count}) g")
    await rig.apply(Run(INSERT, found, rows, net=True))
    await rig.apply(Run(UPDATE, found, rows, (0, 1, 2), net=True))
    rig.execute("ALTER TABLE t DROP COLUMN a; ALTER TABLE t ADD COLUMN a timestamp;"
                "ALTER TABLE t ALTER COLUMN n TYPE int")  # fmt: skip
    before = rig.rows()
    run = (
        Run(INSERT, found, more, net=True)
        if kind == INSERT
        else (Run(UPDATE, found, rows, (0, 1, 2), net=True))
    )
    with pytest.raises(TargetBusyError):
        await rig.apply(run)
    with pytest.raises(SchemaMismatchError, match="column a is bigint"):
        await rig.apply(run)
    assert rig.rows() == before


@pytest.mark.parametrize("count", SIZES)
@pytest.mark.parametrize(
    "change",
    ["ADD COLUMN extra int", "ALTER COLUMN a TYPE bigint", "ADD COLUMN e int DEFAULT 3 NOT NULL"],
)
async def test_harmless_ddl_costs_one_retry(rig: Rig, count: int, change: str) -> None:
    rig.execute("CREATE TABLE t (id int PRIMARY KEY, a int)")
    found = await rig.relation()
    rows = rig.wire(f"SELECT g, g FROM generate_series(1, {count}) g")
    runs = (
        Run(INSERT, found, rows, net=True),
        Run(UPDATE, found, rows, (0, 1), net=True),
        Run(DELETE, found, rows, net=True),
    )
    await rig.apply(*runs)
    rig.execute(f"ALTER TABLE t {change}")
    with pytest.raises(TargetBusyError):
        await rig.apply(*runs)
    await rig.apply(*runs)
    assert rig.rows() == []


async def test_dropped_prepared_statements_cost_one_retry(rig: Rig) -> None:
    rig.execute("CREATE TABLE t (id int PRIMARY KEY)")
    found = await rig.relation()
    await rig.apply(Run(INSERT, found, rig.wire("SELECT 1")))
    await rig.session.run("DEALLOCATE ALL")
    with pytest.raises(TargetBusyError):
        await rig.apply(Run(INSERT, found, rig.wire("SELECT 2")))
    await rig.apply(Run(INSERT, found, rig.wire("SELECT 2")))
    assert rig.rows() == [(1,), (2,)]


@pytest.mark.parametrize("count", SIZES)
async def test_a_value_that_only_newer_servers_have_arrives_or_is_refused(
    rig: Rig, count: int
) -> None:
    """An older server would store a finite interval and say nothing."""
    found = await relation(rig, "interval", "interval")
    ends = [bytes.fromhex(e) for e in ("7f" + "ff" * 7, "7fffffff", "7fffffff")]
    rows: list[Row] = [(n.to_bytes(4, "big"), b"".join(ends)) for n in range(count)]
    if rig.session.version < INFINITE_INTERVALS_FROM:
        with pytest.raises(RowRejectedError, match="an infinite interval"):
            await rig.apply(Run(INSERT, found, rows, net=True))
    else:
        await rig.apply(Run(INSERT, found, rows, net=True))
    stored = rig.rows("SELECT DISTINCT v::text FROM t")
    assert stored == ([("infinity",)] if rig.seq else [])
