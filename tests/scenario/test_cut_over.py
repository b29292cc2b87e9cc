"""The cut-over of the guide: its own statements, tried between two servers."""

import re
from pathlib import Path

from tests.deployed import ROOT
from tests.scenario.conftest import one_pair
from tests.scenario.running import Replication, until
from tests.servers.postgres import Database

GUIDE = (ROOT / "docs" / "guide" / "cut-over.md").read_text()


def query(beginning: str) -> str:
    """A statement of the guide, by how it begins."""
    (found,) = re.findall(rf"^ +({re.escape(beginning)}[^;]*(?:;'[^;]*)*);", GUIDE, re.MULTILINE)
    return str(found)


def acknowledged(source: Database, replication: Replication) -> None:
    """Step 2: everything is in the target, as the source knows it."""
    ((position,),) = source.execute(query("SELECT pg_current_wal_insert_lsn()"))
    asked = query("SELECT confirmed_flush_lsn").replace("0/1A2B3C4D", str(position))
    asked = asked.replace("penstock_shop", replication.slot)
    until(lambda: source.execute(asked) == [(True,)], "the source to be told")


def set_sequences(asked: Database, target: Database, beginning: str) -> None:
    """Step 4: what one side writes, the target runs. No `%` is a parameter's here."""
    for (statement,) in asked.execute(query(beginning)):
        target.execute(statement)


SCHEMA = """
CREATE TABLE item (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text);
CREATE TABLE "Order" ("Id" serial PRIMARY KEY, v text);
CREATE SEQUENCE untouched;
INSERT INTO item (v) SELECT 'loaded' FROM generate_series(1, 10);
INSERT INTO "Order" (v) SELECT 'loaded' FROM generate_series(1, 10);
"""

WRITE = """
INSERT INTO item (v) SELECT 'streamed' FROM generate_series(1, 100);
INSERT INTO "Order" (v) SELECT 'streamed' FROM generate_series(1, 100);
DELETE FROM item WHERE id > 100;
"""


@one_pair
def test_numbers_go_on_where_the_source_was(
    tmp_path: Path, source: Database, target: Database
) -> None:
    source.execute(SCHEMA)
    it = Replication.between(tmp_path, "shop", source, target)
    with it.run() as run:
        run.state("streaming")
        source.execute(WRITE)
        acknowledged(source, it)
        assert it.differences() == []
        assert run.stop() == 0
    set_sequences(source, target, "SELECT format('SELECT setval(%L, %s)")
    insert = "INSERT INTO {} (v) VALUES ('new') RETURNING 1, {}"
    assert target.execute(insert.format("item", "id")) == [(1, 111)]
    assert target.execute(insert.format('"Order"', '"Id"')) == [(1, 111)]


@one_pair
def test_where_the_source_has_none_the_rows_say_where_to_go_on(
    tmp_path: Path, source: Database, target: Database
) -> None:
    source.execute(SCHEMA)
    it = Replication.between(tmp_path, "shop", source, target)
    with it.run() as run:
        run.state("streaming")
        source.execute(WRITE)
        acknowledged(source, it)
        assert run.stop() == 0
    set_sequences(target, target, "SELECT format('SELECT setval(%L, max")
    assert target.execute("INSERT INTO item (v) VALUES ('new') RETURNING id") == [(101,)]
    assert target.execute('INSERT INTO "Order" (v) VALUES (\'new\') RETURNING "Id"') == [(111,)]
