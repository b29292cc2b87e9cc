"""One table carried in both directions at once: nothing runs in a circle, nothing is lost."""

import itertools
import re
import signal
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.scenario.running import Replication, Run, kill
from tests.servers.postgres import Cluster, Database

ROWS_BEFORE = 500
ROUNDS_MIN = 150
"""Rounds of writes on each side: some hundred transactions that cross each other."""

TICK = "CREATE TABLE tick (id uuid PRIMARY KEY)"

_numbers = itertools.count(1)


@dataclass
class Pair:
    """Two databases, a replication each way."""

    there: Replication
    back: Replication

    @property
    def sides(self) -> tuple[Database, Database]:
        return self.there.source, self.back.source

    def settle(self, there: Run, back: Run) -> None:
        """Wait until both directions have passed everything, also what either made the other
        write. A row of its own shows the way: what is left out moves a position only in time."""
        for _ in range(2):
            for replication, run in ((self.there, there), (self.back, back)):
                replication.source.execute("INSERT INTO tick VALUES (gen_random_uuid())")
                replication.await_applied(run)


MakePair = Callable[..., Pair]


@pytest.fixture
def pair(source: Database, target: Database, tmp_path: Path) -> MakePair:
    """Makes the replications between `source` and `target`; `origin` is what both leave out."""

    def make(origin: str, mode: str = "table-parallel", marking: str = "auto") -> Pair:
        number = next(_numbers)
        keys: dict[str, Any] = {
            "source": {"origin": origin},
            "target": {"replication_origin": marking},
            "apply": {"mode": mode},
        }
        there = Replication.between(tmp_path, f"there-{number}", source, target, **keys)
        back = Replication.between(tmp_path, f"back-{number}", target, source, kind="cdc", **keys)
        return Pair(there, back)

    return make


class Writer(threading.Thread):
    """Inserts, updates and deletes rows of its own, and updates rows that both sides have had."""

    def __init__(self, database: Database, side: int) -> None:
        super().__init__()
        self._database = database
        self._side = side
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            with psycopg.connect(self._database.dsn, autocommit=True) as connection:
                for number in range(ROUNDS_MIN):
                    self._round(connection, 1_000_000 * (self._side + 1) + 3 * number)
        except BaseException as error:  # noqa: BLE001 - raised by the test
            self.failure = error

    def _round(self, connection: "psycopg.Connection[tuple[object, ...]]", first: int) -> None:
        with connection.transaction():
            for key in range(first, first + 3):
                connection.execute("INSERT INTO t VALUES (%s, %s)", (key, f"new on {self._side}"))
        connection.execute("UPDATE t SET v = v || '!' WHERE id = %s", (first,))
        connection.execute("DELETE FROM t WHERE id = %s", (first + 1,))
        shared = first // 3 % (ROWS_BEFORE // 2) * 2 + self._side
        connection.execute("UPDATE t SET n = n + 1 WHERE id = %s", (shared,))


def _write_on_both(pair: Pair) -> None:
    writers = [Writer(database, side) for side, database in enumerate(pair.sides)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.failure is None


def _rewritten(database: Database) -> str:
    """Which transaction wrote each row last: changes when a row is written again, also by the same
    values."""
    found = database.execute("SELECT md5(string_agg(xmin::text, ',' ORDER BY id)) FROM t")
    return str(found[0][0])


@pytest.mark.parametrize(
    ("origin", "mode"),
    [("none", "table-parallel"), ("except-penstock", "table-parallel"), ("none", "transactional")],
)
def test_writes_on_both_sides_arrive_once_and_do_not_come_back(
    pair: MakePair, source: Database, origin: str, mode: str
) -> None:
    source.execute(
        f"{TICK}; CREATE TABLE t (id int PRIMARY KEY, v text, n int DEFAULT 0);"
        f"INSERT INTO t SELECT i, 'old', 0 FROM generate_series(0, {ROWS_BEFORE - 1}) i"
    )
    two = pair(origin, mode)
    with two.there.run() as there:
        there.state("streaming")
        with two.back.run() as back:
            back.state("streaming")
            _write_on_both(two)
            two.settle(there, back)
            assert two.there.differences(["t"]) == []
            counted = source.execute(
                "SELECT count(*), sum(n), count(*) FILTER (WHERE v ~ '!') FROM t"
            )
            inserted = 2 * 2 * ROUNDS_MIN
            assert counted == [(ROWS_BEFORE + inserted, 2 * ROUNDS_MIN, 2 * ROUNDS_MIN)]
            for side in two.sides:
                side.execute("UPDATE t SET v = v || '?' WHERE id < 100 AND id % 2 = 0")
                written = _rewritten(side)
                two.settle(there, back)
                assert _rewritten(side) == written
            assert two.there.differences(["t"]) == []
            assert back.stop() == 0
        assert there.stop() == 0


def test_a_column_added_on_one_side_is_there_once_on_both(
    pair: MakePair, source: Database, target: Database
) -> None:
    source.execute(f"{TICK}; CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
    two = pair("none")
    with two.there.run() as there, ExitStack() as stack:
        there.state("streaming")
        back = stack.enter_context(two.back.run())
        back.state("streaming")
        source.execute("ALTER TABLE t ADD COLUMN v text DEFAULT 'x'; INSERT INTO t VALUES (2, 'a')")
        two.settle(there, back)
        target.execute("INSERT INTO t VALUES (3, 'b'); UPDATE t SET v = 'c' WHERE id = 1")
        two.settle(there, back)
        assert source.execute("SELECT * FROM t ORDER BY 1") == [(1, "c"), (2, "a"), (3, "b")]
        assert two.there.differences(["t"]) == []
        assert back.stop() == 0
        assert there.stop() == 0


def test_a_process_that_was_frozen_does_not_keep_its_successor_from_marking(
    pair: MakePair, source: Database, target: Database
) -> None:
    """The frozen one's sessions hold their origins until they are ended."""
    source.execute(f"{TICK}; CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
    two = pair("none", marking="required")
    with two.there.run() as older:
        older.state("streaming")
        source.execute("INSERT INTO t VALUES (2)")
        two.there.await_applied(older)
        frozen = older.worker
        kill(frozen, signal.SIGSTOP)
        with two.there.run("--take-over") as newer, two.back.run() as back:
            newer.state("streaming")
            back.state("streaming")
            source.execute("INSERT INTO t VALUES (3)")
            written = _rewritten(source)
            two.settle(newer, back)
            assert two.there.differences(["t"]) == []
            kill(frozen, signal.SIGCONT)
            assert older.wait() == 3
            two.settle(newer, back)
            assert _rewritten(source) == written
            assert newer.stop() == 0
            assert back.stop() == 0


def test_cleanup_drops_the_origins_of_its_own_replication_only(
    pair: MakePair, source: Database, target: Database
) -> None:
    source.execute(f"{TICK}; CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
    two = pair("none")
    with two.there.run() as there, ExitStack() as stack:
        there.state("streaming")
        back = stack.enter_context(two.back.run())
        back.state("streaming")
        source.execute("INSERT INTO t VALUES (2)")
        two.settle(there, back)
        assert there.stop() == 0
        assert _origins(target.cluster, two.there.id)
        held = _origins(source.cluster, two.back.id)
        assert held
        assert two.there.command("cleanup", "--yes")[0] == 0
        assert _origins(target.cluster, two.there.id) == []
        assert _origins(source.cluster, two.back.id) == held
        target.execute("INSERT INTO t VALUES (3)")
        two.back.await_applied(back)
        assert source.execute("SELECT count(*) FROM t") == [(3,)]
        assert back.stop() == 0


def test_without_the_privilege_the_run_goes_on_and_says_once_that_two_way_is_off(
    source: Database, target: Database, tmp_path: Path
) -> None:
    source.execute(f"{TICK}; CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
    role = f"plain_{target.name}"
    target.cluster.execute(f"CREATE ROLE {role} LOGIN")
    target.execute(
        f"GRANT CREATE, TEMPORARY ON DATABASE {target.name} TO {role};"
        f"GRANT CREATE ON SCHEMA public TO {role}"
    )
    dsn = target.cluster.dsn(target.name, user=role)
    alone = Replication.between(
        tmp_path, f"plain-{next(_numbers)}", source, target, target_dsn=dsn, file="alone.toml"
    )
    code, said = alone.command("check")
    assert code == 0
    assert "two-way" not in said
    assert re.search(r"^tells +origin-privilege ", said, re.MULTILINE)
    replication = Replication.between(
        tmp_path, alone.id, source, target, target_dsn=dsn, source={"origin": "none"}
    )
    code, said = replication.command("check")
    assert code == 0
    assert "two-way replication is off" in said
    assert f"role {role} may not use replication origins" in said
    grantable = int(target.cluster.major) >= 14
    remedy = "GRANT EXECUTE ON FUNCTION pg_replication_origin_create(text)"
    assert (remedy if grantable else "only a superuser may") in said
    with replication.run() as run:
        run.state("streaming")
        run.kill_worker()
        run.state("streaming", after=run.mark)
        source.execute("INSERT INTO t VALUES (2)")
        replication.await_applied(run)
        assert run.stop() == 0
        said_in_run = [line for line in run.log if "two-way replication is off" in line]
        assert len(said_in_run) == 2  # once in each worker
    assert replication.differences() == []
    required = Replication.between(
        tmp_path, replication.id, source, target, target_dsn=dsn, file="required.toml",
        source={"origin": "none"}, target={"replication_origin": "required"},
    )  # fmt: skip
    with required.run() as run:
        assert run.wait() == 1
        assert "may not use replication origins" in run.ending
    assert replication.command("cleanup", "--yes")[0] == 0


def _origins(cluster: Cluster, replication: str) -> list[str]:
    found = cluster.execute(
        "SELECT roname FROM pg_replication_origin WHERE starts_with(roname, %s) ORDER BY 1",
        f"penstock_{replication}_",
    )
    return [name for (name,) in found]
