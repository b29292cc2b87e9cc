"""A private MariaDB server from a `mariadbd` that the machine has.

Nothing of the machine's own configuration or data is touched: files and socket are in a temporary
directory, the port is a free one of the loopback.
"""

import asyncio
import os
import re
import shutil
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiomysql
from pymysql.err import MySQLError

from engine.control.demo.server import (
    LOOPBACK,
    START_SECONDS,
    STOP_SECONDS,
    ServerFailedError,
    ends_with_us,
    free_port,
)
from engine.errors import ConfigError

PROGRAM: Final = "PENSTOCK_DEMO_MARIADB"
"""Environment variable that names the program, where it is in none of `FOLDERS`."""

FOLDERS: Final = ("/usr/sbin", "/usr/local/sbin", "/usr/local/bin", "/opt/homebrew/bin")
"""Where it may be besides PATH."""

SYSTEM_TABLES: Final = (
    "*_system_tables.sql",
    "*_performance_tables.sql",
    "*_system_tables_data.sql",
)
"""What MariaDB's system tables are made from, in this order; prefixes changed before 11."""

ACCOUNT: Final = "FLUSH PRIVILEGES;\nCREATE USER penstock@'%';\nGRANT ALL ON *.* TO penstock@'%';\n"

SETTINGS: Final = (
    f"--bind-address={LOOPBACK}",
    "--skip-name-resolve",
    "--server-id=1",
    "--log-bin=binlog",
    "--binlog-format=ROW",
    "--innodb-buffer-pool-size=64M",
    "--innodb-log-file-size=64M",
    # The demo's data is thrown away with its directory.
    "--innodb-flush-log-at-trx-commit=0",
)

POLL_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class MariaServer:
    """A running server; whoever is on this machine is let in."""

    port: int
    release: str

    def url(self) -> str:
        return f"mariadb://penstock@{LOOPBACK}:{self.port}/"


def program() -> Path | None:
    """The server's program; None where the machine has none.

    Raises:
        ConfigError: the environment names one that is not there.
    """
    named = os.environ.get(PROGRAM)
    path = os.pathsep.join([os.environ.get("PATH", ""), *FOLDERS])
    found = shutil.which(named or "mariadbd", path=path)
    if named and found is None:
        raise ConfigError("demo", f"{PROGRAM} names no program: {named}")
    return None if found is None else Path(found)


@asynccontextmanager
async def running(program: Path, folder: Path) -> AsyncIterator[MariaServer]:
    """Start a new server with its files in `folder`; stopped when the context is left.

    Raises:
        ServerFailedError: it did not start; the message ends with its log's last line.
    """
    release, share = await _told(program)
    script = _script(share)
    _make_folders(folder)
    options = ["--no-defaults", f"--datadir={folder / 'data'}"]
    # Counts only for root, where it says: yes, I mean it.
    options += ["--user=root"] if os.geteuid() == 0 else []
    await _initialise(program, options, folder, script)
    port = free_port()
    log = folder / "log"
    process = await asyncio.create_subprocess_exec(
        str(program),
        *options,
        *SETTINGS,
        f"--port={port}",
        f"--socket={folder / 'socket'}",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=log.open("wb"),
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
        cwd=folder,
        preexec_fn=ends_with_us(signal.SIGKILL),
    )
    try:
        await _ready(process, port, log)
        yield MariaServer(port, release)
    finally:
        await _stop(process)


async def _told(program: Path) -> tuple[str, Path]:
    """The release and the folder of the system tables' SQL, as the program itself says."""
    process = await asyncio.create_subprocess_exec(
        str(program),
        "--no-defaults",
        "--verbose",
        "--help",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    output, _ = await process.communicate()
    text = output.decode(errors="replace")
    release = re.search(r"Ver (\d+\.\d+\.\d+)-MariaDB", text)
    share = re.search(r"^lc-messages-dir\s+(\S.*?)\s*$", text, re.MULTILINE)
    if release is None or share is None:
        raise ServerFailedError(f"{program} is no MariaDB server")
    return release[1], Path(share[1])


def _make_folders(folder: Path) -> None:
    (folder / "data" / "mysql").mkdir(parents=True)


def _script(share: Path) -> str:
    """What makes the system tables."""
    files = [next(share.glob(pattern), None) for pattern in SYSTEM_TABLES]
    if None in files:
        raise ServerFailedError(f"{share} lacks the SQL of MariaDB's system tables")
    return "".join(["use mysql;\n", *(f.read_text() for f in files if f is not None), ACCOUNT])


async def _initialise(program: Path, options: Sequence[str], folder: Path, script: str) -> None:
    process = await asyncio.create_subprocess_exec(
        str(program),
        *options,
        "--bootstrap",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        cwd=folder,
        preexec_fn=ends_with_us(signal.SIGKILL),
    )
    _, errors = await process.communicate(script.encode())
    if process.returncode:
        raise ServerFailedError(f"MariaDB could not make its tables: {_last_line(errors)}")


async def _ready(process: asyncio.subprocess.Process, port: int, log: Path) -> None:
    try:
        async with asyncio.timeout(START_SECONDS):
            while not await _answers(port):
                if process.returncode is not None:
                    raise ServerFailedError(f"MariaDB did not start: {_end_of(log)}")
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        raise ServerFailedError("MariaDB did not start in time") from None


async def _answers(port: int) -> bool:
    try:
        connection = await aiomysql.connect(host=LOOPBACK, port=port, user="penstock")
    except (MySQLError, OSError):
        return False
    connection.close()
    return True


async def _stop(process: asyncio.subprocess.Process) -> None:
    """End at once: the data is thrown away."""
    if process.returncode is not None:
        return
    process.kill()
    async with asyncio.timeout(STOP_SECONDS):
        await process.wait()


def _end_of(log: Path) -> str:
    return _last_line(log.read_bytes())


def _last_line(text: bytes) -> str:
    lines = text.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "no message"
