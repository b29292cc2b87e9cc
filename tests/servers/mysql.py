"""A private MariaDB or MySQL server for a test, and databases in it.

    with MysqlServer("mariadb-10.11") as server:
        database = MysqlDatabase.create(server, "orders")
        database.execute("CREATE TABLE t (id int PRIMARY KEY)")

Every server lives in a temporary directory on a free loopback port with a socket of its own, lets
`root` in without a password, writes a binary log of full rows with GTIDs, and is stopped and
removed at the latest when the test process ends: a watchdog sees even a SIGKILL.
"""

import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self, TypeAlias
from urllib.parse import quote, urlencode

import pymysql
from pymysql.constants import CLIENT, CR, ER

from tests.servers import ramdisk
from tests.servers.certificates import Authority
from tests.servers.mysql_programs import MysqlPrograms, find_mysql
from tests.servers.mysql_template import copy_mysql_template, fixed_options
from tests.servers.ports import LOOPBACK, free_port
from tests.servers.processes import POLL_SECONDS, Startable, Watchdog, kill

Rows: TypeAlias = list[tuple[Any, ...]]

SETTINGS: Final[Mapping[str, object]] = {
    "bind_address": LOOPBACK,
    "skip_name_resolve": True,
    "log_bin": "binlog",
    "binlog_row_image": "FULL",
    "binlog_row_metadata": "FULL",
    # A killed process loses nothing the kernel has: 2 hands it over at commit, 0 would not.
    "innodb_flush_log_at_trx_commit": 2,
    "sync_binlog": 0,
    "innodb_buffer_pool_size": "32M",
    "performance_schema": False,  # as much memory again as everything else
    "local_infile": True,
    "max_connections": 100,
    "default_time_zone": "+00:00",
}
"""What every server starts with; `MysqlServer(settings=...)` and `configure` add to it."""

MARIADB_SETTINGS: Final[Mapping[str, object]] = {
    "binlog_format": "ROW",
    "gtid_strict_mode": True,
    "log_slave_updates": True,
    "innodb_log_file_size": "32M",
}

MYSQL_SETTINGS: Final[Mapping[str, object]] = {
    "gtid_mode": True,
    "enforce_gtid_consistency": True,
    "loose_mysqlx": False,
    "secure_file_priv": "NULL",  # its default is a folder of the package's own
    "auto_generate_certs": False,
    "loose_innodb_redo_log_capacity": "32M",
}

HISTORY: Final = re.compile("gtid_(?!mode)")
"""Variables that move with every transaction."""

SERVER_ID_MAX: Final = 2**32 - 1

START_TIMEOUT_SECONDS: Final = 120.0
"""Recovery after a kill on a busy machine takes seconds; two minutes mean it will not come."""

STOP_TIMEOUT_SECONDS: Final = 60.0

START_ATTEMPTS: Final = 3
"""Another process may take the port between choosing and listening; thrice is not chance."""

PORT_TAKEN: Final = "Bind on TCP/IP port"
"""What either server says of a port that another one has."""

LAUNCH: Final = 'echo $$ >"$0" && exec "$@"'
"""The watchdog knows the process before it is the server."""


class MysqlServer(Startable):
    """One server. Methods block; the server's own process never shares our event loop.

    `stop`, `kill9` and `restart` keep data, port and socket; `destroy` (or leaving the context)
    removes everything. No two servers share a server id or, in MySQL, a server UUID.
    """

    def __init__(
        self,
        name: str,
        *,
        settings: Mapping[str, object] | None = None,
        authority: Authority | None = None,
        directory: Path | None = None,
    ) -> None:
        """Prepare a server; nothing runs yet.

        `name`: one of `mysql_programs.NAMES`. `settings`: system variables; True and False are ON
        and OFF, None is the option's `--skip-` form (`{"log_bin": None}`). `authority`: signs a
        certificate for the loopback address and is what client certificates are checked against.
        `directory`: an existing parent for its files, for example a small file system.

        Raises ServerUnavailableError when this version cannot be had here.
        """
        self.name = name
        self.programs: MysqlPrograms = find_mysql(name)
        self.host = LOOPBACK
        self.port = 0
        parent = directory or ramdisk.place()
        self.directory = Path(tempfile.mkdtemp(prefix=f"penstock-{name}-", dir=parent))
        self.directory.chmod(0o755)
        self.data = self.directory / "data"
        self.socket = self.directory / "socket"
        self.log = self.directory / "log"
        self._settings = {**self._defaults(), **(settings or {})}
        if authority is not None:
            certificate, key = authority.sign(self.directory, LOOPBACK, "localhost", old=True)
            self._settings |= {"ssl_ca": authority.file, "ssl_cert": certificate, "ssl_key": key}
        self._process: subprocess.Popen[bytes] | None = None
        self._watchdog = Watchdog(self.directory, "pid")

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
        copy_mysql_template(self.name, self.programs, self.data)
        (self.directory / "tmp").mkdir()
        for attempt in range(START_ATTEMPTS):
            self.port = free_port()
            try:
                self._launch()
            except RuntimeError:
                if attempt == START_ATTEMPTS - 1 or PORT_TAKEN not in self.log.read_text():
                    raise
            else:
                return

    def stop(self) -> None:
        """End sessions, write everything down, and wait for the end."""
        self._signal(signal.SIGTERM)

    def kill9(self) -> None:
        """Kill the server at once, as a power cut that spares the disk would."""
        self._signal(signal.SIGKILL)

    def restart(self) -> None:
        """`stop` and `start`; new settings take effect."""
        self.stop()
        self.start()

    def sigstop(self) -> None:
        """Freeze the server: connections stay open and nobody answers."""
        kill(self.pid, signal.SIGSTOP)

    def sigcont(self) -> None:
        """Undo `sigstop`."""
        kill(self.pid, signal.SIGCONT)

    def destroy(self) -> None:
        """Kill and remove everything. Idempotent."""
        if not self._watchdog.watching:
            return
        self.kill9()
        shutil.rmtree(self.directory, ignore_errors=True)
        self._watchdog.dismiss()

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError(f"{self.name} is not running")
        return self._process.pid

    @property
    def mariadb(self) -> bool:
        """Whether it speaks MariaDB's dialect; MySQL's otherwise."""
        return self.programs.mariadb

    # --- settings -----------------------------------------------------------------------------

    def configure(self, **settings: object) -> None:
        """Change settings of the next start; `SET GLOBAL` is for the running server."""
        self._settings |= settings

    # --- use ----------------------------------------------------------------------------------

    def url(
        self,
        database: str = "",
        *,
        user: str = "root",
        password: str = "",
        port: int | None = None,
        **options: str,
    ) -> str:
        """`mysql://user@127.0.0.1:port/database?option=...`. `port`: that of a proxy in front."""
        login = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
        query = f"?{urlencode(options)}" if options else ""
        place = f"{self.host}:{port or self.port}"
        return f"mysql://{login}@{place}/{quote(database, safe='')}{query}"

    def connect(
        self, database: str | None = None, *, user: str = "root", password: str = ""
    ) -> "pymysql.Connection[Any]":
        """A session over the socket, for the caller to close; every statement is committed."""
        try:
            with socket.socket(socket.AF_UNIX) as listens:  # the driver would leave it open
                listens.connect(str(self.socket))
        except OSError as error:
            raise pymysql.OperationalError(CR.CR_CONNECTION_ERROR, str(error)) from error
        return pymysql.connect(
            unix_socket=str(self.socket),
            user=user,
            password=password,
            database=database,
            charset="utf8mb4",
            autocommit=True,
            client_flag=CLIENT.MULTI_STATEMENTS,
            ssl_disabled=True,
        )

    def execute(self, sql: str, *parameters: object, database: str | None = None) -> Rows:
        """Run SQL as root in a session of its own; the rows of the last statement.

        Several statements may be separated by semicolons; each is committed by itself.
        """
        with self.connect(database) as connection, connection.cursor() as cursor:
            cursor.execute(sql, parameters or None)
            rows = cursor.fetchall()
            while cursor.nextset():
                rows = cursor.fetchall()
            return list(rows)

    def create_database(self, name: str) -> str:
        """Create an empty database in utf8mb4 and return its URL."""
        self.execute(f"CREATE DATABASE {quoted(name)} CHARACTER SET utf8mb4")
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Drop a database, whoever still uses it."""
        sessions = "SELECT id FROM information_schema.processlist WHERE db = %s"
        for (session,) in self.execute(sessions, name):
            try:
                self.execute(f"KILL {session}")
            except pymysql.OperationalError as error:
                if error.args[0] != ER.NO_SUCH_THREAD:  # it has ended by itself
                    raise
        self.execute(f"DROP DATABASE IF EXISTS {quoted(name)}")

    def global_settings(self) -> dict[str, str]:
        """Every variable a new session begins with, but for those that tell what was written."""
        shown = self.execute("SHOW GLOBAL VARIABLES")
        return {name: value for name, value in shown if not HISTORY.match(name)}

    @contextmanager
    def settings_kept(self) -> Iterator[None]:
        """For work that switches global settings of a server others use: as found afterwards."""
        found = self.global_settings()
        try:
            yield
        finally:
            for name, _ in self.global_settings().items() - found.items():
                was = found[name]
                self.execute(f"SET GLOBAL {name} = %s", int(was) if was.isdigit() else was)

    # --- inside -------------------------------------------------------------------------------

    def _defaults(self) -> dict[str, object]:
        server_id = random.SystemRandom().randint(1, SERVER_ID_MAX)
        dialect = MARIADB_SETTINGS if self.mariadb else MYSQL_SETTINGS
        return {**SETTINGS, **dialect, "server_id": server_id}

    def _options(self) -> Sequence[str]:
        places = {
            "port": self.port,
            "socket": self.socket,
            "pid_file": self.directory / "ready",
            # A server that starts removes temporary files of every other one in the same place.
            "tmpdir": self.directory / "tmp",
        }
        return [_option(name, value) for name, value in {**self._settings, **places}.items()]

    def _launch(self) -> None:
        self.socket.unlink(missing_ok=True)
        options = (*fixed_options(self.programs, self.data), *self._options())
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", LAUNCH, self.directory / "pid", *self.programs.command, *options],
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._await_ready()

    def _await_ready(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while (silence := self._silence()) is not None:
            if not self.running or time.monotonic() > deadline:
                end = self.log.read_text(errors="replace")[-2000:]
                self.kill9()
                raise RuntimeError(
                    f"{self.name} {self.programs.release} did not start: {silence}; {end}"
                )
            time.sleep(POLL_SECONDS)

    def _silence(self) -> str | None:
        """Why it does not answer yet."""
        if not self.socket.exists():
            return "no socket"
        try:
            self.connect().close()
        except pymysql.OperationalError as error:
            return str(error)
        return None

    def _signal(self, which: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(which)
        self._process.send_signal(signal.SIGCONT)
        self._process.wait(STOP_TIMEOUT_SECONDS)
        self._process = None


@dataclass(frozen=True, slots=True)
class MysqlDatabase:
    """One database, which MySQL also calls a schema."""

    server: MysqlServer
    name: str

    @classmethod
    def create(cls, server: MysqlServer, name: str) -> Self:
        server.create_database(name)
        return cls(server, name)

    @property
    def url(self) -> str:
        return self.server.url(self.name)

    def execute(self, sql: str, *parameters: object) -> Rows:
        """`MysqlServer.execute` in this database."""
        return self.server.execute(sql, *parameters, database=self.name)

    def drop(self) -> None:
        """Drop it. Starts a stopped server first."""
        self.server.start()
        self.server.drop_database(self.name)


def quoted(name: str) -> str:
    """A name as a quoted identifier, whatever the session's `sql_mode`."""
    return "`" + name.replace("`", "``") + "`"


def _option(name: str, value: object) -> str:
    word = name.replace("_", "-")
    if value is None:
        return f"--skip-{word}"
    if isinstance(value, bool):
        value = "ON" if value else "OFF"
    return f"--{word}={value}"
