"""Comparing real servers: hand-made copies, mutations, and tables of every kind of key."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import pytest

from connectors.postgres.compare import PostgresComparable
from engine.errors import ComparisonError
from engine.model.relation import TableName
from engine.validate.compare import Limits, TablePair, compare
from engine.validate.report import KeyDifference, Report, TableReport
from tests.integration.postgres_compare.system_clock import SystemClock
from tests.servers.postgres import Cluster, Database

pytestmark = pytest.mark.in_turn

SMALL: Final = Limits(span_rows=7, listed_rows_max=20, suspects_max=10, patience_seconds=2.0)
"""Limits that cut tables of a few dozen rows into many pieces."""

Comparing = Callable[..., Awaitable[TableReport]]


@pytest.fixture
async def compared(
    source_database: Database, target_database: Database
) -> AsyncIterator[Comparing]:
    """Compares one table of the two databases."""
    source = PostgresComparable("source", source_database.dsn)
    target = PostgresComparable("target", target_database.dsn)

    async def run(name: str = "t", schema: str = "public", limits: Limits = SMALL) -> TableReport:
        table = TableName(schema, name)
        report = await compare(
            [TablePair(table, table)],
            source,
            target,
            replication="r",
            clock=SystemClock(),
            limits=limits,
        )
        return report.tables[0]

    yield run
    await source.close()
    await target.close()


@pytest.fixture
def both(source_database: Database, target_database: Database) -> Callable[[str], None]:
    """Runs statements on both sides."""

    def run(sql: str) -> None:
        source_database.execute(sql)
        target_database.execute(sql)

    return run


KEYED: Final = {
    "integers": ("id int PRIMARY KEY, v text", "g, 'v' || g"),
    "two columns": ("a int, v text, b uuid, PRIMARY KEY (b, a)", "g, 'v', md5(g::text)::uuid"),
    "text, C": ('k text COLLATE "C" PRIMARY KEY, v int', "md5(g::text), g"),
    "text, ICU": ('k text COLLATE "und-x-icu" PRIMARY KEY, v int', "md5(g::text), g"),
    "numeric": ("k numeric PRIMARY KEY, v int", "g / 4.0, g"),
    "timestamps": ("k timestamptz PRIMARY KEY, v int", "now() + g * interval '1 s', g"),
    "padded": ("k char(12) PRIMARY KEY, v char(5)", "'k' || g, 'x'"),
    "arrays": ("k int[] PRIMARY KEY, v int", "ARRAY[g, NULL], g"),
    "quoted": ('"Key, ""é""" int PRIMARY KEY, "select" text', "g, 'v'"),
}


@pytest.mark.parametrize("kind", KEYED)
async def test_equal_copies_are_equal_whatever_the_key(
    kind: str,
    both: Callable[[str], None],
    source_database: Database,
    target_database: Database,
    compared: Comparing,
) -> None:
    columns, values = KEYED[kind]
    both(f"CREATE TABLE t ({columns})")
    source_database.execute(f"INSERT INTO t SELECT {values} FROM generate_series(1, 50) g")
    _copy(source_database, target_database)
    report = await compared()
    assert (report.equal, report.rows_source, report.rows_target) == (True, 50, 50)
    assert report.keyed


@pytest.mark.parametrize("kind", KEYED)
async def test_each_mutation_is_found_by_its_key(
    kind: str,
    both: Callable[[str], None],
    source_database: Database,
    target_database: Database,
    compared: Comparing,
) -> None:
    columns, values = KEYED[kind]
    both(f"CREATE TABLE t ({columns})")
    source_database.execute(f"INSERT INTO t SELECT {values} FROM generate_series(1, 50) g")
    _copy(source_database, target_database)
    target_database.execute("DELETE FROM t WHERE ctid = '(0,5)'")
    source_database.execute("DELETE FROM t WHERE ctid = '(0,30)'")
    last = target_database.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0"
        " AND NOT attnum = ANY((SELECT indkey FROM pg_index WHERE indrelid = attrelid)::int2[])"
    )[0][0]
    target_database.execute(f"UPDATE t SET \"{last}\" = NULL WHERE ctid = '(0,11)'")
    report = await compared()
    assert (report.missing, report.extra, report.different, report.unsettled) == (1, 1, 1, 0)
    assert (report.rows_source, report.rows_target) == (49, 49)
    assert sorted(found.kind for found in report.keys) == ["different", "extra", "missing"]


async def test_the_key_listed_is_the_one_that_differs(
    both: Callable[[str], None], target_database: Database, compared: Comparing
) -> None:
    both("CREATE TABLE t (a int, b text, v int, PRIMARY KEY (a, b))")
    both("INSERT INTO t SELECT g, 'x' || g, g FROM generate_series(1, 40) g")
    target_database.execute("UPDATE t SET v = 0 WHERE a = 23")
    report = await compared()
    assert report.keys == [KeyDifference("different", ("23", "x23"))]


async def test_rows_without_key_are_compared_as_a_multiset(
    both: Callable[[str], None], target_database: Database, compared: Comparing
) -> None:
    both("CREATE TABLE t (a int, b text)")
    both("INSERT INTO t SELECT g % 5, NULL FROM generate_series(1, 50) g")
    assert (await compared()).equal
    target_database.execute("DELETE FROM t WHERE ctid = '(0,1)'")
    report = await compared()
    assert (report.keyed, report.missing, report.extra) == (False, 1, 0)
    assert (report.rows_source, report.rows_target) == (50, 49)
    target_database.execute("UPDATE t SET b = '' WHERE ctid = '(0,2)'")
    report = await compared()
    assert (report.missing, report.extra, report.different) == (2, 1, 0)


async def test_null_and_an_empty_string_differ(
    both: Callable[[str], None], target_database: Database, compared: Comparing
) -> None:
    both("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, NULL)")
    target_database.execute("UPDATE t SET v = ''")
    assert (await compared()).different == 1


async def test_trailing_blanks_and_scale_count(
    both: Callable[[str], None], target_database: Database, compared: Comparing
) -> None:
    both("CREATE TABLE t (id int PRIMARY KEY, v text, n numeric)")
    both("INSERT INTO t VALUES (1, 'a', 1.0), (2, 'b', 2.0)")
    target_database.execute("UPDATE t SET v = 'a ' WHERE id = 1")
    target_database.execute("UPDATE t SET n = 2.00 WHERE id = 2")
    assert (await compared()).different == 2


async def test_column_order_and_columns_of_the_target_alone_do_not_matter(
    source_database: Database, target_database: Database, compared: Comparing
) -> None:
    source_database.execute("CREATE TABLE t (id int PRIMARY KEY, a int, b text)")
    target_database.execute("CREATE TABLE t (b text, own int, a bigint, id int PRIMARY KEY)")
    source_database.execute("INSERT INTO t VALUES (1, 2, 'x')")
    target_database.execute("INSERT INTO t VALUES ('x', 7, 2, 1)")
    assert (await compared()).equal


async def test_types_whose_text_depends_on_the_session_or_on_oids_compare_equal(
    both: Callable[[str], None], source_database: Database, compared: Comparing
) -> None:
    source_database.execute("CREATE TABLE only_here (a int)")  # other oids on this side
    both("CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TYPE pair AS (a int, b mood)")
    both("CREATE TABLE named (a int)")
    both(
        "CREATE TABLE t (id int PRIMARY KEY, f float8, g real, d date, ts timestamptz, i interval,"
        " b bytea, m money, x xml, j jsonb, r regclass, p pair, e mood[], n int4range, c char(9))"
    )
    both(
        "INSERT INTO t VALUES (1, 'NaN', 1.1::real / 3, '0044-03-15 BC', 'infinity', '1 mon -3 d',"
        " '\\x00ff', 12.5, '<a/>', '{\"b\": 1}', 'named', '(1,ok)', '{sad}', '[1,5)', 'ab')"
    )
    for database, zone in ((source_database, "Asia/Tokyo"),):
        database.execute(f"ALTER DATABASE \"{database.name}\" SET timezone = '{zone}'")
        database.execute(f"ALTER DATABASE \"{database.name}\" SET datestyle = 'SQL, DMY'")
        database.execute(f'ALTER DATABASE "{database.name}" SET extra_float_digits = 0')
    assert (await compared()).equal


async def test_a_key_of_a_type_made_by_the_user_is_compared_too(
    both: Callable[[str], None], target_database: Database, compared: Comparing
) -> None:
    both("CREATE TYPE size AS ENUM ('s', 'm', 'l'); CREATE TYPE pair AS (a int, b text)")
    both("CREATE TABLE t (k size PRIMARY KEY, v int); INSERT INTO t VALUES ('l', 1), ('s', 2)")
    both("CREATE TABLE u (k pair PRIMARY KEY, v int); INSERT INTO u VALUES ('(1,a)', 1)")
    assert (await compared("t")).equal
    assert (await compared("u")).equal
    target_database.execute("UPDATE t SET v = 3 WHERE k = 'l'; UPDATE u SET v = 3")
    assert (await compared("t")).keys == [KeyDifference("different", ("l",))]
    assert (await compared("u")).keys == [KeyDifference("different", ("(1,a)",))]


async def test_an_empty_target_misses_every_row_and_lists_the_first_ones(
    both: Callable[[str], None], target_database: Database, compared: Comparing
) -> None:
    both("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 200)")
    target_database.execute("TRUNCATE t")
    report = await compared(limits=Limits(span_rows=16, suspects_max=50, keys_max=10))
    assert (report.missing, len(report.keys), report.rows_target) == (200, 10, 0)


async def test_a_far_larger_target_is_read_in_its_own_key_ranges(
    both: Callable[[str], None], source_database: Database, compared: Comparing
) -> None:
    both("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 200)")
    source_database.execute("DELETE FROM t WHERE id NOT IN (5, 100)")
    report = await compared()
    assert (report.extra, report.missing, report.rows_target) == (198, 0, 200)


async def test_a_key_stored_twice_in_the_target_differs(
    source_database: Database, target_database: Database, compared: Comparing
) -> None:
    source_database.execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1), (2)")
    target_database.execute("CREATE TABLE t (id int); INSERT INTO t VALUES (1), (2), (2)")
    report = await compared()
    assert (report.different, report.rows_target) == (1, 3)


async def test_a_partitioned_table_is_compared_as_one(
    source_database: Database, target_database: Database, compared: Comparing
) -> None:
    source_database.execute(
        "CREATE TABLE t (id int PRIMARY KEY) PARTITION BY HASH (id);"
        "CREATE TABLE t0 PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER 0);"
        "CREATE TABLE t1 PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER 1)"
    )
    target_database.execute("CREATE TABLE t (id int PRIMARY KEY)")
    for database in (source_database, target_database):
        database.execute("INSERT INTO t SELECT generate_series(1, 30)")
    report = await compared()
    assert (report.equal, report.rows_source) == (True, 30)


async def test_rows_of_inheriting_tables_are_not_counted_to_the_parent(
    both: Callable[[str], None], source_database: Database, compared: Comparing
) -> None:
    both("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
    source_database.execute("CREATE TABLE child () INHERITS (t); INSERT INTO child VALUES (2)")
    report = await compared()
    assert (report.equal, report.rows_source) == (True, 1)


async def test_a_generated_column_that_the_target_lacks_is_named(
    source_database: Database, target_database: Database, compared: Comparing
) -> None:
    source_database.execute(
        "CREATE TABLE t (id int PRIMARY KEY, twice int GENERATED ALWAYS AS (id * 2) STORED)"
    )
    target_database.execute("CREATE TABLE t (id int PRIMARY KEY)")
    for database in (source_database, target_database):
        database.execute("INSERT INTO t (id) VALUES (1)")
    report = await compared()
    assert (report.equal, report.left_out) == (True, ("twice",))


async def test_databases_of_other_encodings_hash_alike(
    source_database: Database, clusters: object, postgres: Cluster
) -> None:
    postgres.execute("DROP DATABASE IF EXISTS latin")
    postgres.execute(
        "CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'"
    )
    latin = Database(postgres, "latin")
    try:
        for database in (source_database, latin):
            database.execute("CREATE TABLE t (id int PRIMARY KEY, v text)")
            database.execute("INSERT INTO t VALUES (1, U&'Gr\\00FC\\00DFe')")
        report = await _whole(source_database, latin)
        assert (report.method, report.exit_code, report.tables[0].rows_source) == ("sha256", 0, 1)
    finally:
        latin.drop()


async def test_a_table_that_is_not_there_could_not_be_compared(
    source_database: Database, compared: Comparing
) -> None:
    source_database.execute("CREATE TABLE t (id int)")
    assert (await compared()).problem == "target: there is no table public.t"


async def test_a_missing_column_is_named(
    source_database: Database, target_database: Database, compared: Comparing
) -> None:
    source_database.execute("CREATE TABLE t (id int PRIMARY KEY, a int)")
    target_database.execute("CREATE TABLE t (id int PRIMARY KEY)")
    assert "lacks columns of public.t: a" in (await compared()).problem


async def test_missing_privileges_and_hidden_rows_are_problems_not_differences(
    both: Callable[[str], None], source_database: Database, target_database: Database
) -> None:
    both("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'secret')")
    both("CREATE TABLE u (id int PRIMARY KEY); INSERT INTO u VALUES (1)")
    role = f"reader_{target_database.name}"
    target_database.execute(f"CREATE ROLE {role} LOGIN; GRANT SELECT ON u TO {role}")
    target_database.execute("ALTER TABLE u ENABLE ROW LEVEL SECURITY")
    try:
        report = await _whole(source_database, target_database, user=role, names=("t", "u"))
        assert report.exit_code == 3
        assert "permission denied for table t" in report.tables[0].problem
        assert "row-level security" in report.tables[1].problem
        assert "secret" not in report.text()
    finally:
        target_database.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


async def test_a_side_that_does_not_answer_is_an_error_without_its_password() -> None:
    side = PostgresComparable("source", "postgresql://u:hunter2@127.0.0.1:1/db")
    with pytest.raises(ComparisonError, match=r"source: connecting: connection failed") as caught:
        await side.open()
    assert "hunter2" not in str(caught.value)


async def test_nothing_is_written(
    both: Callable[[str], None], source_database: Database, compared: Comparing
) -> None:
    both("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
    before = source_database.execute("SELECT pg_current_xact_id()::text::bigint")[0][0]
    await compared()
    after = source_database.execute("SELECT pg_current_xact_id()::text::bigint")[0][0]
    assert after == before + 1


def _copy(source: Database, target: Database) -> None:
    """Copy table t by its values' text."""
    for (row,) in source.execute("SELECT t.*::text FROM t"):
        target.execute("INSERT INTO t SELECT (%s::t).*", row)


async def _whole(
    source: Database, target: Database, user: str = "postgres", names: tuple[str, ...] = ("t",)
) -> Report:
    left = PostgresComparable("source", source.dsn)
    right = PostgresComparable("target", target.cluster.dsn(target.name, user=user))
    pairs = [TablePair(TableName("public", name), TableName("public", name)) for name in names]
    try:
        return await compare(pairs, left, right, replication="r", clock=SystemClock())
    finally:
        await left.close()
        await right.close()
