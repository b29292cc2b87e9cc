"""The image of `docker/Dockerfile`, built and started without a container engine.

    with Image(folder) as image:
        image.start()                 # its own command, in namespaces of its own
        code, said = image.run("penstock", "--version")

buildah builds it, in a chroot and with plain folders for layers, so that nothing is asked of the
kernel that a small machine has not. No registry is asked either: the base is a Debian made here,
named by the build argument that the file has for it. Started are its programs as the image says,
as its user, on its files made read-only, in a network that nothing leaves.
"""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from tests.servers.programs import CACHE, ServerUnavailableError, locked

NAME: Final = "image"
"""As PENSTOCK_REQUIRE_SERVERS names it."""

ROOT: Final = Path(__file__).resolve().parents[2]

SUITE: Final = "bookworm"

PACKAGES: Final = ("ca-certificates", "python3", "python3-dev", "python3-venv")
"""What the usual base, an image of Python's, has."""

PROGRAMS: Final = ("buildah", "mmdebstrap", "unshare", "nsenter", "chroot")

AUTHORITIES: Final = Path("/etc/ssl/certs/ca-certificates.crt")
"""Whom this machine trusts, where packages are fetched through something of its own."""

BASE: Final = "localhost/penstock-base"

TAG: Final = "localhost/penstock"

NAMESPACES: Final = ("--mount", "--net", "--pid", "--kill-child", "--fork")

LOOK_SECONDS: Final = 0.02

LAYOUT: Final = """
set -e
mount --bind {files} {root}
mount -o remount,ro,bind {root}
mount -t tmpfs none {root}/tmp
mount -t tmpfs none {root}/etc/penstock
mount --bind {state} {root}{home}
mount -t proc none {root}/proc
mount --bind /dev {root}/dev
cp {config} {root}/etc/penstock/penstock.toml
mount -o remount,ro {root}/etc/penstock
ip link set lo up
exec chroot --userspec={user} {root} "$@"
"""
"""What a container engine does: a read-only root, /tmp, the volume, the daemon's file."""


def find_image() -> None:
    """Raises ServerUnavailableError where it cannot be built or started."""
    if os.geteuid() != 0:
        raise ServerUnavailableError(f"{NAME}: only root makes a root file system")
    for program in (*PROGRAMS, "ip"):
        if shutil.which(program) is None:
            raise ServerUnavailableError(f"{NAME}: {program} is not on this machine")


class Image:
    """Built below `folder`, which holds everything; `started` runs its own command."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files = Path()
        self.config: Mapping[str, Any] = {}
        """What the image says of itself, as engines read it."""
        self.started: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        base = _base()
        (self._folder / "Base").write_text(
            f"FROM scratch\nADD {base.name} /\nCOPY {AUTHORITIES.name} {AUTHORITIES}\n"
            f"ENV PIP_CERT={AUTHORITIES}\n"
        )
        context = self._folder / "base"
        context.mkdir()
        shutil.copy(AUTHORITIES, context)
        (context / base.name).hardlink_to(base)
        self._build(context, self._folder / "Base", BASE)
        self._build(ROOT, ROOT / "docker" / "Dockerfile", TAG, f"--build-arg=BASE={BASE}")
        self.config = json.loads(self._buildah("inspect", TAG))["Docker"]["config"]
        container = self._buildah("from", "--pull-never", TAG).strip()
        self._files = Path(self._buildah("mount", container).strip())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.started is not None and self.started.poll() is None:
            self.started.kill()
        if self.started is not None:
            self.started.communicate()
        self._buildah("rm", "--all")
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self, config: Path, environment: Mapping[str, str]) -> None:
        """Start what the image starts, with this file of the daemon."""
        root, state = self._folder / "seen", self._folder / "state"
        user = self.config["User"]
        root.mkdir()
        state.mkdir(mode=0o700)
        os.chown(state, *map(int, user.split(":")))
        layout = LAYOUT.format(
            files=self._files,
            root=root,
            state=state,
            home=next(iter(self.config["Volumes"])),
            config=config,
            user=user,
        )
        command = [*self.config["Entrypoint"], *self.config["Cmd"]]
        self.started = subprocess.Popen(
            ["unshare", *NAMESPACES, "sh", "-c", layout, "-", *self._within(environment), *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    @property
    def pid(self) -> int:
        """The started process; `unshare` is its parent, and makes it in its own time."""
        assert self.started is not None
        children = Path(f"/proc/{self.started.pid}/task/{self.started.pid}/children")
        while not (found := children.read_text().split()):
            time.sleep(LOOK_SECONDS)
        return int(found[0])

    def run(self, *words: str, environment: Mapping[str, str] | None = None) -> tuple[int, str]:
        """Run a command beside it: its exit code and all that it said."""
        inside = ["nsenter", f"--target={self.pid}", "--mount", "--net", "--pid", "--"]
        user = f"--userspec={self.config['User']}"
        enter = ["chroot", user, str(self._folder / "seen")]
        done = subprocess.run(
            [*inside, *enter, *self._within(environment or {}), *words],
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stdout + done.stderr

    def _within(self, environment: Mapping[str, str]) -> Sequence[str]:
        own = [*self.config["Env"], *(f"{name}={value}" for name, value in environment.items())]
        return ["env", "--ignore-environment", *own]

    def _build(self, context: Path, file: Path, tag: str, *options: str) -> None:
        ignore = file.with_name(f"{file.name}.dockerignore")
        given = [f"--ignorefile={ignore}"] if ignore.exists() else []
        how = ("--format=docker", "--isolation=chroot", "--pull-never", f"--tag={tag}")
        self._buildah("bud", *how, *given, *options, f"--file={file}", str(context))

    def _buildah(self, *words: str) -> str:
        done = subprocess.run(
            [
                "buildah",
                *(f"--{name}={self._folder / name}" for name in ("root", "runroot")),
                *words,
            ],
            env={**os.environ, "STORAGE_DRIVER": "vfs"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"buildah {words[0]}: {(done.stdout + done.stderr)[-4000:]}"
        return done.stdout


def _base() -> Path:
    """A Debian with Python, made once."""
    made = CACHE / f"image-base-{SUITE}.tar"
    with locked(made.name):
        if not made.exists():
            part = made.with_suffix(".part.tar")
            done = subprocess.run(
                ["mmdebstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, part],
                capture_output=True,
                text=True,
            )
            if done.returncode:
                part.unlink(missing_ok=True)
                raise ServerUnavailableError(f"{NAME}: no base: {done.stderr[-500:]}")
            part.replace(made)
    return made
