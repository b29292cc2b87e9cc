"""A row that the target refuses while existing rows are copied."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from tests.scenario.faults.conftest import Replicate
from tests.scenario.faults.watched import ROW, Watched, assert_last_line_tells, scrape
from tests.scenario.running import Run, until
from tests.servers.postgres import Cluster, Database

ROWS: Final = 3_000
BAD: Final = 1_234

ITEMS: Final = f"""
CREATE TABLE item (id int PRIMARY KEY, note text);
INSERT INTO item SELECT g, '{ROW}' || g FROM generate_series(1, {ROWS}) g;
ANALYZE item;
CREATE TABLE other (id int PRIMARY KEY, note text);
CREATE INDEX other_note ON other (note);
INSERT INTO other SELECT g, '{ROW}' FROM generate_series(1, {ROWS}) g;
ANALYZE other
"""

STRICT: Final = f"CREATE TABLE item (id int PRIMARY KEY, note text, CHECK (id <> {BAD}))"
MEND: Final = "ALTER TABLE item DROP CONSTRAINT item_id_check"

CHUNKS: Final[Mapping[str, object]] = {"rows_per_chunk": 1000, "parallel_tables": 2}


def _is_set_aside(replication: Watched, run: Run, table: str = "item") -> None:
    said = run.table(f"public.{table}", "needs-reload")
    assert "item_id_check" in said["reason"]
    assert f"penstock reload FILE public.{table}" in said["remedy"]
    assert replication.state(f"public.{table}") == "needs-reload"


def _kept(target: Database) -> list[tuple[object, ...]]:
    return target.execute(
        "SELECT table_name, operation, reason, sqlstate, position <> '', "
        "convert_from(decode(payload::json -> 'new' ->> 'note', 'base64'), 'UTF8')"
        " FROM penstock.quarantine ORDER BY id"
    )


def _indexed(target: Database) -> bool:
    return target.execute("SELECT to_regclass('other_note') IS NOT NULL") == [(True,)]


KEPT: Final = ("item", "load", "rejected-row", "23514", True, f"{ROW}{BAD}")


def test_its_table_is_set_aside_and_no_other_until_it_is_mended_and_loaded_again(
    source: Database, target: Database, replicate: Replicate
) -> None:
    source.execute(ITEMS)
    target.execute(STRICT)
    replication = replicate(load=CHUNKS)
    with replication.run("--metrics=127.0.0.1:0") as run:
        address = run.event("listening")["address"]
        _is_set_aside(replication, run)
        run.state("streaming")
        line = json.loads(run.says("table stopped in its load"))
        assert line["relation"] == "public.item"
        assert "constraint item_id_check" in line["error"]
        assert "check_violation" in line["error"]
        source.execute("INSERT INTO other VALUES (0, 'new'); UPDATE item SET note = 'x'")
        replication.await_applied(run)
        assert replication.differences(["other"]) == []
        assert _indexed(target)
        assert _kept(target) == [KEPT]
        assert 'penstock_quarantined_rows_total{reason="rejected-row"' in scrape(address)
        code, said = replication.command("compare", "--json")
        report = {table["source"]: table for table in json.loads(said)["tables"]}
        assert code == 1
        assert report["public.other"]["equal"]
        assert not report["public.item"]["equal"]
        target.execute(MEND)
        mark = run.mark
        assert replication.command("reload", "public.item")[0] == 0
        run.table("public.item", "streaming", after=mark)
        replication.await_applied(run)
        assert replication.differences() == []
        assert run.stop() == 0


def test_it_stays_set_aside_over_a_kill_and_the_others_are_loaded_to_their_end(
    source: Database, target: Database, replicate: Replicate
) -> None:
    source.execute(ITEMS)
    source.execute("CREATE TABLE large (id int PRIMARY KEY, note text)")
    source.execute(
        "INSERT INTO large SELECT g, repeat('x', 100) FROM generate_series(1, 100000) g;"
        "ANALYZE large"
    )
    target.execute(STRICT)
    replication = replicate(load=CHUNKS)
    with replication.run() as run:
        _is_set_aside(replication, run)
        mark = run.mark
        run.kill_worker()
        run.event("restarting", after=mark)
        run.state("streaming", after=mark)
        assert replication.state("public.item") == "needs-reload"
        assert replication.differences(["large", "other"]) == []
        assert len(_kept(target)) == 1, "its chunks are not copied again"
        target.execute(MEND)
        mark = run.mark
        assert replication.command("reload", "public.item")[0] == 0
        run.table("public.item", "streaming", after=mark)
        assert run.stop() == 0
    assert replication.differences() == []


REFUSALS: Final = {
    "unique": "CREATE TABLE item (id int PRIMARY KEY, note text, part text GENERATED ALWAYS AS"
    f" (CASE WHEN id IN (7, {BAD}) THEN 'same' ELSE id::text END) STORED UNIQUE)",
    "deferred": "CREATE TABLE item (id int PRIMARY KEY, note text, part text GENERATED ALWAYS AS"
    f" (CASE WHEN id IN (7, {BAD}) THEN 'same' ELSE id::text END) STORED"
    " UNIQUE DEFERRABLE INITIALLY DEFERRED)",
    "trigger": "CREATE TABLE item (id int PRIMARY KEY, note text);"
    "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
    f" $$ BEGIN IF NEW.id = {BAD} THEN RAISE 'not %', NEW.note; END IF; RETURN NEW; END $$;"
    "CREATE TRIGGER refuse BEFORE INSERT ON item FOR EACH ROW EXECUTE FUNCTION refuse()",
    "deferred trigger": "CREATE TABLE item (id int PRIMARY KEY, note text);"
    "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
    f" $$ BEGIN IF NEW.id = {BAD} THEN RAISE 'not %', NEW.note; END IF; RETURN NEW; END $$;"
    "CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON item DEFERRABLE INITIALLY DEFERRED"
    " FOR EACH ROW EXECUTE FUNCTION refuse()",
    "long": f"CREATE DOMAIN short AS text CHECK (VALUE <> '{ROW}{BAD}');"
    "CREATE TABLE item (id int PRIMARY KEY, note text);"
    "CREATE INDEX ON item ((note::short))",
}


@pytest.mark.parametrize("kind", REFUSALS)
@pytest.mark.parametrize("policy", ["stop-table", "quarantine"])
def test_whatever_refuses_it_the_row_is_found_and_kept(
    source: Database, target: Database, replicate: Replicate, kind: str, policy: str
) -> None:
    source.execute(ITEMS)
    target.execute(REFUSALS[kind])
    replication = replicate(load={"parallel_tables": 1}, apply={"on_row_error": policy})
    with replication.run() as run:
        run.state("streaming")
        (kept,) = target.execute(
            "SELECT payload::json -> 'new' ->> 'note' IN (encode(%s, 'base64'), encode(%s,"
            " 'base64')), message FROM penstock.quarantine",
            f"{ROW}{BAD}".encode(),
            f"{ROW}7".encode(),
        )
        assert kept[0]
        assert "public.item" in str(kept[1])
        state = {"stop-table": "needs-reload", "quarantine": "streaming"}[policy]
        assert replication.state("public.item") == state
        if policy == "quarantine":
            assert target.execute("SELECT count(*) FROM item") == [(ROWS - 1,)]
        assert replication.differences(["other"]) == []
        assert run.stop() == 0


def test_quarantine_finds_the_rows_of_a_table_that_travels_as_text(
    source: Database, target: Database, replicate: Replicate
) -> None:
    """`regclass` is a number in binary form."""
    source.execute(
        "CREATE TABLE item (id int PRIMARY KEY, note text, r regclass);"
        f"INSERT INTO item SELECT g, E'{ROW}\\t\\n\\\\' || g, 'pg_class'"
        f" FROM generate_series(1, {ROWS}) g"
    )
    target.execute(
        "CREATE TABLE item (id int PRIMARY KEY, note text, r regclass,"
        f" CHECK (id NOT IN ({BAD}, {ROWS})))"
    )
    replication = replicate(apply={"on_row_error": "quarantine"})
    with replication.run() as run:
        run.state("streaming")
        notes = [row[-1] for row in _kept(target)]
        assert notes == [f"{ROW}\t\n\\{BAD}", f"{ROW}\t\n\\{ROWS}"]
        source.execute(f"UPDATE item SET note = 'new' WHERE id IN (1, {BAD})")
        replication.await_applied(run)
        assert replication.state("public.item") == "streaming"
        assert target.execute("SELECT count(*) FROM item") == [(ROWS - 2,)]
        assert target.execute("SELECT note FROM item WHERE id = 1") == [("new",)]
        assert run.stop() == 0


@pytest.mark.parametrize("apply", [{"on_row_error": "stop"}, {"mode": "transactional"}])
def test_under_stop_it_ends_the_replication_which_goes_on_when_it_is_mended(
    source: Database, target: Database, replicate: Replicate, apply: dict[str, object]
) -> None:
    source.execute(ITEMS)
    target.execute(STRICT)
    replication = replicate(load=CHUNKS, apply=apply)
    last = replication.refused()
    assert "item_id_check" in last
    assert replication.state("public.item") == "loading"
    target.execute(MEND)
    replication.catch_up()
    assert replication.differences() == []


@pytest.mark.parametrize("kind", ["full-load", "full-load-and-cdc"])
def test_what_ends_by_itself_ends_with_the_others_whole_and_exit_code_1(
    source: Database, target: Database, replicate: Replicate, kind: str
) -> None:
    source.execute(ITEMS)
    target.execute(STRICT)
    replication = replicate(load=CHUNKS, kind=kind)
    until_done = [] if kind == "full-load" else ["--stop-at=caught-up"]
    for _ in range(2):
        last = replication.refused(*until_done)
        assert "public.item" in last
        assert "public.other" not in last
        assert "penstock reload FILE TABLE" in last
        assert replication.differences(["other"]) == []
        assert _indexed(target)
    target.execute(MEND)
    assert replication.command("reload", "public.item")[0] == 0
    with replication.run(*until_done) as run:
        assert run.wait() == 0, run.story()
    assert replication.differences() == []


FAMILY: Final = f"""
CREATE TABLE item (id int PRIMARY KEY, note text);
INSERT INTO item SELECT g, '{ROW}' || g FROM generate_series(1, {ROWS}) g;
CREATE TABLE part (id int PRIMARY KEY, item int REFERENCES item);
INSERT INTO part SELECT g, g FROM generate_series(1, {ROWS}) g;
CREATE TABLE other (id int PRIMARY KEY);
INSERT INTO other SELECT generate_series(1, {ROWS});
CREATE TABLE another (id int PRIMARY KEY, other int REFERENCES other);
INSERT INTO another SELECT g, g FROM generate_series(1, {ROWS}) g
"""


def _keys(target: Database) -> list[object]:
    found = target.execute(
        "SELECT conrelid::regclass::text FROM pg_constraint WHERE contype = 'f' AND convalidated"
        " ORDER BY 1"
    )
    return [row[0] for row in found]


@pytest.mark.parametrize("kind", ["full-load", "full-load-and-cdc"])
def test_tables_tied_by_foreign_keys_are_set_aside_together_and_the_others_get_theirs(
    source: Database, target: Database, replicate: Replicate, kind: str
) -> None:
    source.execute(FAMILY)
    target.execute(STRICT)
    replication = replicate(load=CHUNKS, kind=kind)
    until_done = [] if kind == "full-load" else ["--stop-at=caught-up"]
    last = replication.refused(*until_done)
    assert "public.item, public.part" in last
    assert "other" not in last
    assert replication.state("public.part") == "needs-reload"
    assert _keys(target) == ["another"]
    assert replication.differences(["other", "another"]) == []
    target.execute(MEND)
    assert replication.command("reload", "public.part")[0] == 0
    last = replication.refused(*until_done)
    assert "public.part" not in last
    assert _keys(target) == ["another"], "a key to a table that is not whole"
    assert replication.command("reload", "public.item")[0] == 0
    with replication.run(*until_done) as run:
        assert run.wait() == 0, run.story()
    assert replication.differences() == []
    assert _keys(target) == ["another", "part"]


def test_a_reload_that_is_refused_keeps_the_row_and_stops_its_table_only(
    source: Database, target: Database, replicate: Replicate
) -> None:
    source.execute(ITEMS)
    replication = replicate(load=CHUNKS)
    with replication.run() as run:
        run.state("streaming")
        check = f"CONSTRAINT item_id_check CHECK (id <> {BAD})"
        target.execute(f"ALTER TABLE item ADD {check} NOT VALID")
        assert replication.command("reload", "public.item")[0] == 0
        _is_set_aside(replication, run)
        assert _kept(target) == [KEPT]
        source.execute("INSERT INTO other VALUES (0, 'new')")
        replication.await_applied(run)
        assert replication.differences(["other"]) == []
        target.execute(MEND)
        mark = run.mark
        assert replication.command("reload", "public.item")[0] == 0
        run.table("public.item", "streaming", after=mark)
        replication.await_applied(run)
        assert replication.differences() == []
        assert run.stop() == 0


def test_a_missing_privilege_sets_no_table_aside(
    source: Database, target: Database, target_server: Cluster, replicate: Replicate
) -> None:
    """It may be the whole role's, and is seen before the first row."""
    source.execute(ITEMS)
    target_server.execute("CREATE ROLE loader LOGIN")
    target.execute(
        "CREATE TABLE item (id int PRIMARY KEY, note text);"
        "CREATE TABLE other (id int PRIMARY KEY, note text);"
        "CREATE SCHEMA penstock AUTHORIZATION loader;"
        f"GRANT TEMPORARY ON DATABASE {target.name} TO loader;"
        "GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON other TO loader;"
        "GRANT SELECT ON item TO loader"
    )
    try:
        replication = replicate(target_dsn=target_server.dsn(target.name, user="loader"))
        with replication.run() as run:
            assert run.wait() == 1, run.story()
        assert_last_line_tells(run)
        assert "item" in run.ending
        assert replication.state("public.item") == "loading"
        target.execute("GRANT INSERT, UPDATE, DELETE, TRUNCATE ON item TO loader")
        replication.catch_up()
        until(lambda: replication.differences() == [], "both tables")
    finally:
        target.execute("DROP OWNED BY loader")
        target_server.execute("DROP ROLE loader")


@pytest.mark.parametrize("policy", ["stop-table", "quarantine"])
def test_a_char_beyond_ascii_is_not_misread_by_an_older_server(
    source: Database, target: Database, tmp_path: Path, policy: str
) -> None:
    """The table travels as text for its `regclass`; from 16 on the character is octal there."""
    older, newer = sorted((source, target), key=lambda side: int(side.cluster.major))
    if not int(older.cluster.major) < 16 <= int(newer.cluster.major):
        pytest.skip("both servers read a letter alike")
    newer.execute(
        """CREATE TABLE letter (id int PRIMARY KEY, c "char", r regclass);"""
        r"""INSERT INTO letter VALUES (1, 'a', 'pg_class'), (2, '\310', 'pg_class'),"""
        r""" (3, '\', 'pg_class'), (4, NULL, 'pg_class')"""
    )
    apply = {"on_row_error": policy}
    replication = Watched.between(tmp_path, f"letters-{policy}", newer, older, apply=apply)
    with replication.run() as run:
        run.state("streaming")
        ((message,),) = older.execute("SELECT message FROM penstock.quarantine")
        assert 'column c holds a "char" beyond ASCII' in str(message)
        if policy == "quarantine":
            assert older.execute("SELECT id, c::text FROM letter ORDER BY id") == [
                (1, "a"),
                (3, "\\"),
                (4, None),
            ]
        else:
            assert replication.state("public.letter") == "needs-reload"
        assert run.stop() == 0
