"""`penstock rotate`: a new key for what a daemon keeps, whose replications go on."""

import os
import subprocess
from pathlib import Path

from engine.control import key_file
from tests.scenario.daemon.replicated import replicated, start
from tests.scenario.daemon.serving import Serving
from tests.scenario.running import PENSTOCK, ROOT
from tests.servers.postgres import Database


def rotate(state: Path, **environment: str) -> tuple[int, str]:
    done = subprocess.run(
        [*PENSTOCK, "rotate", f"--state-dir={state}"],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


def keys(daemon: Serving) -> list[str]:
    return [key.id for key in key_file.read(daemon.state / "penstock.key")]


def test_what_ran_under_the_old_key_runs_under_the_new_one(
    tmp_path: Path, source: Database, target: Database
) -> None:
    source.execute("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'one')")
    with Serving(tmp_path) as daemon:
        it = replicated(daemon, "orders", source, target)
        start(daemon, it.arn)
        daemon.await_status(it.arn, "running")
        before = keys(daemon)
        code, said = rotate(daemon.state)
        assert (code, keys(daemon)) == (2, before)
        assert "is another daemon's, which runs" in said
        assert daemon.stop() == 0
    code, said = rotate(daemon.state)
    assert code == 0, said
    assert said.startswith("2 secrets were sealed again under a new key; 1 older key was taken out")
    (after,) = keys(daemon)
    assert after not in before
    with Serving(tmp_path) as daemon:
        daemon.await_status(it.arn, "running")
        source.execute("INSERT INTO t VALUES (2, 'under the new key')")
        daemon.until(it.rows("t"), "the change")
        assert daemon.stop() == 0
    assert rotate(daemon.state)[1].startswith("2 secrets"), "as often as one likes"


def test_where_no_daemon_was_nothing_is_made(tmp_path: Path) -> None:
    code, said = rotate(tmp_path)
    assert code == 2
    assert "holds no store" in said
    assert not list(tmp_path.iterdir())


def test_keys_in_the_environment_are_left_alone(tmp_path: Path) -> None:
    with Serving(tmp_path) as daemon:
        assert daemon.address
        assert daemon.stop() == 0
    own = key_file.read(daemon.state / "penstock.key")[0].text().reveal()
    code, said = rotate(daemon.state, PENSTOCK_KEY=own)
    assert code == 2
    assert "PENSTOCK_KEY_FILE" in said
    assert own not in said
