"""Which system account servers run as: PostgreSQL refuses to run as root."""

import os
import pwd
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

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

    def command(self, program: Path, *arguments: str) -> tuple[Sequence[str], dict[str, Any]]:
        """A command line and `subprocess` arguments that run a program as this account.

        Below a folder that only root may enter (a checkout in /root), the child keeps the one
        capability that lets it read what root can: copying the programs elsewhere would leave
        files outside the checkout.
        """
        line = [str(program), *arguments]
        if self.uid is None or _public(program):
            return line, self.process()
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            raise RuntimeError(f"{program} is below a private folder, and setpriv is missing")
        keep = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
        drop = [f"--reuid={self.uid}", f"--regid={self.gid}", "--clear-groups"]
        return [setpriv, *drop, *keep, *line], {}

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


def _public(program: Path) -> bool:
    """Whether every folder above a program may be entered by anybody."""
    return all(folder.stat().st_mode & 0o001 for folder in program.resolve().parents)
