"""Rows that a daemon's replications keep aside: sealed under its keys, shown to its admins."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Final

from tests.scenario.daemon.replicated import Replicated, replicated, start
from tests.scenario.daemon.serving import Serving
from tests.scenario.daemon.test_rotate import rotate
from tests.scenario.running import PENSTOCK, ROOT
from tests.scenario.test_quarantine import CANARY as ROW
from tests.scenario.test_quarantine import control_text, holds_canary, note_of, payload_keys
from tests.servers.postgres import Database

TABLE: Final = "CREATE TABLE t (id int PRIMARY KEY, note text"


def asked(daemon: Serving, *words: str, **environment: str) -> tuple[int, str]:
    """`penstock quarantine`: its exit code and all it said."""
    done = subprocess.run(
        [*PENSTOCK, "quarantine", *words],
        cwd=ROOT,
        env={**os.environ, "PENSTOCK_ENDPOINT": f"http://{daemon.address}", **environment},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


def rows(daemon: Serving, name: str) -> list[dict[str, Any]]:
    code, said = asked(daemon, "--output=json", name)
    assert code == 0, said
    return [json.loads(line) for line in said.splitlines()]


def refuse(daemon: Serving, it: Replicated, count: int) -> None:
    """A row more is refused, where so many are kept then."""
    daemon.await_status(it.arn, "running")
    it.source.execute("INSERT INTO t SELECT coalesce(max(id), 0) + 1, %s FROM t", f"{ROW} {count}")
    daemon.until(
        lambda: it.target.execute("SELECT count(*) FROM penstock.quarantine") == [(count,)],
        f"{count} kept rows",
    )


def holding(state: Path) -> list[Path]:
    """Files of a state directory that hold a value of a row."""
    files = [path for path in state.rglob("*") if path.is_file()]
    assert {"penstock.db", "penstock.key"} <= {path.name for path in files}
    return [path for path in files if holds_canary(path.read_bytes())]


def test_kept_rows_are_sealed_and_stay_readable_through_rotations(
    tmp_path: Path, source: Database, target: Database
) -> None:
    source.execute(f"{TABLE}); INSERT INTO t VALUES (0, 'fits')")
    target.execute(f"{TABLE} CHECK (note NOT LIKE '{ROW}%'))")
    settings = {
        "ErrorBehavior": {"ApplyErrorInsertPolicy": "LOG_ERROR"},
        "Logging": {"EnableLogging": True},
    }
    with Serving(tmp_path) as daemon:
        it = replicated(daemon, "kept", source, target, settings=settings)
        code, said = asked(daemon, "kept")
        assert (code, said) == (0, "none was kept aside\n"), said
        start(daemon, it.arn)
        refuse(daemon, it, 1)
        assert [note_of(row) for row in rows(daemon, "kept")] == [f"{ROW} 1"]
        assert f'note = "{ROW} 1"' in asked(daemon, "kept")[1]
        daemon.kill()
        assert not [line for line in daemon.lines if holds_canary(json.dumps(line))]
        (audited, *_) = [
            line for line in daemon.lines if line.get("operation") == "GetReplicationQuarantine"
        ]
        assert (audited["resource"], audited["result"]) == (it.arn, "done")
    assert holding(daemon.state) == []
    code, said = rotate(daemon.state)
    assert code == 0, said
    with Serving(tmp_path) as daemon:
        refuse(daemon, it, 2)
        first, second = payload_keys(target)
        assert first, "sealed"
        assert second, "sealed"
        assert first != second, "a new key after a rotation"
        assert [note_of(row) for row in rows(daemon, "kept")] == [f"{ROW} 1", f"{ROW} 2"]
        assert daemon.stop() == 0
    assert rotate(daemon.state)[0] == 0
    with Serving(tmp_path) as daemon:
        assert [note_of(row) for row in rows(daemon, "kept")] == [f"{ROW} 1", f"{ROW} 2"]
        assert daemon.stop() == 0
        assert not [line for line in daemon.lines if holds_canary(json.dumps(line))]
    assert not holds_canary(control_text(target))
    assert holding(daemon.state) == []


def test_what_waits_for_a_stopped_table_is_sealed_on_disk(
    tmp_path: Path, source: Database, target: Database
) -> None:
    source.execute(f"{TABLE})")
    target.execute(f"{TABLE} CHECK (note NOT LIKE '{ROW}%'))")
    with Serving(tmp_path) as daemon:
        it = replicated(daemon, "stopped", source, target)
        start(daemon, it.arn)
        refuse(daemon, it, 1)

        def overflowed() -> bool:
            return any(path.stat().st_size for path in daemon.state.rglob("spool-*"))

        daemon.until(overflowed, "what waits")
        daemon.kill()
        assert overflowed(), "a killed worker leaves it"
    assert holding(daemon.state) == []
    assert not holds_canary(control_text(target))
