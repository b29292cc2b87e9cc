"""What the daemon relies on in a store, whichever it is.

    async with SqliteStore(path) as store:
        async with store.write() as writing:
            record = await writing.insert(Record("endpoint", "AB12", "orders", {"Port": 5432}))
        async with store.read() as reading:
            assert await reading.named("endpoint", "orders") == record

Writers have turns: a write transaction sees everything of those before it and nobody writes beside
it, also from another process. So a write block does its reading and writing and nothing else: it
never awaits a server, a worker or a person. Readers see one moment of the store and wait for no
writer. A transaction belongs to one task and ends with its block.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol, Self

from engine.control.store.records import (
    Document,
    Event,
    EventFilter,
    Fact,
    LeaseRow,
    Record,
    Where,
)

VALUES_MAX = 10_000
"""Values in one condition and keys in one call, at most: a database takes some 32,000 parameters
in one statement. More is a ValueError."""


class Reading(Protocol):
    """One moment of the store."""

    async def now(self) -> float:
        """The store's own clock, in seconds since 1970: the same one for every daemon on it."""
        ...

    async def get(self, kind: str, id: str) -> Record | None: ...

    async def named(self, kind: str, name: str) -> Record | None: ...

    async def find(
        self, kind: str, where: Where = ..., *, after: str = "", limit: int | None = None
    ) -> Sequence[Record]:
        """Records by name, in order of code points; `after`: the name of the last one seen, which
        need not be there any more."""
        ...

    async def count(self, kind: str, where: Where = ...) -> int: ...

    async def kinds(self) -> Sequence[str]:
        """Every kind there is a record of, sorted."""
        ...

    async def facts(
        self, kind: str, id: str, *, prefix: str = "", after: str = "", limit: int | None = None
    ) -> Sequence[Fact]:
        """Facts beside a record by key, in order of code points, whose key begins with `prefix`;
        `after`: the key of the last one seen."""
        ...

    async def tags(self, kind: str, ids: Collection[str]) -> Mapping[str, Mapping[str, str]]:
        """Tags by id, each by key in order; an id without tags has an empty mapping."""
        ...

    async def events(
        self, only: EventFilter = ..., *, after: int = 0, limit: int | None = None
    ) -> Sequence[Event]:
        """Events in the order in which they were added; `after`: the number of the last seen."""
        ...

    async def lease(self) -> LeaseRow: ...


class Writing(Reading, Protocol):
    """One transaction. It reads what it has written. A RecordError leaves it as it was before that
    call: the block may go on."""

    async def insert(self, record: Record) -> Record:
        """The record as it is stored. Raises DuplicateError."""
        ...

    async def update(self, record: Record) -> Record:
        """Store a record that was read at `record.revision`; returned as it is now.

        Raises StaleError, GoneError, and DuplicateError when the new name is taken.
        """
        ...

    async def delete(self, kind: str, id: str) -> None:
        """With its tags and facts; events about it stay. Raises GoneError."""
        ...

    async def put_facts(self, kind: str, id: str, facts: Mapping[str, Document]) -> None:
        """Store facts by key, in place of those with the same keys. Raises GoneError."""
        ...

    async def drop_facts(self, kind: str, id: str, *, prefix: str = "") -> int:
        """Remove the facts whose key begins with `prefix`; how many there were."""
        ...

    async def tag(self, kind: str, id: str, tags: Mapping[str, str]) -> None:
        """Add tags, in place of those with the same keys. Raises GoneError."""
        ...

    async def untag(self, kind: str, id: str, keys: Collection[str]) -> None:
        """Remove tags; a key that is not there is no error. Raises GoneError."""
        ...

    async def add_event(self, event: Event) -> Event:
        """The event with its number and time."""
        ...

    async def drop_events(self, before: float) -> int:
        """Remove the events that happened before a time (the store's clock); how many."""
        ...

    async def put_lease(self, lease: LeaseRow) -> None:
        """For `engine.control.lease` alone."""
        ...


class Store(Protocol):
    """Entering opens it and brings it to this version's format; leaving closes it.

    Entering raises StoreFormatError, StoreConnectionError, StateError; ConfigError for a url that
    cannot be used.
    """

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exception: object) -> None: ...

    def read(self) -> AbstractAsyncContextManager[Reading]:
        """Raises StoreConnectionError, at the start and in every call; StoreBusyError."""
        ...

    def write(self, *, fence: int | None = None) -> AbstractAsyncContextManager[Writing]:
        """A transaction: durable when the block has ended without an error; nothing of it is there
        otherwise. Cancelled while the block ends, it is one or the other.

        `fence`: the number of the lease the caller acts under. When another one is in force by now
        the block is never entered: LeaseLostError.

        Raises StoreBusyError, StoreConnectionError, StoreOutcomeUnknownError, StoreFullError.
        """
        ...

    async def tend(self) -> None:
        """Housekeeping that may take seconds, for the maintenance window."""
        ...
