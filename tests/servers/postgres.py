"""A private PostgreSQL server for a test, and databases in it.

    with Cluster("18") as cluster:
        database = Database.create(cluster, "orders")
        database.execute("CREATE TABLE t (id int PRIMARY KEY)")

Every cluster lives in a temporary directory, in memory where it can, on a free loopback port with
its own socket directory, trusts every local connection, is set up for logical replication, and is
stopped and removed at the latest when the test process ends: a watchdog shell sees its pipe close
even after a SIGKILL.
"""

import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import quote, urlencode

import psycopg

from tests.servers import ramdisk
from tests.servers.account import server_account
from tests.servers.ports import LOOPBACK, free_port
from tests.servers.processes import POLL_SECONDS, Startable, Watchdog, await_gone, children, kill
from tests.servers.programs import Programs, find
from tests.servers.sessions import APPLICATION, Session, Sessions
from tests.servers.template import copy_template

SETTINGS: Final[Mapping[str, object]] = {
    "wal_level": "logical",
    "max_wal_senders": 20,
    "max_replication_slots": 20,
    "max_connections": 100,
    "max_prepared_transactions": 10,
    # A killed process loses nothing the kernel has; only a killed machine would.
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "listen_addresses": LOOPBACK,
    "log_min_messages": "warning",
    "timezone": "UTC",
    "password_encryption": "scram-sha-256",  # md5 by default before 14
}
"""What every cluster starts with; `Cluster(settings=...)` and `configure` add to it."""

START_TIMEOUT_SECONDS: Final = 60.0
"""Recovery after a kill on a busy machine takes seconds; a minute means it will not come."""

STOP_TIMEOUT_SECONDS: Final = 60.0

START_ATTEMPTS: Final = 3
"""Another process may take the port between choosing and listening; thrice is not chance."""

ORIGINS_FROM: Final = 18
"""From here on origins have a limit of their own (max_active_replication_origins, 10 by default),
before they shared the slots'."""

STATUS_LINE: Final = 7
"""Line of postmaster.pid that says `ready`, from 0 (src/include/utils/pidfile.h)."""

SHARED_MEMORY_LINE: Final = 6
"""Line of postmaster.pid with the key and id of the System V shared memory segment."""

COPY_STRATEGY_FROM: Final = 15
"""From here on a new database's seven megabytes are logged by default, which takes the server two
to five times the work; before, files were always copied."""

FOR_NEW_SESSIONS: Final = re.compile(r"(^|;)\s*ALTER (DATABASE|ROLE|USER|SYSTEM)\b")
"""Statements whose settings count from the next session on."""

COPIES_A_DATABASE: Final = re.compile(r"^CREATE DATABASE .* TEMPLATE\b")
"""Nobody may be connected to what it copies."""


class Cluster(Startable):
    """One server. Methods block; the server's own processes never share our event loop.

    `stop`, `kill9` and `restart` keep data, port and socket; `destroy` (or leaving the context)
    removes everything. Positions and identifiers behave as on any server: no two clusters share a
    system identifier.
    """

    def __init__(
        self,
        major: str,
        *,
        settings: Mapping[str, object] | None = None,
        directory: Path | None = None,
    ) -> None:
        """Prepare a cluster; nothing runs yet.

        `directory`: an existing parent for its files, for example a small file system.

        Raises ServerUnavailableError when this major version cannot be had here.
        """
        self.major = major
        programs = find(major)
        self.host = LOOPBACK
        self.port = 0
        self._account = server_account()
        origins = {"max_active_replication_origins": 20} if int(major) >= ORIGINS_FROM else {}
        self._settings = {**SETTINGS, **origins, **(settings or {})}
        self._process: subprocess.Popen[bytes] | None = None
        parent = directory or ramdisk.place()
        self.directory = Path(tempfile.mkdtemp(prefix=f"penstock-pg{major}-", dir=parent))
        self.directory.chmod(0o755)
        self.data = self.directory / "data"
        self.sockets = self.directory / "s"
        self.log = self.directory / "log"
        self._sessions = Sessions(self._connect)
        self._watchdog = Watchdog(self.directory, "data/postmaster.pid")
        self.programs: Programs = self._account.reachable(programs, self.directory)

    # --- life ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Start and wait until connections are accepted; nothing to do when running.

        Raises RuntimeError with the end of the server's log.
        """
        if self.running:
            return
        if self.port:
            self._launch()
            return
        self._create()
        for attempt in range(START_ATTEMPTS):
            self.port = free_port()
            try:
                self._launch()
            except RuntimeError:
                if attempt == START_ATTEMPTS - 1 or "could not bind" not in self.log.read_text():
                    raise
            else:
                return

    def stop(self, mode: str = "fast") -> None:
        """Stop and wait. `fast` ends sessions and checkpoints, `immediate` leaves recovery to do,
        `smart` waits for every session to end."""
        self._signal({"smart": "SIGTERM", "fast": "SIGINT", "immediate": "SIGQUIT"}[mode])

    def kill9(self) -> None:
        """Kill every process of the server at once, as a power cut that spares the disk would."""
        self._sessions.close()
        if self._process is None:
            return
        pids = [self._process.pid, *children(self._process.pid)]
        for pid in pids:
            kill(pid, signal.SIGKILL)
        self._process.wait(STOP_TIMEOUT_SECONDS)
        self._process = None
        await_gone(pids)

    def restart(self, mode: str = "fast") -> None:
        """`stop(mode)` and `start`; new settings take effect."""
        self.stop(mode)
        self.start()

    def reload(self) -> None:
        """Make the running server read its settings again. Returns before it has."""
        self._running_process().send_signal(signal.SIGHUP)

    def standby(self, **settings: object) -> "Cluster":
        """A physical standby of this server, running, for the caller to destroy. Restarts this
        server, which had better have no replication slot yet: its files are copied."""
        source = f"host={self.sockets} port={self.port} user=postgres dbname=postgres"
        known = {"primary_conninfo": source, "hot_standby_feedback": "on"}
        standby = Cluster(self.major, settings={**self._settings, **known, **settings})
        self.stop()
        shutil.copytree(self.data, standby.data, copy_function=shutil.copyfile)
        self.start()
        standby._follow()
        return standby

    def _follow(self) -> None:
        (self.data / "standby.signal").touch()
        self.data.chmod(0o700)
        self._account.give(self.data)
        self.sockets.mkdir()
        self._account.give(self.sockets)
        self._write_settings()
        self.port = free_port()
        self._launch()

    def promote(self) -> None:
        """Let a standby take over; returns when it takes writes."""
        if self.execute("SELECT pg_promote(true, 60)") != [(True,)]:
            raise RuntimeError("the standby was not promoted")

    def sigstop(self) -> None:
        """Freeze every process of the server: connections stay open and nobody answers."""
        for pid in self._pids():
            kill(pid, signal.SIGSTOP)

    def sigcont(self) -> None:
        """Undo `sigstop`."""
        for pid in self._pids():
            kill(pid, signal.SIGCONT)

    def destroy(self) -> None:
        """Stop and remove everything. Idempotent."""
        if not self._watchdog.watching:
            return
        self._sessions.close()
        if self.running:
            self.sigcont()
            self.stop("immediate")
        self._release_shared_memory()
        shutil.rmtree(self.directory, ignore_errors=True)
        self._watchdog.dismiss()

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The postmaster's process id."""
        return self._running_process().pid

    # --- settings -----------------------------------------------------------------------------

    def configure(self, **settings: object) -> None:
        """Change settings in the file; `reload` or `restart` makes them count.

        `ALTER SYSTEM` works too and wins over these.
        """
        self._settings |= settings
        if self.data.exists():
            self._write_settings()

    def access(self, *lines: str) -> None:
        """Replace pg_hba.conf and reload. The superuser keeps its way in over the socket."""
        text = "\n".join(["local all postgres trust", *lines, ""])
        (self.data / "pg_hba.conf").write_text(text)
        if self.running:
            self.reload()

    def give(self, file: Path) -> None:
        """Let the server's account own a file, as it demands of a private key."""
        self._account.give(file)

    # --- use ----------------------------------------------------------------------------------

    def dsn(
        self,
        database: str = "postgres",
        *,
        user: str = "postgres",
        password: str = "",
        port: int | None = None,
        **options: str,
    ) -> str:
        """A URL that libpq and asyncpg both take. `port`: that of a proxy in front."""
        login = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
        query = f"?{urlencode(options)}" if options else ""
        place = f"{self.host}:{port or self.port}"
        return f"postgresql://{login}@{place}/{quote(database, safe='')}{query}"

    def create_database(self, name: str) -> str:
        """Create an empty database and return its URL."""
        strategy = "STRATEGY FILE_COPY" if int(self.major) >= COPY_STRATEGY_FROM else ""
        self.execute(f"CREATE DATABASE {quoted(name)} TEMPLATE template0 {strategy}")
        return self.dsn(name)

    def drop_database(self, name: str) -> None:
        """Drop a database with its replication slots and origins, whoever still uses them."""
        self._sessions.close(name)
        slots = "FROM pg_replication_slots WHERE database = %s"
        deadline = time.monotonic() + STOP_TIMEOUT_SECONDS
        while self.execute(f"SELECT {_END} {slots} AND active_pid IS NOT NULL", name):
            if time.monotonic() > deadline:
                raise RuntimeError(f"a replication slot of database {name} stays in use")
            time.sleep(POLL_SECONDS)
        self.execute(f"SELECT pg_drop_replication_slot(slot_name) {slots}", name)
        oids = self.execute("SELECT oid::text FROM pg_database WHERE datname = %s", name)
        self.execute(f"DROP DATABASE IF EXISTS {quoted(name)} WITH (FORCE)")
        for (oid,) in oids:
            self.execute(_DROP_ORIGINS, f"^penstock_.*_{oid}_[0-9]+$")

    def drop_origins_left(self) -> list[str]:
        """Drop every origin; their names, and `?` for each place that is held for an origin that is
        gone itself."""
        left = self.execute(_ORIGINS_LEFT)
        for (name,) in left:
            self.execute("SELECT pg_replication_origin_drop(%s)", name)
        lost = self.execute(_PLACES_LOST)
        return [name for (name,) in left] + ["?" for _ in lost]

    def execute(
        self, sql: str, *parameters: object, database: str = "postgres"
    ) -> list[tuple[Any, ...]]:
        """Run SQL as the superuser, committed at once; the rows of the last statement.

        Several statements, separated by semicolons, are one transaction and take no parameters.
        """
        if COPIES_A_DATABASE.search(sql):
            self._sessions.close()
        with self._sessions.lent(database) as session:
            cursor = session.execute(sql.encode(), parameters or None)
            while cursor.nextset():
                pass
            rows = cursor.fetchall() if cursor.description else []
        if FOR_NEW_SESSIONS.search(sql):
            self._sessions.close()
        return rows

    # --- inside -------------------------------------------------------------------------------

    def _connect(self, database: str) -> Session:
        return psycopg.connect(
            host=str(self.sockets),
            port=self.port,
            user="postgres",
            dbname=database,
            application_name=APPLICATION,
            autocommit=True,
            prepare_threshold=None,  # a kept session meets tables that have changed
        )

    def _create(self) -> None:
        copy_template(self.programs, self._account, self.data)
        self.sockets.mkdir()
        self._account.give(self.sockets)
        self._write_settings()

    def _write_settings(self) -> None:
        values = {**self._settings, "unix_socket_directories": self.sockets}
        text = "".join(f"{name} = '{_text(value)}'\n" for name, value in values.items())
        (self.data / "postgresql.conf").write_text(text)

    def _launch(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [self.programs.bin / "postgres", "-D", self.data, "-p", str(self.port)],
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self._account.process(),
            )
        self._await_ready()

    def _await_ready(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while not self._status().startswith("ready"):
            if not self.running or time.monotonic() > deadline:
                end = self.log.read_text(errors="replace")[-2000:]
                self.kill9()
                raise RuntimeError(f"PostgreSQL {self.programs.release} did not start: {end}")
            time.sleep(POLL_SECONDS)

    def _status(self) -> str:
        """The status of the server we started; one left by a killed predecessor does not count."""
        lines = self._pid_file()
        ours = self._process is not None and lines[:1] == [str(self._process.pid)]
        return lines[STATUS_LINE] if ours and len(lines) > STATUS_LINE else ""

    def _pid_file(self) -> Sequence[str]:
        try:
            return (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    def _signal(self, name: str) -> None:
        self._sessions.close()
        if self._process is None:
            return
        self._process.send_signal(signal.Signals[name])
        self._process.wait(STOP_TIMEOUT_SECONDS)
        self._process = None

    def _running_process(self) -> "subprocess.Popen[bytes]":
        if self._process is None:
            raise RuntimeError(f"PostgreSQL {self.major} is not running")
        return self._process

    def _pids(self) -> Sequence[int]:
        return [self.pid, *children(self.pid)]

    def _release_shared_memory(self) -> None:
        """Free what a killed server left: a segment outlives its processes."""
        lines = self._pid_file()
        if len(lines) > SHARED_MEMORY_LINE and (ipcrm := shutil.which("ipcrm")):
            segment = lines[SHARED_MEMORY_LINE].split()[-1]
            subprocess.run([ipcrm, "-m", segment], check=False, capture_output=True)


@dataclass(frozen=True, slots=True)
class Database:
    """One database in a cluster."""

    cluster: Cluster
    name: str

    @classmethod
    def create(cls, cluster: Cluster, name: str) -> Self:
        cluster.create_database(name)
        return cls(cluster, name)

    @property
    def dsn(self) -> str:
        return self.cluster.dsn(self.name)

    def execute(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """`Cluster.execute` in this database."""
        return self.cluster.execute(sql, *parameters, database=self.name)

    def drop(self) -> None:
        """Drop it with its replication slots. Starts a stopped server first."""
        self.cluster.start()
        self.cluster.drop_database(self.name)


_DROP_ORIGINS: Final = (
    "SELECT pg_replication_origin_drop(roname) FROM pg_replication_origin WHERE roname ~ %s"
)
"""Each keeps a place on the server until it is dropped."""

_ORIGINS_LEFT: Final = "SELECT roname FROM pg_replication_origin ORDER BY 1"

_PLACES_LOST: Final = (
    "SELECT local_id FROM pg_show_replication_origin_status() WHERE external_id IS NULL"
)

_END: Final = "pg_terminate_backend(active_pid)"


def quoted(name: str) -> str:
    """A name as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value).replace("'", "''")
