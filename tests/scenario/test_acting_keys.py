"""Foreign keys that delete and change rows by themselves, on both sides, under random work."""

import random
from collections.abc import Iterator

import pytest

from tests.scenario.conftest import Replicate
from tests.servers.postgres import Database

PERSONS = 30

SCHEMA = """
CREATE TABLE person (id int PRIMARY KEY, boss int REFERENCES person ON DELETE CASCADE);
CREATE TABLE owned (id serial PRIMARY KEY, v int, person int REFERENCES person ON DELETE CASCADE);
CREATE TABLE part (id serial PRIMARY KEY, v int, owned int REFERENCES owned ON DELETE CASCADE);
CREATE TABLE line (person int REFERENCES person ON DELETE CASCADE ON UPDATE CASCADE, n int, v int,
  PRIMARY KEY (person, n));
CREATE TABLE note (id serial PRIMARY KEY, v int,
  person int REFERENCES person ON DELETE SET NULL ON UPDATE CASCADE);
CREATE TABLE seen (v int, person int REFERENCES person ON DELETE SET NULL ON UPDATE SET NULL);
ALTER TABLE seen REPLICA IDENTITY FULL;
"""

NEW_ROWS = """
INSERT INTO person SELECT {id}, (SELECT min(id) FROM person WHERE id % 3 = {id} % 3)
  ON CONFLICT DO NOTHING;
INSERT INTO owned (v, person) SELECT g, {id} FROM generate_series(1, {n}) g;
INSERT INTO part (v, owned) SELECT id, id FROM owned WHERE person = {id};
INSERT INTO line SELECT {id}, g, 0 FROM generate_series(1, {n}) g ON CONFLICT DO NOTHING;
INSERT INTO note (v, person) SELECT 0, {id} FROM generate_series(1, {n});
INSERT INTO seen SELECT g % 2, {id} FROM generate_series(1, {n}) g;
"""


RENUMBERED = """
UPDATE person SET boss = NULL WHERE boss = {id};
UPDATE person SET id = {new} WHERE id = {id} AND NOT EXISTS (SELECT FROM person WHERE id = {new})
  AND NOT EXISTS (SELECT FROM owned WHERE person = {id});
"""

CHANGED = """
DELETE FROM owned WHERE person = {id};
UPDATE note SET v = v + 1;
UPDATE line SET v = v + 1 WHERE person = {new};
"""

GONE = "DELETE FROM person WHERE id IN ({id}, {new});"


def _work(chance: random.Random) -> Iterator[str]:
    """Statements of one transaction."""
    for _ in range(chance.randint(1, 4)):
        one, other = chance.sample(range(PERSONS), 2)
        text = chance.choice((NEW_ROWS, GONE + NEW_ROWS, GONE, RENUMBERED, CHANGED))
        yield text.format(id=one, new=other, n=chance.randint(1, 6))


@pytest.mark.parametrize("mode", ["table-parallel", "transactional"])
@pytest.mark.parametrize("rows_max", [7, 20_000])
def test_what_keys_of_the_target_did_already_is_no_trouble(
    replicate: Replicate, source: Database, target: Database, mode: str, rows_max: int
) -> None:
    """With few rows in a batch a deletion and what it takes along are applied apart."""
    chance = random.Random(f"{mode} {rows_max}")
    source.execute(SCHEMA)
    replication = replicate(apply={"mode": mode, "batch_rows_max": rows_max})
    with replication.run() as run:
        run.state("streaming")
        for number in range(120):
            source.execute(";".join(_work(chance)))
            if number == 60:
                run.kill_worker()
        replication.await_applied(run)
        assert replication.differences() == []
        assert run.stop() == 0
    assert target.execute("SELECT count(*) FROM penstock.quarantine") == [(0,)]
    keys = "SELECT count(*) FROM pg_constraint WHERE contype = 'f'"
    assert target.execute(keys) == source.execute(keys)
    for table in ("person", "owned", "part", "line", "note", "seen"):
        assert source.execute(f"SELECT count(*) > 0 FROM {table}") == [(True,)]


FREED_AND_LEFT = """
DO $$ BEGIN
  FOR i IN 1..400 LOOP
    UPDATE person SET boss = NULL WHERE id = 1000 + i;
    DELETE FROM person WHERE id = i;
  END LOOP;
END $$
"""


def test_a_row_freed_before_its_parent_goes_stays_in_a_transaction_larger_than_a_batch(
    replicate: Replicate, source: Database, target: Database
) -> None:
    """Folded, a batch deletes first, and the target's key takes the row along."""
    source.execute(
        "CREATE TABLE person (id int PRIMARY KEY, boss int, FOREIGN KEY (boss)"
        " REFERENCES person ON DELETE CASCADE)"
    )
    source.execute("INSERT INTO person SELECT g, NULL FROM generate_series(1, 400) g")
    source.execute("INSERT INTO person SELECT 1000 + g, g FROM generate_series(1, 400) g")
    replication = replicate(apply={"mode": "transactional", "batch_rows_max": 100})
    with replication.run() as run:
        run.state("streaming")
        source.execute(FREED_AND_LEFT)
        replication.await_applied(run)
        assert replication.differences() == []
        assert run.stop() == 0
    assert target.execute("SELECT count(*), count(boss) FROM person") == [(400, 0)]


def test_without_a_key_that_deletes_a_missing_row_is_kept_aside(
    replicate: Replicate, source: Database, target: Database
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1), (2)")
    replication = replicate()
    with replication.run() as run:
        run.state("streaming")
        target.execute("DELETE FROM t WHERE id = 1")
        source.execute("DELETE FROM t")
        replication.await_applied(run)
        assert run.stop() == 0
    found = target.execute("SELECT table_name, reason FROM penstock.quarantine")
    assert found == [("t", "missing-row")]


def test_keys_that_act_where_a_statement_does_more_are_told_by_check(
    replicate: Replicate, source: Database, target: Database
) -> None:
    """Before the target has them, and once when both sides do."""
    source.execute(
        "CREATE TABLE users (id int PRIMARY KEY); CREATE TABLE post (id int PRIMARY KEY,"
        " author int REFERENCES users ON DELETE SET NULL,"
        " editor int REFERENCES users ON DELETE SET NULL)"
    )
    replication = replicate()
    for _ in range(2):
        code, said = replication.command("check")
        assert code == 0, said
        assert said.count("post_author_fkey (ON DELETE SET NULL)") == 1
        assert 'session_replication_role = "replica"' in said
        replication.catch_up()
    replica = replicate(target={"session_replication_role": "replica"})
    assert "post_author_fkey" not in replica.command("check")[1]
