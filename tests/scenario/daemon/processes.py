"""What processes a daemon has, and whether two of them ever carry one replication.

See: proc(5), `stat` and `cmdline`.
"""

import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

LOOK_SECONDS: Final = 0.1

SESSION: Final = 3
"""`session` behind the command's name, counted from 0."""


def of_session(session: int) -> list[int]:
    """Living processes of a session: a daemon that was started as its leader, all it has started,
    and what those have."""
    return [pid for pid in _all() if _session(pid) == session]


def carrying(state: Path) -> Mapping[str, list[int]]:
    """Living workers of a state folder, by their replication."""
    found: defaultdict[str, list[int]] = defaultdict(list)
    for pid in _all():
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
        except OSError:
            continue
        if "engine.worker" in words and words[-2].startswith(f"{state}/") and _is_alive(pid):
            found[Path(words[-2]).stem].append(pid)  # its last word is its file
    return found


class Watch(threading.Thread):
    """Looks at the workers of a state folder again and again."""

    def __init__(self, state: Path) -> None:
        super().__init__(name="watch", daemon=True)
        self._state = state
        self._over = threading.Event()
        self.looks = 0
        self.doubled: list[str] = []
        """Each time that one replication was seen to have two."""

    def run(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            self.looks += 1
            self.doubled += [
                f"{name} has workers {pids}"
                for name, pids in carrying(self._state).items()
                if len(pids) > 1
            ]

    def stop(self) -> None:
        self._over.set()
        self.join()


@contextmanager
def watched(state: Path) -> Iterator[Watch]:
    """No replication of this folder has two workers at any time; AssertionError at the end."""
    watch = Watch(state)
    watch.start()
    try:
        yield watch
    finally:
        watch.stop()
    assert watch.looks
    assert not watch.doubled, watch.doubled[:5]


def _all() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]


def _is_alive(pid: int) -> bool:
    """A session of another pid namespace (a container's, seen from within) reads as 0."""
    return _session(pid) is not None


def _session(pid: int) -> int | None:
    """None: it has ended, or only waits to be collected."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if words[0] == "Z" else int(words[SESSION])
