"""Settings of the replication file, tried with real commands."""

import json

from tests.scenario.faults.conftest import Replicate
from tests.scenario.faults.watched import ROW
from tests.scenario.running import until
from tests.servers.postgres import Database

NAMED = "SELECT slot_name::text FROM pg_replication_slots WHERE database = current_database()"


def test_a_named_slot_and_publication_are_used_and_stay(
    source: Database, replicate: Replicate
) -> None:
    source.execute(f"CREATE TABLE item AS SELECT 1 AS id, '{ROW}'::text AS note")
    source.execute("ALTER TABLE item ADD PRIMARY KEY (id)")
    source.execute("CREATE PUBLICATION theirs FOR TABLE item")
    source.execute("SELECT pg_create_logical_replication_slot('their_slot', 'pgoutput')")
    replication = replicate(
        source={"publication": "theirs"},
        **{"source.settings": {"SlotName": "their_slot", "CaptureDdls": False}},
    )
    code, text = replication.command("check")
    assert code == 0, text
    replication.catch_up()
    source.execute(f"INSERT INTO item VALUES (2, '{ROW}')")
    replication.catch_up()
    assert replication.differences() == []
    code, text = replication.command("cleanup", "--yes")
    assert code == 0, text
    assert "replication slot their_slot stays: it was named in the file" in text
    assert "publication theirs stays: it was named in the file" in text
    assert source.execute(NAMED) == [("their_slot",)]
    assert source.execute("SELECT pubname FROM pg_publication") == [("theirs",)]


ADD_B = 'ALTER PUBLICATION "theirs" ADD TABLE ONLY "public"."b"'


def test_a_table_that_a_named_publication_does_not_hold_is_left_out_and_told(
    source: Database, replicate: Replicate
) -> None:
    """Also one that is made while the replication runs: whoever makes a table does not end it."""
    source.execute("CREATE TABLE item (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY)")
    source.execute("CREATE PUBLICATION theirs FOR TABLE item")
    replication = replicate(source={"publication": "theirs"})
    code, text = replication.command("check")
    assert code == 0, text
    assert ADD_B in text
    with replication.run() as run:
        run.state("streaming")
        assert "public.b" in run.says("not in the publication that the file names")
        source.execute("CREATE TABLE c (id int PRIMARY KEY); INSERT INTO b VALUES (1)")
        source.execute(ADD_B)
        run.table("public.b", "streaming")
        source.execute("INSERT INTO b VALUES (2); INSERT INTO item VALUES (1)")
        replication.await_tables(["b", "item"], run)
        assert run.stop() == 0
    assert [line for line in run.log if "public.c" in line]
    code, text = replication.command("compare")
    assert code == 0, text
    assert "public.c" not in text


def test_keys_without_effect_are_named_by_check_and_once_by_run(
    source: Database, replicate: Replicate
) -> None:
    source.execute("CREATE TABLE item (id int PRIMARY KEY)")
    replication = replicate(**{"target.settings": {"MaxFileSize": 32768, "HeartbeatEnable": True}})
    code, text = replication.command("check")
    assert code == 0, text
    for key in ("MaxFileSize", "HeartbeatEnable"):
        assert f"target.settings.{key}: accepted, but has no effect yet" in text
    with replication.run("--stop-at=caught-up") as run:
        assert run.wait() == 0, run.story()
    (line,) = [line for line in run.log if "no effect" in line]
    assert json.loads(line) == {
        "level": "warning",
        "message": "accepted, but has no effect yet:"
        " target.settings.HeartbeatEnable, target.settings.MaxFileSize",
    }


def test_the_heartbeat_reaches_the_log_of_an_idle_source(
    source: Database, replicate: Replicate
) -> None:
    source.execute("CREATE TABLE item (id int PRIMARY KEY)")
    source.execute("SELECT pg_create_logical_replication_slot('watch', 'test_decoding')")
    replication = replicate(source={"heartbeat": "1s"})
    with replication.run() as run:
        run.state("streaming")
        until(
            lambda: bool(
                source.execute(
                    "SELECT 1 FROM pg_logical_slot_peek_changes('watch', NULL, NULL)"
                    " WHERE data LIKE '%prefix: penstock-heartbeat,%'"
                )
            ),
            "a heartbeat",
            run=run,
        )
        assert run.stop() == 0
    source.execute("SELECT pg_drop_replication_slot('watch')")
