"""What the daemon's process that looks at databases tells of them."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.servers.postgres import Database

Look = Callable[..., tuple[int, list[dict[str, Any]]]]


@pytest.fixture
def look(source_database: Database, target_database: Database, tmp_path: Path) -> Look:
    """Runs the process on a replication between two databases; its exit code and events."""

    def look(
        *words: str, source: str = source_database.dsn, target: str = target_database.dsn
    ) -> tuple[int, list[dict[str, Any]]]:
        file = tmp_path / "replication.toml"
        file.write_text(
            '[replication]\nid = "probed"\n'
            f'[source]\nengine = "postgres"\nurl = "{source}"\n'
            f'[target]\nengine = "postgres"\nurl = "{target}"\n'
            "[mapping]\ninclude = ['public.%']\n"
            '[capacity]\nunit_memory = "256MiB"\nmax = 4\n'
        )
        return _run([*words, str(file)])

    return look


def _run(words: Sequence[str]) -> tuple[int, list[dict[str, Any]]]:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as pipe:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "engine.control.probe",
                f"--report={writing}",
                f"--parent={os.getpid()}",
                *words,
            ],
            pass_fds=(writing,),
        )
        os.close(writing)
        events = [orjson.loads(line) for line in pipe]
    return process.wait(), events


def _named(events: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [event for event in events if event["event"] == name]


def test_steps_findings_tables_and_a_size(look: Look, source_database: Database) -> None:
    source_database.execute("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u (a int)")
    code, events = look()
    assert code == 0
    assert [event["step"] for event in _named(events, "step")] == [
        "connections",
        "metadata",
        "capacity",
    ]
    (found,) = _named(events, "found")
    assert found["tables"] == 1, "the other has no key"
    assert found["units"] == 1
    assert "memory: " in found["reckoned"]
    assert "queue: " in found["reckoned"], "of how fast the log grows"
    assert "replica-identity" in {event["check"] for event in _named(events, "finding")}
    assert events[-1]["event"] == "outcome"
    assert events[-1]["exit"] == 0


def test_what_blocks_is_the_outcome(look: Look, source_database: Database) -> None:
    code, events = look()
    assert code == 1
    assert events[-1]["error"] == "mapping-empty"
    assert events[-1]["remedy"]
    source_database.execute("CREATE TABLE t (id int PRIMARY KEY)")
    code, events = look(target="postgresql://nobody@127.0.0.1:1/none")
    assert code == 1
    assert events[-1]["error"] == "target-connection"
    assert "127.0.0.1" in events[-1]["reason"]


def test_rows_in_a_target_table_block_until_the_load_has_begun_with_it(
    look: Look, source_database: Database, target_database: Database
) -> None:
    for database in (source_database, target_database):
        database.execute("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u (id int PRIMARY KEY)")
    target_database.execute("INSERT INTO t VALUES (1)")
    code, events = look()
    assert code == 1
    assert events[-1]["error"] == "target-rows"
    assert "the target has rows in public.t;" in events[-1]["reason"]
    assert "TRUNCATE_BEFORE_LOAD" in events[-1]["remedy"]
    made = "SELECT to_regnamespace('penstock') IS NOT NULL"
    assert target_database.execute(made) == [(False,)], "a look makes nothing"
    target_database.execute(
        "CREATE SCHEMA penstock; CREATE TABLE penstock.version AS SELECT 1 AS version;"
        "CREATE TABLE penstock.table_state (replication text, schema_name text, table_name text);"
        "INSERT INTO penstock.table_state VALUES ('probed', 'public', 't')"
    )
    assert look()[0] == 0


def test_one_side_alone(look: Look) -> None:
    nowhere = "postgresql://nobody@127.0.0.1:1/none"
    assert look("--connect=source", target=nowhere)[0] == 0
    code, events = look("--connect=target", target=nowhere)
    assert code == 1
    assert events[-1]["error"] == "TargetConnectionError"


def test_schemas_of_the_source(look: Look, source_database: Database) -> None:
    source_database.execute(
        "CREATE SCHEMA sales; CREATE TABLE sales.t (id int); CREATE TABLE t (id int)"
    )
    code, events = look("--schemas")
    assert code == 0
    assert _named(events, "found")[0]["schemas"] == ["public", "sales"]
