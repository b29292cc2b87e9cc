"""The store as a daemon may use it: whatever it writes carries the number of its lease."""

from contextlib import AbstractAsyncContextManager
from typing import Self

from engine.control.store.contract import Reading, Store, Writing
from engine.control.store.errors import LeaseLostError
from engine.control.store.records import LeaseRow
from engine.errors import StateError


class FencedStore:
    """A store that is open already. Everybody may read; only who holds the lease writes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.lease: LeaseRow | None = None
        """Set by whoever holds the lease, and to None when it is given up."""
        self.trouble: StateError | None = None
        """Why nobody may act as far as this daemon knows: it could not use the store."""

    def number(self) -> int | None:
        """The lease's number, where this daemon holds it."""
        return self.lease.number if self.lease else None

    def unattended(self) -> str:
        """Why what the store says of replications may not be so: nobody looks after them. Empty
        where this daemon does, or another one."""
        if self.lease is not None or self.trouble is None:
            return ""
        return f"No daemon is known to look after it now. {self.trouble}"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        """It is closed by whoever opened it."""

    def read(self) -> AbstractAsyncContextManager[Reading]:
        """See `Store.read`."""
        return self._store.read()

    def write(self, *, fence: int | None = None) -> AbstractAsyncContextManager[Writing]:
        """See `Store.write`; without a number of its own it is written under this daemon's.

        Raises LeaseLostError when another daemon acts; where none may, what keeps this one from it.
        """
        if fence is None and self.lease is None:
            if self.trouble is not None:
                raise type(self.trouble)(self.trouble.message, hint=self.trouble.hint)
            raise LeaseLostError(
                "this daemon stands by: another one acts on this store, and changes it",
                hint="send what changes something to the one that acts; /readyz tells which",
            )
        return self._store.write(fence=self.number() if fence is None else fence)

    async def tend(self) -> None:
        """See `Store.tend`."""
        await self._store.tend()
