"""`python -m tests.servers.confined UNIT WORD...`: a command under what a unit file lets it do.

Of the unit's restrictions these are put into force, by the kernel and without systemd: the system
calls of `SystemCallFilter=` (through libseccomp, as systemd does it), `NoNewPrivileges=`,
`MemoryDenyWriteExecute=` (from Linux 6.3 on), `LimitCORE=` and `LimitNOFILE=`.
"""

import ctypes
import os
import re
import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from ctypes.util import find_library
from pathlib import Path
from typing import Final

from tests.servers.programs import ServerUnavailableError

LIBRARY: Final = "libseccomp"

ALLOW: Final = 0x7FFF0000
"""SCMP_ACT_ALLOW of seccomp.h."""

REFUSE: Final = 0x00050000
"""SCMP_ACT_ERRNO of seccomp.h, without the number."""

PR_SET_NO_NEW_PRIVS: Final = 38
PR_SET_MDWE: Final = 65
PR_MDWE_REFUSE_EXEC_GAIN: Final = 1

EPERM: Final = 1

SET: Final = re.compile(r"^    (@?[\w-]+)$", re.MULTILINE)
"""A line of `systemd-analyze syscall-filter`."""


def seccomp() -> ctypes.CDLL:
    """Raises ServerUnavailableError where the library is not there."""
    name = find_library("seccomp")
    if name is None:
        raise ServerUnavailableError(f"{LIBRARY}: not on this machine")
    return ctypes.CDLL(name)


def settings(unit: Path, name: str) -> list[str]:
    """What a unit file says of a setting, in its order."""
    return re.findall(rf"^{name}=(.*)$", unit.read_text(), re.MULTILINE)


def calls(unit: Path) -> set[str]:
    """Names of the system calls that a unit allows."""
    allowed: set[str] = set(_members("@default"))
    for text in settings(unit, "SystemCallFilter"):
        named = set(_expanded(text.removeprefix("~").split()))
        allowed = allowed - named if text.startswith("~") else allowed | named
    return allowed


def _expanded(names: Sequence[str]) -> Iterator[str]:
    for name in names:
        if name.startswith("@"):
            yield from _members(name)
        else:
            yield name


def _members(group: str) -> Iterator[str]:
    done = subprocess.run(
        ["systemd-analyze", "syscall-filter", group], capture_output=True, text=True, check=True
    )
    yield from _expanded(SET.findall(done.stdout))


def confine(unit: Path) -> None:
    """Put the unit's restrictions into force for this process, and for what it starts."""
    library, libc = seccomp(), ctypes.CDLL(None, use_errno=True)
    allowed = calls(unit)
    for name, limit in (("CORE", resource.RLIMIT_CORE), ("NOFILE", resource.RLIMIT_NOFILE)):
        for text in settings(unit, f"Limit{name}"):
            _, most = resource.getrlimit(limit)
            number = int(text) if most == resource.RLIM_INFINITY else min(int(text), most)
            resource.setrlimit(limit, (number, number))
    _must(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no new privileges")
    if settings(unit, "MemoryDenyWriteExecute") == ["yes"]:
        # Older kernels do not know it; there this restriction is not tried.
        libc.prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0)
    library.seccomp_init.restype = ctypes.c_void_p
    made = ctypes.c_void_p(library.seccomp_init(REFUSE | EPERM))
    for name in sorted(allowed):
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number >= 0:  # this machine has it
            _must(library.seccomp_rule_add(made, ALLOW, number, 0), name)
    _must(library.seccomp_load(made), "the filter")


def _must(code: int, what: str) -> None:
    if code:
        raise OSError(f"{what}: the kernel says {code}")


def words(unit: Path) -> list[str]:
    """What to put before a command, so that it runs under a unit's restrictions."""
    return [sys.executable, "-m", "tests.servers.confined", str(unit)]


def main(unit: str, *command: str) -> None:
    confine(Path(unit))
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(*sys.argv[1:])
