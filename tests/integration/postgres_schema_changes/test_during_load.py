"""Tables that are altered while they are loaded: at each step between choosing and reading them."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from connectors.postgres.source import PostgresSource
from connectors.postgres.target import PostgresTarget
from engine.errors import SchemaChangeError
from tests.integration.postgres_schema_changes.conftest import Pipe

pytestmark = pytest.mark.in_turn

CHANGES = {
    "added": "ALTER TABLE t ADD d int DEFAULT 1; UPDATE t SET d = 5 WHERE id > 1",
    "renamed": "ALTER TABLE t RENAME b TO bb; UPDATE t SET bb = 5 WHERE id > 1",
    "of a new type": "CREATE TYPE mood AS ENUM ('a', 'b'); ALTER TABLE t ADD d mood DEFAULT 'a';"
    "UPDATE t SET d = 'b' WHERE id > 1",
    "rewritten": "ALTER TABLE t ALTER b TYPE bigint; UPDATE t SET b = 5 WHERE id > 1",
    "replaced": "ALTER TABLE t DROP b; ALTER TABLE t ADD b int DEFAULT 3; DELETE FROM t",
    "renamed after a change": "UPDATE t SET b = 6; ALTER TABLE t RENAME b TO bb",
    "emptied": "TRUNCATE t; INSERT INTO t VALUES (8, 8, 8, '8')",
}

AFTER_A_CHANGE = {
    "renamed": "ALTER TABLE t RENAME b TO bb",
    "swapped": "ALTER TABLE t RENAME a TO x; ALTER TABLE t RENAME b TO a;"
    "ALTER TABLE t RENAME x TO b",
    "replaced": "ALTER TABLE t DROP b; ALTER TABLE t ADD b int",
    "dropped": "ALTER TABLE t DROP b",
}
"""Each comes right after a transaction that wrote to a column whose name it takes away."""

STEPS: dict[str, tuple[type, str]] = {
    "before the slot": (PostgresSource, "attach"),
    "before the definitions": (PostgresSource, "definitions"),
    "before the target's tables": (PostgresTarget, "ensure"),
    "before the snapshot is taken up": (PostgresSource, "snapshot"),
    "before the chunks": (PostgresSource, "chunks"),
    "before the rows": (PostgresSource, "rows"),
}


def once_before(owner: type, method: str, action: Callable[[], object]) -> Callable[..., Any]:
    """The method, with something done before its first call."""
    real = getattr(owner, method)
    done: list[bool] = []

    def wrapped(*arguments: Any, **options: Any) -> Any:
        if not done:
            done.append(True)
            action()
        return real(*arguments, **options)

    return wrapped


@pytest.mark.parametrize("sql", CHANGES.values(), ids=CHANGES.keys())
@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS.keys())
async def test_a_table_is_altered_during_its_first_load(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch, step: tuple[type, str], sql: str
) -> None:
    monkeypatch.setattr(*step, once_before(*step, lambda: pipe.source.execute(sql)))
    async with pipe.running(capture=pipe.told):
        await pipe.execute("UPDATE t SET a = 3")
        await pipe.whole()


@pytest.mark.parametrize("sql", AFTER_A_CHANGE.values(), ids=AFTER_A_CHANGE.keys())
@pytest.mark.parametrize("step", ["before the definitions", "before the rows"])
async def test_what_was_written_before_a_column_lost_its_name_is_not_mistaken(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch, step: str, sql: str
) -> None:
    sql = f"UPDATE t SET b = 7 WHERE id = 1; COMMIT; {sql}"
    owner, method = STEPS[step]
    action = once_before(owner, method, lambda: pipe.source.execute(sql))
    monkeypatch.setattr(owner, method, action)
    async with pipe.running(capture=pipe.told):
        await pipe.execute("UPDATE t SET c = 'y' WHERE id = 2")
        await pipe.whole()


@pytest.mark.parametrize("method", ["definitions", "chunks", "rows"])
async def test_a_table_that_is_dropped_in_the_load_leaves_the_others_alone(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    action = once_before(PostgresSource, method, lambda: pipe.source.execute("DROP TABLE t"))
    monkeypatch.setattr(PostgresSource, method, action)
    async with pipe.running(capture=pipe.told):
        await pipe.passed()


@pytest.mark.parametrize("sql", CHANGES.values(), ids=CHANGES.keys())
@pytest.mark.parametrize("method", ["publish", "definitions", "snapshot", "rows"])
async def test_a_table_is_altered_while_it_is_loaded_again(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch, method: str, sql: str
) -> None:
    async with pipe.running(capture=pipe.told):
        await pipe.equal()
        step = PostgresSource, method
        monkeypatch.setattr(*step, once_before(*step, lambda: pipe.source.execute(sql)))
        await pipe.load_again()
        await pipe.execute("UPDATE t SET a = 3")
        await pipe.whole()


async def test_a_column_that_comes_before_the_snapshot_and_goes_after_it(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table is then again as it was described, and the log has rows with one column more."""
    added = "ALTER TABLE t ADD e int DEFAULT 7"
    dropped = "UPDATE t SET e = 8; ALTER TABLE t DROP e"
    async with pipe.running(capture=pipe.told):
        await pipe.equal()
        for method, sql in (("snapshot", added), ("rows", dropped)):
            action = partial(pipe.source.execute, sql)
            monkeypatch.setattr(PostgresSource, method, once_before(PostgresSource, method, action))
        await pipe.load_again()
        await pipe.execute("UPDATE t SET a = 3")
        await pipe.whole()


@pytest.mark.parametrize("mode", ["table-parallel", "transactional"])
async def test_a_table_that_does_not_fit_when_its_load_is_taken_up_stops_alone(
    pipe: Pipe, mode: str
) -> None:
    """As while the others stream. Where transactions are kept whole there is no table alone."""
    async with pipe.running(capture=pipe.told, mode=mode):
        await pipe.equal()
    pipe.target.execute("UPDATE penstock.table_state SET state = 'pending' WHERE table_name = 't'")
    await pipe.execute("ALTER TABLE t ALTER b TYPE text; INSERT INTO t VALUES (9, 9, 'nine', '9')")
    if mode == "transactional":
        with pytest.raises(SchemaChangeError, match="integer to text"):
            async with pipe.running(capture=pipe.told, mode=mode) as work:
                await work
        return
    async with pipe.running(capture=pipe.told, mode=mode):
        assert "integer to text" in await pipe.state("needs-reload")
        await pipe.passed()
        pipe.target.execute("ALTER TABLE t ALTER b TYPE text")
        await pipe.reload()
        await pipe.equal()
    assert "table stopped in its load" in [line.message for line in pipe.lines]
