"""Schema changes in `transactional` mode: followed inside their transactions, or the end."""

import asyncio

import pytest

from engine.errors import SchemaChangeError
from tests.integration.postgres_schema_changes.conftest import Pipe
from tests.integration.postgres_schema_changes.test_followed import FOLLOWED, USE

pytestmark = pytest.mark.in_turn

MODE = "transactional"
MORE_THAN_A_BLOCK = "INSERT INTO o SELECT 1000 + g, 0 FROM generate_series(1, 40000) g"
NOTED = "noted text DEFAULT pg_current_xact_id()::text"
INTERLEAVED = ("several at once", "rename", "drop and add the same", "wider integer")


@pytest.fixture(autouse=True)
def other(pipe: Pipe) -> None:
    """A second table, that the same transactions write."""
    pipe.source.execute("CREATE TABLE o (id int PRIMARY KEY, n int)")


@pytest.mark.parametrize("sql", [FOLLOWED[name] for name in INTERLEAVED], ids=INTERLEAVED)
async def test_a_change_between_rows_of_two_tables_is_followed_in_its_transaction(
    pipe: Pipe, sql: str
) -> None:
    """The second of two transactions comes in several blocks, so it is applied in pieces, each
    behind a savepoint: a row's `xmin` is that of the savepoint, the transaction's own number is
    what a default notes."""
    async with pipe.running(mode=MODE):
        for table in ("o", "t"):
            pipe.target.execute(f"ALTER TABLE {table} ADD {NOTED}")
        for number in (500, 600):
            change = sql if number == 500 else MORE_THAN_A_BLOCK
            await pipe.execute(
                f"BEGIN; INSERT INTO o VALUES ({number}, 0); INSERT INTO t (id) VALUES ({number});"
                f"{change}; UPDATE o SET n = 1 WHERE id = {number};"
                f"INSERT INTO t (id) VALUES ({number + 1}); COMMIT"
            )
        await pipe.execute(USE)
        await pipe.passed()
        await pipe.equal()
        await pipe.equal("o")
    assert pipe.record()[0] == "streaming"
    whole = "SELECT count(*), count(DISTINCT noted) FROM ({0} o {1} UNION ALL {0} t {1}) r"
    for number in (500, 600):
        rows = whole.format("SELECT noted FROM", f"WHERE id IN ({number}, {number + 1})")
        assert pipe.target.execute(rows) == [(3, 1)]


REFUSED = {
    "computed": ("ALTER TABLE t ADD d float8 DEFAULT random()", True, "computed default"),
    "another type": ("ALTER TABLE t ALTER b TYPE text", True, "from integer to text"),
    "two readings": ("ALTER TABLE t DROP a, ADD a2 int", False, "renamed"),
}


@pytest.mark.parametrize(("sql", "capture", "word"), REFUSED.values(), ids=REFUSED.keys())
async def test_a_change_that_cannot_be_followed_ends_the_replication_before_its_transaction(
    pipe: Pipe, sql: str, capture: bool, word: str
) -> None:
    # What was asked for while nothing ran comes before the change that would end it again.
    await pipe.execute("INSERT INTO o VALUES (1, 0)")

    async def until_refused() -> None:
        async with pipe.running(mode=MODE, capture=capture, requests_seconds=5.0) as work:
            await pipe.execute("UPDATE o SET n = 1")
            await pipe.equal("o")
            await pipe.execute(
                f"BEGIN; UPDATE o SET n = 2; {sql}; INSERT INTO t (id) VALUES (9); COMMIT"
            )
            await pipe.execute("UPDATE o SET n = 3")
            await asyncio.wait([work])

    with pytest.raises(SchemaChangeError, match=word) as caught:
        await until_refused()
    assert "public.t" in caught.value.message
    assert pipe.target.execute("SELECT n FROM o") == [(1,)]
    with pytest.raises(SchemaChangeError, match=word):
        async with pipe.running(mode=MODE, capture=capture) as work:
            await asyncio.wait([work])
    if "TYPE text" in sql:
        pipe.target.execute("ALTER TABLE t ALTER b TYPE text")
    pipe.target.execute("UPDATE penstock.table_state SET asked = asked + 1 WHERE table_name = 't'")
    async with pipe.running(mode=MODE, capture=capture):
        await pipe.equal()
        await pipe.equal("o")
        await pipe.execute("UPDATE t SET b = NULL; UPDATE o SET n = 4")
        await pipe.equal()
        await pipe.equal("o")
    assert pipe.record()[0] == "streaming"


@pytest.mark.parametrize("capture", [True, False])
async def test_a_table_made_again_in_one_transaction_is_loaded_and_the_others_go_on(
    pipe: Pipe, capture: bool
) -> None:
    """As one is that is made again later: nobody can tell how transactions fall into batches."""
    await pipe.execute("INSERT INTO o VALUES (1, 0)")
    async with pipe.running(mode=MODE, capture=capture):
        await pipe.execute("UPDATE o SET n = 1")
        await pipe.equal("o")
        await pipe.execute(
            "BEGIN; UPDATE o SET n = 2; DROP TABLE t;"
            "CREATE TABLE t (id int PRIMARY KEY, a int, b int, c varchar(5));"
            "INSERT INTO t (id) VALUES (9); UPDATE o SET n = 3; COMMIT"
        )
        await pipe.equal("o")
        await pipe.equal()
        await pipe.execute("UPDATE t SET a = 10; UPDATE o SET n = 4")
        await pipe.equal()
        await pipe.equal("o")
    assert pipe.record()[0] == "streaming"
