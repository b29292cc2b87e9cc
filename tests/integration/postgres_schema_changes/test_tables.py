"""Tables that come, go, change their names, or are made again, with event triggers and without."""

import pytest

from tests.integration.postgres_schema_changes.conftest import Pipe

pytestmark = pytest.mark.in_turn

BOTH = pytest.mark.parametrize("capture", [True, False], ids=["triggers", "no triggers"])


@BOTH
async def test_a_new_table_is_loaded_and_streams(pipe: Pipe, capture: bool) -> None:
    async with pipe.running(capture=capture):
        await pipe.execute("CREATE TABLE fresh (id int PRIMARY KEY, v text);"
                           "INSERT INTO fresh VALUES (1, 'a')")  # fmt: skip
        await pipe.equal("fresh")
        await pipe.execute("INSERT INTO fresh VALUES (2, 'b'); ALTER TABLE fresh RENAME v TO w")
        await pipe.execute("INSERT INTO fresh VALUES (3, 'c')")
        if capture:
            await pipe.equal("fresh")


@BOTH
async def test_a_dropped_table_stays_on_the_target(pipe: Pipe, capture: bool) -> None:
    async with pipe.running(capture=capture):
        await pipe.execute("INSERT INTO t VALUES (4, 4, 4, '4')")
        await pipe.equal()
        await pipe.execute("DROP TABLE t")
        await pipe.state("needs-reload")
        await pipe.passed()
    assert pipe.target.execute("SELECT count(*) FROM t") == [(4,)]


@BOTH
async def test_a_table_made_again_is_another_table(pipe: Pipe, capture: bool) -> None:
    async with pipe.running(capture=capture):
        await pipe.equal()
        await pipe.execute(
            "DROP TABLE t; CREATE TABLE t (id int PRIMARY KEY, a int, b int, c varchar(5));"
            "INSERT INTO t VALUES (1, 1, 1, 'new')"
        )
        await pipe.equal()
        await pipe.execute("UPDATE t SET a = 5; INSERT INTO t VALUES (2)")
        await pipe.equal()
    assert pipe.record()[0] == "streaming"


@BOTH
async def test_a_renamed_table_is_loaded_under_its_new_name(pipe: Pipe, capture: bool) -> None:
    async with pipe.running(capture=capture):
        await pipe.execute("UPDATE t SET a = 1")
        await pipe.equal()
        await pipe.execute("ALTER TABLE t RENAME TO u; INSERT INTO u VALUES (8)")
        await pipe.equal("u")
        await pipe.state("needs-reload")
        await pipe.execute("UPDATE u SET a = 2")
        await pipe.equal("u")
    assert pipe.target.execute("SELECT count(*) FROM t") == [(3,)]


@BOTH
async def test_two_tables_that_swap_their_names_are_loaded_anew(pipe: Pipe, capture: bool) -> None:
    await pipe.execute("CREATE TABLE u (LIKE t INCLUDING ALL); INSERT INTO u VALUES (70), (71)")
    async with pipe.running(capture=capture):
        await pipe.equal("u")
        await pipe.execute("UPDATE u SET a = 1; UPDATE t SET a = 1")
        await pipe.execute(
            "BEGIN; ALTER TABLE t RENAME TO tmp; ALTER TABLE u RENAME TO t;"
            "ALTER TABLE tmp RENAME TO u; INSERT INTO t VALUES (72);"
            "INSERT INTO u VALUES (5); COMMIT"
        )
        await pipe.equal("t")
        await pipe.equal("u")
        await pipe.execute("UPDATE u SET a = 2; UPDATE t SET a = 3")
        await pipe.equal("t")
        await pipe.equal("u")


@BOTH
async def test_everything_happens_while_nobody_reads(pipe: Pipe, capture: bool) -> None:
    await pipe.execute("CREATE TABLE u (LIKE t INCLUDING ALL); CREATE TABLE v (id int PRIMARY KEY)")
    async with pipe.running(capture=capture):
        await pipe.equal("u")
        await pipe.equal("v")
    await pipe.execute(
        "INSERT INTO t VALUES (8); ALTER TABLE t RENAME TO w; INSERT INTO w VALUES (9)"
    )
    await pipe.execute(
        "INSERT INTO u VALUES (8); DROP TABLE u; CREATE TABLE u (LIKE w INCLUDING ALL);"
        "INSERT INTO u VALUES (9)"
    )
    await pipe.execute(
        "INSERT INTO v VALUES (8); DROP TABLE v; CREATE TABLE x (id int PRIMARY KEY)"
    )
    async with pipe.running(capture=capture):
        for table in "wux":
            await pipe.equal(table)
        await pipe.execute("INSERT INTO w VALUES (10); INSERT INTO u VALUES (10);"
                           "INSERT INTO x VALUES (10)")  # fmt: skip
        for table in "wux":
            await pipe.equal(table)
