"""Rows that the target refuses are kept sealed where there is a key, and shown to who has it."""

import base64
import json
from pathlib import Path
from typing import Any, Final

from engine.control import key_file
from tests.scenario.conftest import Replicate, one_pair
from tests.scenario.running import Replication, Run, until
from tests.servers.postgres import Database

CANARY: Final = "canary-of-a-kept-row-2718"

TABLES: Final = f"""
CREATE TABLE item (id int PRIMARY KEY, note text, flag boolean);
INSERT INTO item VALUES (1, 'fits', true), (2, '{CANARY} loaded', false);
"""

REFUSING: Final = f"""
CREATE TABLE item (id int PRIMARY KEY, note text CHECK (note NOT LIKE '{CANARY}%'), flag boolean);
"""

FORMS: Final = [
    CANARY.encode(),
    base64.b64encode(CANARY.encode())[:-4],
    CANARY.encode().hex().encode(),
]
"""How it may stand somewhere: as it is, within base64 or within hexadecimal digits."""


def holds_canary(text: str | bytes) -> bool:
    data = text if isinstance(text, bytes) else text.encode()
    return any(form in data for form in FORMS)


def control_text(target: Database) -> str:
    """Everything that the control schema holds."""
    tables = target.execute(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace ="
        " 'penstock'::regnamespace ORDER BY 1"
    )
    rows = [target.execute(f"SELECT t::text FROM penstock.{table} t") for (table,) in tables]
    return "\n".join(str(row) for of in rows for row in of)


def payload_keys(target: Database) -> list[str | None]:
    return [
        key
        for (key,) in target.execute(
            "SELECT payload::json ->> 'key' FROM penstock.quarantine ORDER BY id"
        )
    ]


def shown(replication: Replication, **environment: str) -> list[dict[str, Any]]:
    code, said = replication.command("quarantine", "--output=json", **environment)
    assert code == 0, said
    return [json.loads(line) for line in said.splitlines()]


def note_of(row: dict[str, Any], image: str = "new") -> str:
    return base64.b64decode(row[image]["note"]).decode()


def streaming(run: Run, source: Database, target: Database, count: int) -> None:
    """A row more is refused in the stream, where so many are kept then."""
    run.state("streaming")
    source.execute(
        "INSERT INTO item SELECT coalesce(max(id), 0) + 1, %s, null FROM item",
        f"{CANARY} streamed {count}",
    )
    until(
        lambda: target.execute("SELECT count(*) FROM penstock.quarantine") == [(count,)],
        f"{count} kept rows",
    )


def test_values_of_kept_rows_are_nowhere_in_plain_and_shown_to_who_has_the_key(
    replicate: Replicate, source: Database, target: Database, tmp_path: Path
) -> None:
    source.execute(TABLES)
    target.execute(REFUSING)
    key = tmp_path / "own.key"
    key_file.make(key)
    replication = replicate(apply={"on_row_error": "quarantine"})
    with replication.run(PENSTOCK_KEY_FILE=str(key)) as run:
        streaming(run, source, target, 2)
        assert not [line for line in run.log if holds_canary(line)]
        assert not [event for event in run.events if holds_canary(json.dumps(event))]
        assert run.stop() == 0
    assert not holds_canary(control_text(target))
    left = [path for path in (tmp_path / "state").rglob("*") if path.is_file()]
    assert not [path for path in left if holds_canary(path.read_bytes())]
    rows = shown(replication, PENSTOCK_KEY_FILE=str(key))
    assert [(row["operation"], note_of(row)) for row in rows] == [
        ("load", f"{CANARY} loaded"),
        ("insert", f"{CANARY} streamed 2"),
    ]
    code, said = replication.command("quarantine", PENSTOCK_KEY_FILE=str(key))
    assert code == 0
    for line in ('id = "2"', f'note = "{CANARY} loaded"', 'flag = "false"', "flag = NULL"):
        assert f"\n    {line}\n" in said, said


@one_pair
def test_without_its_key_a_kept_row_is_told_and_not_shown(
    replicate: Replicate, source: Database, target: Database, tmp_path: Path
) -> None:
    source.execute(TABLES)
    target.execute(REFUSING)
    key, other = tmp_path / "own.key", tmp_path / "other.key"
    key_file.make(key)
    key_file.make(other)
    replication = replicate(kind="full-load", apply={"on_row_error": "quarantine"})
    with replication.run(PENSTOCK_KEY_FILE=str(key)) as run:
        assert run.wait() == 0, run.story()
    for environment in ({}, {"PENSTOCK_KEY_FILE": str(other)}):
        code, said = replication.command("quarantine", **environment)
        assert code == 3
        assert f"sealed under key {payload_keys(target)[0]}, which is not here" in said
        assert "name its key file by PENSTOCK_KEY_FILE" in said
        assert "public.item" in said
        assert not holds_canary(said)
    target.execute("UPDATE penstock.quarantine SET table_name = 'elsewhere'")
    code, said = replication.command("quarantine", PENSTOCK_KEY_FILE=str(key))
    assert code == 3
    assert "were changed since they were kept" in said
    assert not holds_canary(said)


@one_pair
def test_rows_of_before_there_was_a_key_and_of_an_older_key_stay_readable(
    replicate: Replicate, source: Database, target: Database, tmp_path: Path
) -> None:
    source.execute(TABLES)
    target.execute(REFUSING)
    key = tmp_path / "own.key"
    replication = replicate(apply={"on_row_error": "quarantine"})
    with replication.run() as run:
        streaming(run, source, target, 2)
        assert run.stop() == 0
    assert holds_canary(control_text(target)), "without a key they stand there as they are"
    key_file.make(key)
    for count in (3, 4):
        with replication.run(PENSTOCK_KEY_FILE=str(key)) as run:
            streaming(run, source, target, count)
            assert run.stop() == 0
        key_file.add(key)
    plain, again, first, second = payload_keys(target)
    assert plain is again is None
    assert len({first, second} - {None}) == 2, "each under the newest key of its time"
    rows = shown(replication, PENSTOCK_KEY_FILE=str(key))
    assert [note_of(row) for row in rows][1:] == [f"{CANARY} streamed {n}" for n in (2, 3, 4)]


@one_pair
def test_a_worker_is_given_a_key_for_this_use_alone(
    replicate: Replicate, source: Database, target: Database, tmp_path: Path
) -> None:
    source.execute(TABLES)
    target.execute(REFUSING)
    text = key_file.make(tmp_path / "own.key").text().reveal()
    replication = replicate()
    with replication.run(PENSTOCK_KEY=text) as run:
        run.state("streaming")
        environment = Path(f"/proc/{run.worker}/environ").read_text()
        assert "PENSTOCK_QUARANTINE_KEY=" in environment
        assert text not in environment
        assert run.stop() == 0
    assert None not in payload_keys(target)
