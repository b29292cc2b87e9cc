"""The real clock, randomness and disk: the machine's side of the seams in `engine.machine`.

Only a process's outermost module makes these; everything below is handed them, so that a simulation
can hand it others.
"""

import contextlib
import errno
import os
import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from engine.errors import InvariantError, StateError
from engine.model.usage import Usage

FOLDER_MODE: Final = 0o700
FILE_MODE: Final = 0o600
"""Overflow holds row values: nobody but the service's own account reads it."""


class SystemClock:
    """The machine's clocks."""

    def monotonic(self) -> float:
        """Seconds that only grow; for intervals."""
        return time.monotonic()

    def wall(self) -> float:
        """Seconds since the Unix epoch; for lag and for people, never for decisions."""
        return time.time()


class SystemRandom:
    """The kernel's randomness: two processes started together do not retry together."""

    def __init__(self) -> None:
        self._random = random.SystemRandom()

    def uniform(self, low: float, high: float) -> float:
        """Any number between the two, all alike."""
        return self._random.uniform(low, high)

    def key(self, size: int) -> bytes:
        """Bytes that nobody can guess."""
        return self._random.randbytes(size)


class SystemMeter:
    """What the kernel says of this process. See: proc(5), `statm` and `schedstat`; without them
    (other systems than Linux) only the time on a core is known."""

    def __init__(self) -> None:
        self._page_bytes = os.sysconf("SC_PAGE_SIZE")

    def read(self) -> Usage:
        """Now, of the thread that asks."""
        memory = _word("/proc/self/statm", 1)
        denied = _word("/proc/thread-self/schedstat", 1)
        return Usage(
            memory_bytes=None if memory is None else memory * self._page_bytes,
            core_seconds=time.thread_time(),
            denied_seconds=None if denied is None else denied / 1e9,
        )


def _word(path: str, place: int) -> int | None:
    """A number of a file of the kernel's; None where there is none."""
    with contextlib.suppress(OSError, IndexError, ValueError):
        return int(Path(path).read_bytes().split()[place])
    return None


def machine_memory_bytes(root: Path = Path("/")) -> int:
    """Memory that this process may come to use: the machine's, or less where a control group that
    it is in has a limit. `root` is where the kernel's files are.

    See: the kernel's cgroup-v2 (`memory.max`) and cgroup-v1 memory (`memory.limit_in_bytes`).
    """
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([physical, *_group_limits(root)])


def memory_kills(root: Path = Path("/")) -> int | None:
    """Processes of this one's control group that the kernel has ended for want of memory so far;
    where it has none, of the whole machine. None: the kernel does not say.

    See: the kernel's cgroup-v2 (`memory.events`) and cgroup-v1 memory (`memory.oom_control`).
    """
    for path in _kill_counts(root):
        with contextlib.suppress(OSError, ValueError):
            words = (line.split() for line in path.read_text().splitlines())
            counts = {name: int(count) for name, count in words}
            if "oom_kill" in counts:
                return counts["oom_kill"]
    return None


def _kill_counts(root: Path) -> Iterator[Path]:
    """Files that may hold a count, the nearest first. Inside a container its own group may be
    mounted where groups are, and its path lead nowhere."""
    for mount, path, v2 in _memory_groups(root):
        name = "memory.events" if v2 else "memory.oom_control"
        yield mount / path.lstrip("/") / name
        yield mount / name
    yield root / "proc/vmstat"


def _memory_groups(root: Path) -> Iterator[tuple[Path, str, bool]]:
    """Where groups are mounted, the path of this process's there, and whether they are of v2."""
    with contextlib.suppress(OSError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers == "":
                yield root / "sys/fs/cgroup", path, True
            elif "memory" in controllers.split(","):
                yield root / "sys/fs/cgroup/memory", path, False


def _group_limits(root: Path) -> Iterator[int]:
    """The limits of the groups this process is in, and of those around them."""
    for mount, path, v2 in _memory_groups(root):
        yield from _limits(mount, path, "memory.max" if v2 else "memory.limit_in_bytes")


def _limits(mount: Path, path: str, name: str) -> Iterator[int]:
    """Limits from a group up to where groups are mounted. Inside a container its own group may be
    mounted there, and its path lead nowhere."""
    group = mount / path.lstrip("/")
    for folder in (group, *group.parents):
        limit = _word(str(folder / name), 0)
        if limit is not None:
            yield limit
        if folder == mount:
            return


class LocalDisk:
    """Append-only files in one directory, as large as who writes them lets them be.

    Nothing is synchronised to the device: overflow is read again from the source after a crash.
    Files that a predecessor left are seen by `names`, and are the caller's to remove. The directory
    is created with the first byte. One process, one thread.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._sizes: dict[str, int] | None = None

    def append(self, name: str, data: bytes) -> int:
        """Append whole or not at all; return the offset the bytes stand at.

        Raises StateError when the disk is full, or the file cannot be written.
        """
        sizes = self._known()
        offset = sizes.get(name, 0)
        self._write(self._path(name), offset, data)
        sizes[name] = offset + len(data)
        return offset

    def read(self, name: str, offset: int, size: int) -> bytes:
        """Read exactly `size` bytes. Raises StateError when they are not all there."""
        path = self._path(name)
        try:
            with path.open("rb", buffering=0) as file:
                file.seek(offset)
                data = file.read(size)
        except OSError as error:
            raise _failed("read", path, error) from error
        if len(data) != size:
            raise StateError(f"{path} ends before byte {offset + size}", context={"file": name})
        return data

    def remove(self, name: str) -> None:
        """Remove; no error when absent."""
        path = self._path(name)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise _failed("remove", path, error) from error
        self._known().pop(name, None)

    def names(self) -> Sequence[str]:
        """The files there are, sorted."""
        return sorted(self._known())

    def size(self, name: str) -> int:
        """Bytes of a file; 0 when absent."""
        return self._known().get(name, 0)

    def _known(self) -> dict[str, int]:
        """Each file's size, looked up once: nobody else writes here."""
        if self._sizes is None:
            try:
                with os.scandir(self._directory) as entries:
                    self._sizes = {e.name: e.stat().st_size for e in entries if e.is_file()}
            except FileNotFoundError:
                self._sizes = {}
            except OSError as error:
                raise _failed("list", self._directory, error) from error
        return self._sizes

    def _write(self, path: Path, offset: int, data: bytes) -> None:
        try:
            self._directory.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        except OSError as error:
            raise _failed("write", path, error) from error
        try:
            _write_all(descriptor, offset, data)
        except OSError as error:
            os.ftruncate(descriptor, offset)
            raise _failed("write", path, error) from error
        finally:
            os.close(descriptor)

    def _path(self, name: str) -> Path:
        if not name or name.startswith(".") or "/" in name or "\0" in name:
            raise InvariantError(f"{name!r} is not a plain file name")
        return self._directory / name


class TraceFile:
    """A file that lines are added to; made with the first of them."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, line: bytes) -> None:
        """Append. Raises StateError when that cannot be done."""
        try:
            with self._path.open("ab", buffering=0) as file:
                file.write(line)
        except OSError as error:
            raise _failed("write", self._path, error) from error


def _write_all(descriptor: int, offset: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        written = os.pwrite(descriptor, left, offset)
        left, offset = left[written:], offset + written


def _failed(action: str, path: Path, error: OSError) -> StateError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    hint = "see that its folder is there, and that the user of this process may use it"
    if full:
        hint = "free space on the file system that holds it"
    return StateError(f"cannot {action} {path}: {error.strerror}", hint=hint)
