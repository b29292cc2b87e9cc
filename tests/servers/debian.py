"""Programs of any Debian suite, unpacked below .cache: no root, nothing of the system touched.

A set of packages gets a root of its own that holds every library they need, the C library included,
so a program of another release runs by its own root's loader. Only for programs that start no other
program by name: those would meet the system's libraries.
"""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.servers.programs import CACHE, ServerUnavailableError, locked

KEYRING: Final = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
"""What packages of every suite are signed by; on every Debian machine."""

LIBRARIES: Final = ("lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu", "usr/lib")
"""Where packages put libraries, below a root."""

LOADER: Final = "ld-linux-x86-64.so.2"

FETCH_TIMEOUT_SECONDS: Final = 300.0
"""The largest set has 58 MB; a link that cannot carry that in five minutes counts as none."""


@dataclass(frozen=True, slots=True)
class Root:
    """A folder with unpacked packages."""

    folder: Path

    def command(self, program: Path, *libraries: Path) -> tuple[str, ...]:
        """The words that start a program with this root's loader; `libraries` are looked at first.

        The kernel shows such a process by the loader's name.
        """
        places = [*libraries, *(self.folder / name for name in LIBRARIES)]
        found = ":".join(str(place) for place in places if place.is_dir())
        return (str(self._loader()), "--library-path", found, str(program))

    def _loader(self) -> Path:
        return next(
            place / LOADER
            for place in (self.folder / name for name in LIBRARIES)
            if (place / LOADER).exists()
        )


def unpacked(suite: str, *packages: str, alone: bool = False) -> Root:
    """The packages and all they depend on, fetched once; the first one names the cached folder.

    `alone`: these packages and no other, for programs whose packages depend on what only an
    installation needs; the C library has to be among them.

    Raises ServerUnavailableError with the reason, the package client's own where it has one.
    """
    label = f"debian-{suite}-{packages[0]}"
    folder = CACHE / label
    with locked(label):
        if not folder.exists():
            _fetch(suite, packages, folder, alone=alone)
    return Root(folder)


def _fetch(suite: str, packages: Sequence[str], folder: Path, *, alone: bool) -> None:
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise ServerUnavailableError("packages are unpacked on Linux on x86-64 only")
    for program in ("apt-get", "dpkg"):
        if shutil.which(program) is None:
            raise ServerUnavailableError(f"{program} is not installed")
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        apt = _Apt(Path(scratch), suite)
        apt.run("update")
        if alone:
            apt.run("download", *packages)
        else:
            apt.run("install", "--yes", "--no-install-recommends", "--download-only", *packages)
        root = Path(scratch) / "root"
        for package in sorted(apt.archives.glob("*.deb")):
            _call(["dpkg", "-x", str(package), str(root)], f"unpacking {package.name}")
        root.chmod(0o755)
        root.rename(folder)


class _Apt:
    """The machine's package client with lists and a state of its own, for one suite."""

    def __init__(self, folder: Path, suite: str) -> None:
        self.folder = folder
        self.archives = folder / "cache" / "archives"
        self._suite = suite
        for name in ("lists/partial", "cache/archives/partial", "sources"):
            (folder / name).mkdir(parents=True)
        (folder / "status").touch()  # as if nothing were installed: everything is fetched
        (folder / "sources" / "suite.sources").write_text(
            f"Types: deb\nURIs: {_archive()}\nSuites: {suite}\nComponents: main\n"
            f"Signed-By: {KEYRING}\n"
        )
        self._settings = folder / "apt.conf"
        self._settings.write_text("".join(f'{name} "{value}";\n' for name, value in self._lines()))

    def run(self, *words: str) -> None:
        what = f"{words[0]} of suite {self._suite}"
        # `download` writes where it stands, the others where the settings say.
        _call(["apt-get", "-qq", *words], what, self._settings, self.archives)

    def _lines(self) -> Sequence[tuple[str, object]]:
        return (
            ("Dir::Etc::SourceList", "/dev/null"),
            ("Dir::Etc::SourceParts", self.folder / "sources"),
            ("Dir::Etc::Preferences", "/dev/null"),
            ("Dir::Etc::PreferencesParts", "/dev/null"),
            ("Dir::State::Lists", self.folder / "lists"),
            ("Dir::State::status", self.folder / "status"),
            ("Dir::Cache", self.folder / "cache"),
            # Its own account for fetching could not enter a folder that is only ours.
            ("APT::Sandbox::User", "root"),
        )


def _archive() -> str:
    """Where this machine gets Debian's packages from, by its own settings."""
    if not KEYRING.exists():
        raise ServerUnavailableError(f"no {KEYRING}: this is not a Debian machine")
    targets = _call(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"],
        "reading the package sources",
    )
    for archive in targets.splitlines():
        if not archive.rstrip("/").endswith("-security"):
            return archive
    raise ServerUnavailableError("this machine's package sources name no archive")


def _call(
    command: Sequence[str], what: str, settings: Path | None = None, folder: Path | None = None
) -> str:
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    if settings is not None:
        environment["APT_CONFIG"] = str(settings)
    try:
        done = subprocess.run(
            command,
            env=environment,
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=FETCH_TIMEOUT_SECONDS,
        )
    except (subprocess.SubprocessError, OSError) as error:
        raise ServerUnavailableError(f"{command[0]}, {what}: {error}") from error
    if done.returncode != 0:
        words = next((line for line in done.stderr.splitlines() if line.startswith("E:")), "")
        raise ServerUnavailableError(f"{command[0]}, {what}: failed. {words}".rstrip(". "))
    return done.stdout
