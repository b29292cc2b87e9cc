"""What the stream alone allows: a single reading is followed, anything else stops the table.

A rename has a single reading when the attribute numbers in the catalog prove it."""

import pytest

from tests.integration.postgres_schema_changes.conftest import Pipe

pytestmark = pytest.mark.in_turn

FOLLOWED = {
    "constant default": "ALTER TABLE t ADD d int DEFAULT 7",
    "stable default": "ALTER TABLE t ADD d timestamptz NOT NULL DEFAULT now()",
    "no default": "ALTER TABLE t ADD d text",
    "rename": "ALTER TABLE t RENAME b TO renamed",
    "swap": "ALTER TABLE t RENAME a TO x; ALTER TABLE t RENAME b TO a; ALTER TABLE t RENAME x TO b",
    "drop": "ALTER TABLE t DROP a",
    "drop, add another": "ALTER TABLE t DROP a; INSERT INTO t (id) VALUES (50);"
    "ALTER TABLE t ADD d int",
    "wider integer": "ALTER TABLE t ALTER a TYPE bigint",
    "longer text": "ALTER TABLE t ALTER c TYPE text",
    "not null": "ALTER TABLE t ALTER b SET NOT NULL, ALTER b SET DEFAULT 0",
    "identity": "ALTER TABLE t REPLICA IDENTITY FULL",
}

REFUSED = {
    "computed default": ("ALTER TABLE t ADD d float8 DEFAULT random()", "computed default"),
    "default that may be of later": ("ALTER TABLE t ADD d int; ALTER TABLE t ALTER d SET DEFAULT 1",
                                     "computed default"),
    "dropped and added": ("ALTER TABLE t DROP a; ALTER TABLE t ADD d int", "either renamed"),
    "the same name again": ("ALTER TABLE t DROP a; ALTER TABLE t ADD a int", "changed places"),
    "the last name again": ("ALTER TABLE t DROP c; ALTER TABLE t ADD c varchar(5)",
                            "not the one that had its name"),
    "another type": ("ALTER TABLE t ALTER b TYPE text", "from integer to text"),
}  # fmt: skip


@pytest.mark.parametrize("sql", FOLLOWED.values(), ids=FOLLOWED.keys())
async def test_a_single_reading_is_followed(pipe: Pipe, sql: str) -> None:
    async with pipe.running(capture=False):
        await pipe.equal()
        await pipe.execute(sql)
        await pipe.execute("INSERT INTO t (id) VALUES (90); UPDATE t SET id = 1002 WHERE id = 2")
        await pipe.passed()
        await pipe.equal()
    assert pipe.record()[0] == "streaming"
    assert pipe.source.execute("SELECT count(*) FROM pg_event_trigger") == [(0,)]


@pytest.mark.parametrize(("sql", "word"), REFUSED.values(), ids=REFUSED.keys())
async def test_more_than_one_reading_stops_the_table(pipe: Pipe, sql: str, word: str) -> None:
    async with pipe.running(capture=False):
        await pipe.equal()
        await pipe.execute(sql)
        await pipe.execute("INSERT INTO t (id) VALUES (90)")
        assert word in await pipe.state("needs-reload")
        await pipe.passed()
