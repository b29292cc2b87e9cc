"""Replication files and the daemon: `penstock apply` and the commands, as a user types them."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.scenario.daemon.serving import Serving
from tests.scenario.running import PENSTOCK, ROOT
from tests.servers.postgres import Database

KEY = {
    "PENSTOCK_ACCESS_KEY_ID": "AKIDPENSTOCKTEST0",
    "PENSTOCK_SECRET_ACCESS_KEY": "a-secret-of-some-length",
}


class Shell:
    """Where somebody types."""

    def __init__(self, folder: Path, source: Database, target: Database) -> None:
        self.folder = folder
        self.file = folder / "orders.toml"
        self.environment = {**os.environ, **KEY, "XDG_STATE_HOME": str(folder / "own")}
        self.file.write_text(
            f'[replication]\nid = "orders"\n'
            f'[source]\nengine = "postgres"\nurl = "{source.dsn}"\n'
            f'[target]\nengine = "postgres"\nurl = "{target.dsn}"\n'
            '[mapping]\ninclude = ["public.t"]\n'
            '[capacity]\nmax = 2\nunit_memory = "256MiB"\n'
            '[settings]\nfile = "settings.json"\n'
        )
        (folder / "settings.json").write_text('{"Logging": {"EnableLogging": true}}')

    def reach(self, daemon: Serving) -> None:
        self.environment["PENSTOCK_ENDPOINT"] = f"http://{daemon.address}"

    def penstock(self, *words: str, code: int = 0) -> str:
        """What a command prints; it ends with this code."""
        done = subprocess.run(
            [*PENSTOCK, *words],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout if code == 0 else done.stderr

    def json(self, *words: str) -> Any:
        return json.loads(self.penstock(*words, "--output", "json"))

    def change(self, old: str, new: str) -> None:
        text = self.file.read_text()
        assert old in text
        self.file.write_text(text.replace(old, new))


@pytest.fixture
def shell(tmp_path: Path, source: Database, target: Database) -> Shell:
    source.execute(
        "CREATE TABLE t (id int PRIMARY KEY, v text);"
        " INSERT INTO t SELECT g, 'row ' || g FROM generate_series(1, 500) g"
    )
    return Shell(tmp_path, source, target)


def test_from_a_file_to_a_replication_and_back(
    tmp_path: Path, shell: Shell, source: Database, target: Database
) -> None:
    with Serving(tmp_path, **KEY) as daemon:
        shell.reach(daemon)
        said = shell.penstock("apply", str(shell.file), "--yes")
        assert said.splitlines()[-1] == "next: penstock start orders"
        assert "nothing to do: 3 as they are" in shell.penstock("apply", str(shell.file))
        assert shell.penstock("start", "orders").splitlines()[-1] == "orders  running"

        def same() -> bool:
            rows = "SELECT id, v FROM t ORDER BY id"
            there = target.execute("SELECT to_regclass('t') IS NOT NULL") == [(True,)]
            return there and target.execute(rows) == source.execute(rows)

        daemon.until(same, "the load")
        source.execute("INSERT INTO t VALUES (1001, 'new'); DELETE FROM t WHERE id < 10")
        daemon.until(same, "the changes")
        daemon.until(lambda: "lag_seconds" in shell.json("status", "orders"), "figures")
        found = shell.json("status", "orders")
        assert (found["status"], found["phase"]) == ("running", "streaming")
        assert found["units"] in (1, 2)
        (row,) = shell.penstock("status").splitlines()[1:]
        assert row.startswith("orders  running  streaming")
        (table,) = shell.json("tables", "orders")
        assert (table["SchemaName"], table["TableName"]) == ("public", "t")

        assert "'replication_state': 'running'" in shell.penstock("logs", "orders")
        engine = "==> dms-serverless-serv-res-id-"
        daemon.until(lambda: engine in shell.penstock("logs", "orders"), "the engine's first line")

        def told() -> bool:
            said = shell.penstock("logs", "orders", "--stream", "engine")
            begun = "[TARGET_LOAD     ]I:  table load begun; relation=public.t"
            ended = "[TARGET_LOAD     ]I:  table load ended; relation=public.t; rows=500;"
            return all(text in said for text in (begun, ended, "[PERFORMANCE     ]I:  latency;"))

        daemon.until(told, "what the engine's stream tells of a table and of the lag")

        target.execute("DELETE FROM t WHERE id > 400")
        shell.penstock("reload", "orders", "public.t")
        daemon.until(same, "the reload")

        shell.change("max = 2", "max = 1")
        said = shell.penstock("apply", str(shell.file), "--yes", code=1)
        assert "orders runs, and what differs can only change while nothing runs" in said
        said = shell.penstock("apply", str(shell.file), "--yes", "--restart")
        assert "capacity.max: 2 -> 1" in said
        shell.penstock("start", "orders")
        source.execute("INSERT INTO t VALUES (1002, 'after it was modified')")
        daemon.until(same, "what came after")

        assert shell.penstock("stop", "orders").splitlines()[-1] == "orders  stopped"
        said = shell.penstock("delete", "orders", "--yes", "--with-endpoints")
        assert said.splitlines() == [
            "deleted  orders",
            "deleted  orders-source",
            "deleted  orders-target",
        ]
        assert "DMS replication has been deleted." in shell.penstock("events")
        slots = "SELECT count(*) FROM pg_replication_slots WHERE database = current_database()"
        assert source.execute(slots) == [(0,)]
        assert same()
        assert daemon.stop() == 0


def test_what_penstock_run_began_the_daemon_goes_on_with(
    tmp_path: Path, shell: Shell, source: Database, target: Database
) -> None:
    shell.penstock("run", str(shell.file), "--stop-at", "caught-up")
    target.execute("UPDATE t SET v = 'a load would overwrite this' WHERE id = 1")
    source.execute("INSERT INTO t VALUES (1001, 'meanwhile')")
    with Serving(tmp_path, **KEY) as daemon:
        shell.reach(daemon)
        shell.penstock("apply", str(shell.file), "--yes")
        shell.penstock("start", "orders")
        daemon.until(
            lambda: target.execute("SELECT count(*) FROM t") == [(501,)], "what came meanwhile"
        )
        assert target.execute("SELECT v FROM t WHERE id = 1") == [("a load would overwrite this",)]
        slots = "SELECT slot_name FROM pg_replication_slots WHERE database = current_database()"
        assert source.execute(slots) == [("penstock_orders",)]
        assert daemon.stop() == 0


def test_a_database_that_cannot_be_reached_ends_the_start_with_its_reason(
    tmp_path: Path, shell: Shell
) -> None:
    with Serving(tmp_path, **KEY) as daemon:
        shell.reach(daemon)
        text = shell.file.read_text()
        head, _, tail = text.partition("[target]")
        url = 'url = "postgresql://u@127.0.0.1:1/nothing"'
        rest = tail.partition("[mapping]")[2]
        shell.file.write_text(f'{head}[target]\nengine = "postgres"\n{url}\n[mapping]{rest}')
        shell.penstock("apply", str(shell.file), "--yes")
        said = shell.penstock("start", "orders", code=1)
        last = said.splitlines()[-1]
        assert last.startswith("error: orders has failed: Test connection failed for endpoint")
        assert last.endswith("`penstock logs orders` has more")
        assert daemon.stop() == 0
