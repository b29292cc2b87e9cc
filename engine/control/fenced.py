"""The store as a daemon may use it: whatever it writes carries the number of its lease."""

from contextlib import AbstractAsyncContextManager
from typing import Self

from engine.control.store.contract import Reading, Store, Writing
from engine.control.store.errors import LeaseLostError
from engine.control.store.records import LeaseRow


class FencedStore:
    """A store that is open already. Everybody may read; only who holds the lease writes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.lease: LeaseRow | None = None
        """Set by whoever holds the lease, and to None when it is given up."""

    def number(self) -> int | None:
        """The lease's number, where this daemon holds it."""
        return self.lease.number if self.lease else None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        """It is closed by whoever opened it."""

    def read(self) -> AbstractAsyncContextManager[Reading]:
        """See `Store.read`."""
        return self._store.read()

    def write(self, *, fence: int | None = None) -> AbstractAsyncContextManager[Writing]:
        """See `Store.write`; without a number of its own it is written under this daemon's.

        Raises LeaseLostError when this daemon does not act.
        """
        if fence is None and self.lease is None:
            raise LeaseLostError(
                "this daemon stands by: another one acts on this store, and changes it",
                hint="send what changes something to the one that acts; /readyz tells which",
            )
        return self._store.write(fence=self.number() if fence is None else fence)

    async def tend(self) -> None:
        """See `Store.tend`."""
        await self._store.tend()
