"""A replication's record in the store, as the one who acts on it changes it.

Operations change the same record at any time (a stop, a deletion), so every change is made from
what is stored at that moment, under the fence of the lease, with its event in the same transaction.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias, TypeVar

import msgspec

from engine.control.happenings import Happening, SourceType
from engine.control.lifecycle import Status, follows
from engine.control.resources.document import Stored, decode, encode
from engine.control.resources.replication import KIND, Face, Life, Replication
from engine.control.store.contract import Store, Writing
from engine.control.store.errors import (
    GoneError,
    StoreBusyError,
    StoreConnectionError,
    StoreFullError,
)
from engine.control.store.records import Document, Record
from engine.observe.log import Log

PAUSE_SECONDS: Final = 1.0
"""Between two tries to store something. What a worker does goes on meanwhile."""

Change: TypeAlias = Callable[[Life], Life]

T = TypeVar("T")


class SupersededError(Exception):
    """Somebody wants something else by now: a stop, a deletion."""


@dataclass(frozen=True, slots=True)
class Note:
    """What is stored beside a change: an event with its detail, and facts by key."""

    happening: Happening | None = None
    detail: str = ""
    facts: Mapping[str, Stored] = field(default_factory=dict[str, Stored])
    forget: str = ""
    """Facts whose key begins with this are removed first."""


NOTHING: Final = Note()


class Keeper:
    """The record with one id. Every method waits for a store that cannot be written to now, and
    raises GoneError when there is no such record, LeaseLostError when another daemon acts."""

    def __init__(self, store: Store, id: str, log: Log) -> None:
        """`store` writes under the lease's fence by itself."""
        self._store = store
        self._log = log
        self.id = id

    async def read(self) -> Replication:
        """The record as it is."""

        async def read() -> Replication:
            async with self._store.read() as reading:
                return self._decoded(await reading.get(KIND, self.id))

        return await self.until_stored(read)

    async def facts(self, prefix: str) -> dict[str, Document]:
        """Facts beside it by key."""

        async def read() -> dict[str, Document]:
            async with self._store.read() as reading:
                found = await reading.facts(KIND, self.id, prefix=prefix)
            return {fact.key: fact.document for fact in found}

        return await self.until_stored(read)

    async def change(self, change: Change, *notes: Note) -> Life:
        """Store what `change` makes of the life that is stored, with the notes: events only where
        it makes a difference. An error that `change` raises leaves everything as it was."""

        async def write() -> Life:
            async with self._store.write() as writing:
                return await self._change(writing, change, notes)

        return await self.until_stored(write)

    async def tell(self, happening: Happening, detail: str = "") -> None:
        """Store an event that changes nothing."""

        async def write() -> None:
            async with self._store.write() as writing:
                replication = self._decoded(await writing.get(KIND, self.id))
                await _add_event(writing, replication, Note(happening, detail))

        await self.until_stored(write)

    async def remove(self, *notes: Note) -> None:
        """Delete the record, with events about it, which stay."""

        async def write() -> None:
            async with self._store.write() as writing:
                replication = self._decoded(await writing.get(KIND, self.id))
                for note in notes:
                    await _add_event(writing, replication, note)
                await writing.delete(KIND, self.id)

        await self.until_stored(write)

    async def until_stored(self, work: Callable[[], Awaitable[T]]) -> T:
        """What `work` gives, once the store lets it be done."""
        while True:
            try:
                return await work()
            except (StoreBusyError, StoreConnectionError, StoreFullError) as error:
                self._log.warning(
                    "the store cannot be used now; trying again",
                    action="replication.store",
                    error=error,
                    delay_seconds=PAUSE_SECONDS,
                )
            await asyncio.sleep(PAUSE_SECONDS)

    def _decoded(self, record: Record | None) -> Replication:
        if record is None:
            raise GoneError(KIND, self.id)
        return decode(Replication, record.document)

    async def _change(self, writing: Writing, change: Change, notes: tuple[Note, ...]) -> Life:
        record = await writing.get(KIND, self.id)
        if record is None:
            raise GoneError(KIND, self.id)
        replication = self._decoded(record)
        life = change(replication.life)
        differs = life != replication.life
        if differs:
            changed = msgspec.structs.replace(replication, life=life)
            await writing.update(replace(record, document=encode(changed)))
        for note in notes:
            if note.forget:
                await writing.drop_facts(KIND, self.id, prefix=note.forget)
            if note.facts:
                facts = {key: encode(fact) for key, fact in note.facts.items()}
                await writing.put_facts(KIND, self.id, facts)
            if differs:
                await _add_event(writing, replication, note)
        return life


async def _add_event(writing: Writing, replication: Replication, note: Note) -> None:
    if note.happening is not None:
        about = replication.config
        kind = SourceType.TASK if about.face is Face.TASK else SourceType.REPLICATION
        await writing.add_event(note.happening.event(kind, about.name, note.detail))


def entering(status: Status, **members: object) -> Change:
    """The life in that status, with other members of it changed too. It raises SupersededError
    where that status does not follow any more."""

    def change(life: Life) -> Life:
        if life.status is not status and not follows(life.status, status):
            raise SupersededError
        return msgspec.structs.replace(life, status=status, **members)

    return change


def having(**members: object) -> Change:
    """The life with these members changed."""
    return lambda life: msgspec.structs.replace(life, **members)
