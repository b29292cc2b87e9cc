"""The worker's memory, held by the kernel: a control group (v2) of its own, where one may be made.

That needs a part of the tree that is ours: the group we were started in has the memory controller,
may be written to, and holds nobody else (systemd: `Delegate=yes`; a container of its own). Groups
with processes have no controlled children, so who watches moves into a leaf, beside the worker's.

`memory.high` is the budget: above it the kernel takes the page cache back, and slows us down.
`memory.max` is a little above, and ends the process. See: the kernel's cgroup-v2.
"""

import contextlib
import itertools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self

SPARE_SHARE: Final = 8
"""`memory.max` is above the budget by an eighth of it: a batch may double while it is brought into
the target's form, and the law needs a second to give the next size."""

WATCHING: Final = "penstock-watching"
"""The leaf of who watches."""


class NotDelegatedError(Exception):
    """No group may be made here; the text says why."""


class MemoryTree:
    """The part of the tree that is ours, for the workers of one process that watches."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._numbers = itertools.count(1)

    @classmethod
    def claim(cls, root: Path = Path("/")) -> Self:
        """Take the part of the tree we are in; `root` is where the kernel's files are.

        Raises:
            NotDelegatedError: it is not ours. Everything is as it was.
        """
        home = _home(root)
        try:
            controllers = (home / "cgroup.controllers").read_text().split()
            members = (home / "cgroup.procs").read_text().split()
        except OSError as error:
            raise NotDelegatedError(f"{home}: {error.strerror}") from None
        if "memory" not in controllers:
            raise NotDelegatedError(f"{home} has no memory controller")
        if members != [str(os.getpid())]:
            raise NotDelegatedError(f"{home} holds other processes too")
        leaf = home / WATCHING
        try:
            leaf.mkdir(exist_ok=True)
            _write(leaf / "cgroup.procs", os.getpid())
            _write(home / "cgroup.subtree_control", "+memory")
        except OSError as error:
            _leave(home)
            raise NotDelegatedError(f"{home}: {error.strerror}") from None
        return cls(home)

    def worker(self, bytes_of: Callable[[int], int], units_max: int) -> "WorkerMemory":
        """Groups for the workers of one replication."""
        return WorkerMemory(self, bytes_of, units_max)

    def group(self) -> Path:
        """A name for the next group."""
        return self.home / f"penstock-worker-{os.getpid()}-{next(self._numbers)}"

    def release(self) -> None:
        """Leave the tree as it was; no worker runs any more."""
        _leave(self.home)


class WorkerMemory:
    """Groups for the workers of one replication, one after the other. `bytes_of`: the budget of a
    number of units; `units_max` is what a worker begins with, until it tells its size. No method
    but `claim` raises: what the kernel refuses leaves the worker to its own accounting."""

    def __init__(self, tree: MemoryTree, bytes_of: Callable[[int], int], units_max: int) -> None:
        self._tree = tree
        self._bytes_of = bytes_of
        self._units_max = units_max
        self._units = 0
        self._group: Path | None = None

    @classmethod
    def claim(
        cls, bytes_of: Callable[[int], int], units_max: int, root: Path = Path("/")
    ) -> "WorkerMemory":
        """Of a process that watches one replication: see `MemoryTree.claim`."""
        return MemoryTree.claim(root).worker(bytes_of, units_max)

    def begin(self) -> None:
        """Make the group of the next worker, with its limits."""
        group = self._tree.group()
        self._group, self._units = group, 0
        try:
            group.mkdir()
        except OSError:
            self._group = None
        else:
            self.resize(self._units_max)

    def take(self, pid: int) -> None:
        """Put the worker there, before it has done anything."""
        if self._group is not None:
            with contextlib.suppress(OSError):
                _write(self._group / "cgroup.procs", pid)

    def resize(self, units: int) -> None:
        """The worker has that many units now."""
        if self._group is None or units == self._units:
            return
        self._units = units
        budget = self._bytes_of(units)
        most = budget + budget // SPARE_SHARE
        with contextlib.suppress(OSError):
            _write(self._group / "memory.max", most)
            _write(self._group / "memory.high", budget)

    def kills(self) -> int | None:
        """How often the kernel has ended the present worker for want of memory; None: unknown."""
        if self._group is None:
            return None
        with contextlib.suppress(OSError, ValueError):
            lines = (self._group / "memory.events").read_text().splitlines()
            counts = {name: int(count) for name, count in (line.split() for line in lines)}
            return counts.get("oom_kill")
        return None

    def end(self) -> None:
        """The worker has ended: remove its group. Idempotent."""
        group, self._group = self._group, None
        if group is not None:
            with contextlib.suppress(OSError):
                group.rmdir()

    def release(self) -> None:
        """Leave the tree as it was."""
        self.end()
        self._tree.release()


def _home(root: Path) -> Path:
    """The group this process is in."""
    with contextlib.suppress(OSError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            if line.startswith("0::"):
                return root / "sys/fs/cgroup" / line.removeprefix("0::").lstrip("/")
    raise NotDelegatedError("there are no control groups of version 2")


def _leave(home: Path) -> None:
    for file, text in (("cgroup.subtree_control", "-memory"), ("cgroup.procs", os.getpid())):
        with contextlib.suppress(OSError):
            _write(home / file, text)
    with contextlib.suppress(OSError):
        (home / WATCHING).rmdir()


def _write(file: Path, value: object) -> None:
    """One write, as the kernel's files want it; none is made where there is none."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, str(value).encode())
    finally:
        os.close(descriptor)
