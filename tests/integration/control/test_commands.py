"""The commands as a user starts them, between two databases of a real server."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.servers.postgres import Cluster, Database

ROOT = Path(__file__).resolve().parents[3]

PENSTOCK = (sys.executable, "-c", "from engine.control.cli import main; main()")

PASSWORD = "canary-hunter2"

Done = subprocess.CompletedProcess[str]


class Town:
    """A source, a target and the file between them."""

    def __init__(self, source: Database, target: Database, folder: Path) -> None:
        self.source = source
        self.target = target
        self.file = folder / "orders.toml"
        self.state = folder / "state"
        self.write(source.dsn, target.dsn)

    def write(self, source: str, target: str) -> None:
        self.file.write_text(
            f'[replication]\nid = "orders"\n'
            f'[source]\nengine = "postgres"\nurl = "{source}"\n'
            f'[target]\nengine = "postgres"\nurl = "{target}"\n'
        )

    def penstock(self, command: str, *arguments: str) -> Done:
        done = subprocess.run(
            self._words(command, *arguments),
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert "Traceback" not in done.stderr
        assert PASSWORD not in done.stdout + done.stderr
        return done

    def start(self) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            self._words("run"),
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def _words(self, command: str, *arguments: str) -> list[str]:
        return [*PENSTOCK, command, str(self.file), *arguments]

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(self.state)}


@pytest.fixture
def town(postgres15: Cluster, tmp_path: Path) -> Iterator[Town]:
    source = Database.create(postgres15, "commands_source")
    target = Database.create(postgres15, "commands_target")
    source.execute("CREATE TABLE orders (id int PRIMARY KEY, note text)")
    source.execute("INSERT INTO orders SELECT n, 'note ' || n FROM generate_series(1, 500) n")
    yield Town(source, target, tmp_path)
    source.drop()
    target.drop()


def _rows(database: Database) -> list[object]:
    """Every row; none while the table is not there yet."""
    if database.execute("SELECT to_regclass('orders') IS NULL") == [(True,)]:
        return []
    return list(database.execute("SELECT id, note FROM orders ORDER BY id"))


def _until(condition: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _events(process: "subprocess.Popen[str]", name: str) -> Iterator[dict[str, object]]:
    assert process.stdout is not None
    for line in process.stdout:
        event = json.loads(line)
        if event["event"] == name:
            yield event


def test_from_check_to_cleanup(town: Town) -> None:
    assert town.penstock("check").returncode == 0
    assert town.target.execute("SELECT FROM pg_namespace WHERE nspname = 'penstock'") == []
    assert (
        town.source.execute("SELECT FROM pg_replication_slots WHERE database = current_database()")
        == []
    )

    assert town.penstock("run", "--stop-at", "caught-up").returncode == 0
    assert _rows(town.target) == _rows(town.source)
    town.source.execute("UPDATE orders SET note = 'later' WHERE id <= 10")
    assert town.penstock("run", "--stop-at", "caught-up").returncode == 0
    assert _rows(town.target) == _rows(town.source)

    equal = town.penstock("compare")
    assert (equal.returncode, equal.stdout.splitlines()[-1]) == (
        0,
        "0 differences in 1 table, 500 rows",
    )
    town.target.execute("DELETE FROM orders WHERE id = 7")
    different = town.penstock("compare", "--json")
    assert different.returncode == 1
    assert json.loads(different.stdout)["tables"][0]["keys"] == [{"kind": "missing", "key": ["7"]}]

    refused = town.penstock("cleanup")
    assert refused.returncode == 2
    assert "penstock_orders" in refused.stdout
    assert town.penstock("cleanup", "--yes").returncode == 0
    assert town.source.execute("SELECT FROM pg_publication") == []
    assert (
        town.source.execute("SELECT FROM pg_replication_slots WHERE database = current_database()")
        == []
    )
    assert town.target.execute("SELECT FROM penstock.owner") == []


def test_a_running_replication_survives_kills_of_its_worker_reloads_and_drains(town: Town) -> None:
    process = town.start()
    try:
        started = _events(process, "started")
        for life in range(2):
            worker = next(started)["pid"]
            assert isinstance(worker, int)
            town.source.execute("INSERT INTO orders VALUES (%s, 'new')", 1000 + life)
            _until(lambda: _rows(town.target) == _rows(town.source))
            os.kill(worker, signal.SIGKILL)
        next(started)
        town.source.execute("INSERT INTO orders VALUES (2000, 'after two kills')")
        _until(lambda: _rows(town.target) == _rows(town.source))

        assert town.penstock("cleanup", "--yes").returncode == 3
        town.target.execute("DELETE FROM orders WHERE id = 7")
        assert town.penstock("reload", "public.orders").returncode == 0
        _until(lambda: _rows(town.target) == _rows(town.source))
    finally:
        process.terminate()
        rest, _ = process.communicate(timeout=12)
    assert process.returncode == 0
    assert json.loads(rest.splitlines()[-1])["event"] == "ended"


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_server_that_nobody_reaches_is_named_by_check(town: Town, side: str) -> None:
    nowhere = f"postgresql://someone:{PASSWORD}@127.0.0.1:1/orders"
    source, target = town.source.dsn, town.target.dsn
    town.write(*((nowhere, target) if side == "source" else (source, nowhere)))
    done = town.penstock("check")
    assert done.returncode == 1
    assert f"{side}-connection" in done.stdout


def test_a_table_that_cannot_be_reloaded_is_refused(town: Town) -> None:
    early = town.penstock("reload", "public.orders")
    assert early.returncode == 2
    assert "has not run yet" in early.stderr


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_machine_without_room_for_the_smallest_size_is_refused(town: Town, command: str) -> None:
    with town.file.open("a") as file:
        file.write('[capacity]\nmin = 384\nmax = 384\nunit_memory = "64GiB"\n')
    done = town.penstock(command)
    assert done.returncode == (1 if command == "check" else 2)
    said = done.stdout + done.stderr
    assert "capacity.min: is 384 of 64GiB, which is 24TiB; this machine" in said
    assert "lower [capacity] unit_memory or min" in said


def test_check_tells_of_a_maximum_that_the_machine_has_no_room_for(town: Town) -> None:
    with town.file.open("a") as file:
        file.write("[capacity]\nmax = 384\n")
    done = town.penstock("check", "--json")
    (told,) = [found for found in json.loads(done.stdout) if found["check"] == "capacity"]
    assert told["severity"] == "tells"
    assert "units of 2GiB instead of 384" in told["message"]


def test_check_shows_how_the_first_size_is_reckoned(town: Town) -> None:
    done = town.penstock("check", "--json")
    (told,) = [each for each in json.loads(done.stdout) if each["check"] == "capacity-predicted"]
    assert "speak for 1 unit, with which a first start begins" in told["message"]
    assert "memory: 80 MiB + 1 copier x 16 MiB" in told["message"]
    assert "; queue: " in told["message"]
    assert "; appliers: " in told["message"]
