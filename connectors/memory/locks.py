"""(pure) Locks of the memory database: shared or exclusive, held until the transaction ends."""

from collections.abc import Hashable
from dataclasses import dataclass, field


class WouldBlockError(Exception):
    """The lock is held; `holders` are the transactions to wait for."""

    def __init__(self, holders: tuple[int, ...]) -> None:
        super().__init__(f"waits for transactions {', '.join(map(str, holders))}")
        self.holders = holders


class DeadlockError(Exception):
    """Waiting would close a circle."""


@dataclass
class _Lock:
    exclusive: bool = False
    holders: dict[int, None] = field(default_factory=dict[int, None])


class LockTable:
    """Who holds what and who waits for whom. A lock's name may stand for a row that is absent."""

    def __init__(self) -> None:
        self._locks: dict[Hashable, _Lock] = {}
        self._held: dict[int, dict[Hashable, None]] = {}
        self._waits: dict[int, tuple[int, ...]] = {}

    def acquire(self, xid: int, name: Hashable, *, exclusive: bool = True) -> None:
        """Take the lock at once.

        Raises:
            WouldBlockError: others hold it in a mode that excludes this one.
        """
        lock = self._locks.setdefault(name, _Lock())
        others = tuple(holder for holder in lock.holders if holder != xid)
        if others and (exclusive or lock.exclusive):
            raise WouldBlockError(others)
        lock.holders[xid] = None
        lock.exclusive = lock.exclusive or exclusive
        self._held.setdefault(xid, {})[name] = None

    def is_exclusive(self, name: Hashable) -> bool:
        """Whether somebody holds it against all others."""
        lock = self._locks.get(name)
        return lock is not None and lock.exclusive

    def release(self, xid: int) -> None:
        """Let go of everything a transaction holds."""
        for name in self._held.pop(xid, ()):
            lock = self._locks[name]
            del lock.holders[xid]
            if not lock.holders:
                del self._locks[name]
        self._waits.pop(xid, None)

    def wait(self, xid: int, holders: tuple[int, ...]) -> None:
        """Record a wait.

        Raises:
            DeadlockError: one of the holders waits, directly or not, for `xid`.
        """
        seen: list[int] = list(holders)
        for holder in seen:
            if holder == xid:
                raise DeadlockError(f"transaction {xid} would wait for itself")
            seen.extend(x for x in self._waits.get(holder, ()) if x not in seen)
        self._waits[xid] = holders

    def waited(self, xid: int) -> None:
        """The wait is over."""
        self._waits.pop(xid, None)
