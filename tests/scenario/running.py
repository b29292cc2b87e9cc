"""`penstock run` as its users start it: a process with a file, watched by its lines.

    replication = Replication.between(folder, "orders", source, target)
    with replication.run() as run:
        run.state("streaming")
        run.kill_worker()
        replication.await_applied()
        assert run.stop() == 0
    assert replication.differences() == []

Nothing here sleeps for a fixed time: it waits for a line of the process or for what a server says,
and fails with the process's last lines when that does not come.
"""

import datetime as dt
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, NoReturn, Self

import psycopg

from tests.scenario.dialects import AnyDatabase
from tests.servers.postgres import Database

ROOT: Final = Path(__file__).parents[2]

PENSTOCK: Final = (sys.executable, "-c", "from engine.control.cli import main; main()")
"""The console script, whether it is installed or not."""

PATIENCE_SECONDS: Final = 60.0
"""Longest wait for anything; a busy machine is slow, but not that slow."""

SOON: Final = {
    "requests": "200ms",
    "new_tables": "2s",
    "foreign_keys": "2s",
    "partitions": "1s",
    "frontier_idle": "2s",
}
"""`[intervals]` of all replications here: nobody waits for a look longer than it takes."""

LOOK_SECONDS: Final = 0.05
"""Time between two questions to a server that has no way to tell us."""

LINES_SHOWN: Final = 25

Event = dict[str, Any]


class Run:
    """One `penstock` process; `events` are its JSON lines, `log` its log lines. It `began` at this
    wall time."""

    def __init__(
        self,
        words: Sequence[str],
        environment: Mapping[str, str],
        command: Sequence[str] = PENSTOCK,
    ) -> None:
        self.events: list[Event] = []
        self.log: list[str] = []
        self.began = time.time()
        self._changed = threading.Condition()
        self._seen = 0
        self.process = subprocess.Popen(
            [*command, *words],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._readers = [
            threading.Thread(target=self._read, args=(self.process.stdout, self._take_event)),
            threading.Thread(target=self._read, args=(self.process.stderr, self._take_log)),
        ]
        for reader in self._readers:
            reader.start()

    # --- what it says -------------------------------------------------------------------------

    def await_event(
        self,
        wanted: Callable[[Event], bool],
        what: str,
        *,
        after: int = 0,
        patience: float = PATIENCE_SECONDS,
    ) -> Event:
        """The first event from number `after` on that is wanted; waits for it."""

        def found() -> Event | None:
            return next((event for event in self.events[after:] if wanted(event)), None)

        with self._changed:
            if not self._changed.wait_for(lambda: found() or self._ended(), patience):
                self._fail(f"waited {patience:.0f} s for {what}")
            event = found()
        if event is None:
            self._fail(f"ended before {what}")
        return event

    def event(self, name: str, **options: Any) -> Event:
        return self.await_event(lambda e: e["event"] == name, f"event {name}", **options)

    def state(self, *names: str, **options: Any) -> Event:
        return self.await_event(
            lambda e: e["event"] == "state" and e["state"] in names,
            f"state {' or '.join(names)}",
            **options,
        )

    def table(self, table: str, *states: str, **options: Any) -> Event:
        return self.await_event(
            lambda e: e["event"] == "table" and e["table"] == table and e["state"] in states,
            f"{table} {' or '.join(states)}",
            **options,
        )

    def says(self, text: str, *, patience: float = PATIENCE_SECONDS) -> str:
        """The first log line with this text; waits for it."""

        def found() -> str | None:
            return next((line for line in self.log if text in line), None)

        with self._changed:
            if not self._changed.wait_for(lambda: found() or self._ended(), patience):
                self._fail(f"waited {patience:.0f} s for a line with {text!r}")
            line = found()
        if line is None:
            self._fail(f"ended without a line with {text!r}")
        return line

    @property
    def mark(self) -> int:
        """Number of events so far: `after` for what is to come."""
        with self._changed:
            return len(self.events)

    # --- what is done to it -------------------------------------------------------------------

    @property
    def worker(self) -> int:
        """Process id of the newest worker."""
        started = [e for e in list(self.events) if e["event"] == "started"]
        return int(started[-1]["pid"]) if started else int(self.event("started")["pid"])

    def kill_worker(self) -> None:
        """SIGKILL to the worker; the supervisor starts another."""
        kill(self.worker, signal.SIGKILL)

    def kill_supervisor(self) -> None:
        """SIGKILL to the parent; the kernel ends the worker with it. Returns when both are gone."""
        worker = self.worker
        self.process.kill()
        self.wait()
        until(lambda: not alive(worker), "the worker to die with its supervisor")

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        self.process.terminate()
        return self.wait()

    def wait(self, patience: float = PATIENCE_SECONDS) -> int:
        """The exit code, once every line has been read."""
        try:
            code = self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self._fail(f"did not end within {patience:.0f} s")
        for reader in self._readers:
            reader.join(patience)
        return code

    @property
    def ending(self) -> str:
        """The last log line: the reason and the remedy of a failure."""
        return self.log[-1] if self.log else ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            kill(self.process.pid, signal.SIGCONT)
            self.process.kill()
        self.wait()
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        if error is not None:
            error.add_note(self.story())

    def story(self) -> str:
        """Its last lines, for a failed test."""
        events = [json.dumps(e) for e in self.events if e["event"] != "metrics"]
        shown = ["--- events", *events[-LINES_SHOWN:], "--- log", *self.log[-LINES_SHOWN:]]
        return "\n".join(shown)

    # --- inside -------------------------------------------------------------------------------

    def _read(self, stream: IO[str], take: Callable[[str], None]) -> None:
        for line in stream:
            with self._changed:
                take(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def _take_event(self, line: str) -> None:
        if line.startswith("{"):
            self.events.append(json.loads(line))

    def _take_log(self, line: str) -> None:
        self.log.append(line)

    def _ended(self) -> bool:
        return not any(reader.is_alive() for reader in self._readers if reader.ident) or (
            self.process.poll() is not None
        )

    def _fail(self, what: str) -> NoReturn:
        raise AssertionError(f"penstock {what}")


@dataclass
class Started:
    """A replication file, and the commands that its users run with it."""

    file: Path
    id: str
    folder: Path
    environment: dict[str, str] = field(default_factory=dict[str, str], kw_only=True)

    def run(self, *arguments: str, **environment: str) -> Run:
        """Start `penstock run`."""
        words = ["run", "--log-format=json", f"--state-dir={self.folder / 'state'}"]
        return Run([*words, *arguments, "--", str(self.file)], {**self.environment, **environment})

    def command(self, name: str, *arguments: str, **environment: str) -> tuple[int, str]:
        """Run another command to its end: its exit code and all it said."""
        done = subprocess.run(
            [*PENSTOCK, name, str(self.file), *arguments],
            cwd=ROOT,
            env={**os.environ, **self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
        )
        return done.returncode, done.stdout + done.stderr

    def catch_up(self, *arguments: str) -> None:
        """Run until everything committed by now is in the target."""
        with self.run("--stop-at=caught-up", *arguments) as run:
            assert run.wait() == 0, run.story()


@dataclass
class Replication(Started):
    """A replication file between two databases of PostgreSQL."""

    source: Database
    target: Database

    @classmethod
    def between(
        cls,
        folder: Path,
        id: str,
        source: Database,
        target: Database,
        /,
        *,
        kind: str = "full-load-and-cdc",
        source_dsn: str = "",
        target_dsn: str = "",
        file: str = "",
        **sections: Mapping[str, object],
    ) -> Self:
        """Write its file. `sections`: further keys, by table of the file."""
        ends: dict[str, dict[str, object]] = {
            "replication": {"id": id, "type": kind},
            "source": {"engine": "postgres", "url": source_dsn or source.dsn},
            "target": {"engine": "postgres", "url": target_dsn or target.dsn},
            "capacity": {"unit_memory": "128MiB", "max": 1},
            "intervals": dict(SOON),
        }
        path = folder / (file or f"{id}.toml")
        for name, keys in sections.items():
            ends.setdefault(name, {}).update(keys)
        path.write_text(toml(ends))
        return cls(path, id, folder, source, target)

    # --- what the servers say -----------------------------------------------------------------

    @property
    def ends(self) -> tuple[AnyDatabase, AnyDatabase]:
        return self.source, self.target

    @property
    def slot(self) -> str:
        return "penstock_" + self.id.lower().replace("-", "_")

    def head(self) -> str:
        """The end of the source's log."""
        self.source.execute("SELECT pg_switch_wal()")  # also what no transaction follows
        return str(self.source.execute("SELECT pg_current_wal_lsn()")[0][0])

    def confirmed(self) -> str | None:
        """What the source has been told."""
        found = self.source.execute(
            "SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = %s", self.slot
        )
        return None if not found else str(found[0][0])

    def confirmed_reaches(self, lsn: str) -> bool:
        found = self.source.execute(
            "SELECT confirmed_flush_lsn >= %s::pg_lsn FROM pg_replication_slots"
            " WHERE slot_name = %s",
            lsn,
            self.slot,
        )
        return bool(found and found[0][0])

    def await_applied(self, run: Run | None = None, patience: float = PATIENCE_SECONDS) -> str:
        """Wait until everything committed by now is durable and the source has been told so."""
        lsn = str(self.source.execute("SELECT pg_current_wal_insert_lsn()")[0][0])
        until(
            lambda: self.confirmed_reaches(lsn),
            f"{lsn} to be acknowledged",
            patience=patience,
            run=run,
        )
        return lsn

    def await_tables(self, tables: Iterable[str], run: Run | None = None) -> None:
        """Wait until these tables are equal; for what the acknowledged position does not tell."""
        wanted = list(tables)
        until(lambda: not self.differences(wanted), f"{wanted} to be equal", run=run)

    def differences(self, tables: Iterable[str] = ()) -> list[str]:
        """Tables that differ, with both counts. Every user table of the source by default."""
        return [
            f"{table}: {left} != {right}"
            for table in (tables or self.tables())
            if (left := content(self.source, table)) != (right := content(self.target, table))
        ]

    def tables(self) -> list[str]:
        found = self.source.execute(
            "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c"
            " JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition"
            " AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'penstock') ORDER BY 1"
        )
        return [name for (name,) in found]

    def state(self, table: str) -> str:
        """A table's durable state."""
        found = self.target.execute(
            "SELECT state FROM penstock.table_state WHERE replication = %s"
            " AND schema_name || '.' || table_name = %s",
            self.id,
            table,
        )
        return str(found[0][0]) if found else ""


def content(database: Database, table: str) -> tuple[int, str]:
    """Number of rows and a hash of all of them; ("absent") for a table that is not there."""
    try:
        found = database.execute(
            "SELECT count(*), coalesce(md5(string_agg(t::text, E'\\n' ORDER BY t::text COLLATE"
            f" \"C\")), '') FROM {table} t"
        )
    except psycopg.errors.UndefinedTable:
        return (-1, "absent")
    return (int(found[0][0]), str(found[0][1]))


def until(
    condition: Callable[[], bool],
    what: str,
    *,
    patience: float = PATIENCE_SECONDS,
    run: Run | None = None,
) -> None:
    """Ask until it holds; fails early when `run` has ended."""
    deadline = time.monotonic() + patience
    while not condition():
        if run is not None and run.process.poll() is not None and not condition():
            raise AssertionError(f"penstock ended while waiting for {what}\n{run.story()}")
        if time.monotonic() > deadline:
            story = "" if run is None else run.story()
            raise AssertionError(f"waited {patience:.0f} s for {what}\n{story}")
        time.sleep(LOOK_SECONDS)


def seconds_between(earlier: Event, later: Event) -> float:
    """By the process's own clock; its start, which a busy machine makes long, does not count."""
    return wall(later) - wall(earlier)


def wall(event: Event) -> float:
    """When it happened, in seconds since 1970."""
    return dt.datetime.fromisoformat(event["time"]).timestamp()


def alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def kill(pid: int, number: signal.Signals) -> None:
    """Signal a process of ours that may have ended by itself."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def toml(sections: Mapping[str, Mapping[str, object]]) -> str:
    lines: list[str] = []
    for name, keys in sections.items():
        lines.append(f"[{name}]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in keys.items()]
    return "\n".join(lines) + "\n"
