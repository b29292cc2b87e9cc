"""Rows that a target of each family refuses are kept sealed, and read back with the key."""

import base64
import json
from pathlib import Path
from typing import Final

import pytest

from engine.control import key_file
from tests.scenario.pairs.conftest import Replicate
from tests.scenario.pairs.sides import SCHEMA, Side
from tests.scenario.running import until

pytestmark = pytest.mark.in_turn("pair", 2)

CANARY: Final = "canary-of-a-kept-row-2718"


def kept(side: Side) -> list[str]:
    """What the quarantine table holds of each row: everything but where and when."""
    rows = side.execute("SELECT message, payload FROM penstock.quarantine ORDER BY id")
    return [" ".join(map(str, row)) for row in rows]


def test_a_kept_row_is_sealed_and_shown_to_who_has_the_key(
    replicate: Replicate, tmp_path: Path
) -> None:
    key, other = tmp_path / "own.key", tmp_path / "other.key"
    key_file.make(key)
    key_file.make(other)
    replication = replicate(apply={"on_row_error": "quarantine"})
    source, target = replication.source, replication.target
    source.execute(f"CREATE TABLE {SCHEMA}.t (id int PRIMARY KEY, a varchar(60), b int)")
    replication.catch_up()
    target.execute(f"ALTER TABLE {SCHEMA}.t ADD CONSTRAINT small CHECK (id < 100)")
    with replication.run(PENSTOCK_KEY_FILE=str(key)) as run:
        run.state("streaming")
        source.execute(f"INSERT INTO {SCHEMA}.t VALUES (100, '{CANARY}', NULL)")
        until(lambda: len(kept(target)) == 1, "a kept row")
        assert run.stop() == 0
        assert not [line for line in run.log if CANARY in line]
    encoded = base64.b64encode(CANARY.encode()).decode()[:-4]
    assert not [text for text in kept(target) if CANARY in text or encoded in text]
    code, said = replication.command("quarantine", "--output=json", PENSTOCK_KEY_FILE=str(key))
    assert code == 0, said
    row = json.loads(said)
    assert row["table"] == {"schema": SCHEMA, "name": "t"}
    assert base64.b64decode(row["new"]["a"]).decode() == CANARY
    assert row["new"]["b"] is None
    assert f'a = "{CANARY}"' in replication.command("quarantine", PENSTOCK_KEY_FILE=str(key))[1]
    code, said = replication.command("quarantine", PENSTOCK_KEY_FILE=str(other))
    assert (code, "which is not here" in said, CANARY in said) == (3, True, False)
