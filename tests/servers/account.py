"""Which system account servers run as: PostgreSQL refuses to run as root."""

import os
import pwd
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from tests.servers.programs import Programs

ACCOUNTS: Final = ("postgres", "nobody")
"""Tried in this order when the tests run as root; the first exists where Debian's server is."""


@dataclass(frozen=True, slots=True)
class Account:
    """The account to give a child process; `uid` is None for "the one we have"."""

    uid: int | None
    gid: int | None

    def process(self) -> dict[str, Any]:
        """Keyword arguments for `subprocess`."""
        if self.uid is None:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def reachable(self, programs: Programs, scratch: Path) -> Programs:
        """The programs, copied into `scratch` where this account could not enter their folder.

        That is so for tests run as root in a checkout below, say, /root. A capability to read
        everything would not do: `access(2)`, by which the programs find each other, ignores it.
        """
        if self.uid is None or _public(programs.bin):
            return programs
        home = scratch / "programs"
        shutil.copytree(programs.bin.parent, home, symlinks=True)
        for folder, _, files in os.walk(home):
            Path(folder).chmod(0o755)
            for name in files:
                _open_to_all(Path(folder, name))
        return replace(programs, bin=home / "bin")

    def give(self, path: Path) -> None:
        """Make this account the owner of a path and of everything below it."""
        if self.uid is None or self.gid is None:
            return
        os.chown(path, self.uid, self.gid)
        for folder, folders, files in os.walk(path):
            for name in (*folders, *files):
                os.chown(Path(folder, name), self.uid, self.gid, follow_symlinks=False)


def server_account() -> Account:
    """The account servers of this test run get."""
    if os.geteuid() != 0:
        return Account(None, None)
    for name in ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise RuntimeError("running as root, and there is no account 'postgres' or 'nobody'")


def _public(folder: Path) -> bool:
    """Whether a folder and every one above it may be entered by anybody."""
    folder = folder.resolve()
    return all(each.stat().st_mode & 0o001 for each in (folder, *folder.parents))


def _open_to_all(file: Path) -> None:
    if not file.is_symlink():
        mode = file.stat().st_mode
        file.chmod(mode | 0o444 | (0o111 if mode & 0o100 else 0))
