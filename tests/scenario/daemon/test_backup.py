"""Backup and restore of the daemon's state and of its key, as the guide has them."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.deployed import ROOT
from tests.scenario.daemon.replicated import Replicated, replicated, start
from tests.scenario.daemon.serving import Serving
from tests.servers.postgres import Database

GUIDE = ROOT / "docs" / "guide" / "installing.md"

BACKUP = re.compile(
    r'^/opt/penstock/bin/python -c "(import sqlite3[^"]+)" (\S+) (\S+)$', re.MULTILINE
)


def back_up(daemon: Serving, folder: Path) -> None:
    """By the guide's own line, while it runs; and the key."""
    ((program, store, _),) = BACKUP.findall(GUIDE.read_text())
    folder.mkdir()
    name = Path(store).name
    subprocess.run([sys.executable, "-c", program, daemon.state / name, folder / name], check=True)
    shutil.copy(daemon.state / "penstock.key", folder)


def running(daemon: Serving, source: Database, target: Database) -> Replicated:
    source.execute("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'one')")
    it = replicated(daemon, "orders", source, target)
    start(daemon, it.arn)
    daemon.await_status(it.arn, "running")
    return it


def test_what_ran_at_the_backup_runs_after_a_restore(
    tmp_path: Path, source: Database, target: Database
) -> None:
    with Serving(tmp_path / "lost") as daemon:
        it = running(daemon, source, target)
        back_up(daemon, tmp_path / "backup")
        source.execute("INSERT INTO t VALUES (2, 'after the backup')")
        daemon.until(it.rows("t"), "the change")
        daemon.kill()
    source.execute("INSERT INTO t VALUES (3, 'after the loss')")
    shutil.copytree(tmp_path / "backup", tmp_path / "new" / "state")
    with Serving(tmp_path / "new") as daemon:
        daemon.await_status(it.arn, "running")
        daemon.until(it.rows("t"), "everything, once")
        assert daemon.stop() == 0


def test_a_store_without_its_key_is_refused_and_nothing_is_made_in_its_place(
    tmp_path: Path, source: Database, target: Database
) -> None:
    with Serving(tmp_path) as daemon:
        running(daemon, source, target)
        daemon.kill()
    key = tmp_path / "state" / "penstock.key"
    key.unlink()
    with Serving(tmp_path) as daemon:
        assert daemon.wait() != 0
        assert "restore it from its backup" in daemon.story()
    assert not key.exists()
