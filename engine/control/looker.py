"""Tests connections and reads schemas that the API was asked for (`acting.Looker`).

What is to be looked at stands in the store as `testing` and `refreshing`, until what was found is
stored in its place: a daemon that ended meanwhile leaves its work to the next one.
"""

import asyncio
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from engine.control.acting import Looked, Prober
from engine.control.resources import connection, schemas
from engine.control.resources.connection import Connection
from engine.control.resources.document import decode, encode
from engine.control.resources.schemas import Schemas
from engine.control.store.contract import Store, Writing
from engine.control.store.records import Record
from engine.observe.log import Log
from engine.observe.redact import describe_error

AT_ONCE_MAX: Final = 4
"""Looks at once: each is a process of some 60 MiB for the time of a connection."""


@dataclass(frozen=True, slots=True)
class _Work:
    """A record that says that something is to be looked at."""

    record: Record

    @property
    def key(self) -> tuple[str, str]:
        return self.record.kind, self.record.id


class EndpointLooker:
    """Looks while it runs, which is while this daemon acts."""

    def __init__(self, store: Store, prober: Prober, log: Log) -> None:
        self._store = store
        self._prober = prober
        self._log = log
        self._woken = asyncio.Event()
        self._busy: set[tuple[str, str]] = set()
        self._turns = asyncio.Semaphore(AT_ONCE_MAX)

    def wake(self) -> None:
        """See `acting.Looker.wake`."""
        self._woken.set()

    async def run(self) -> None:
        """Look until cancelled: a look that is not at its end is given up, and begun anew by the
        next run. Raises a group of StateErrors where the store cannot be used."""
        self._busy.clear()
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._woken.clear()
                for work in await self._waiting():
                    self._busy.add(work.key)
                    tasks.create_task(self._look(work), name=f"look at {work.record.id}")
                await self._woken.wait()

    async def _waiting(self) -> list[_Work]:
        """What nobody looks at yet."""
        wanted = {
            connection.KIND: connection.Status.TESTING,
            schemas.KIND: schemas.Status.REFRESHING,
        }
        busy = frozenset(self._busy)  # one that ends while the store is read is read as it was
        async with self._store.read() as reading:
            found = [
                _Work(record)
                for kind, status in wanted.items()
                for record in await reading.find(kind, {"status": [status]})
            ]
        return [work for work in found if work.key not in busy]

    async def _look(self, work: _Work) -> None:
        async with self._turns:
            looked = await self._looked(work.record)
            await self._store_found(work.record, looked)
        self._busy.discard(work.key)
        self.wake()  # it may have been asked for anew meanwhile

    async def _looked(self, record: Record) -> Looked:
        try:
            if record.kind == connection.KIND:
                return await self._prober.connect(decode(Connection, record.document).endpoint)
            return await self._prober.schemas(record.id)
        except Exception as error:  # noqa: BLE001 - told, or it would be tried for ever
            self._log.exception(
                "an endpoint could not be looked at", action="look.defect", error=error
            )
            return Looked(f"unexpected {describe_error(error)}")

    async def _store_found(self, asked: Record, looked: Looked) -> None:
        async with self._store.write() as writing:
            record = await writing.get(asked.kind, asked.id)
            if record is None or _asking(record) != _asking(asked):
                return  # it was deleted, or asked for anew
            if record.kind == connection.KIND:
                await _store_connection(writing, record, looked)
            else:
                await _store_schemas(writing, record, looked)


def _asking(record: Record) -> tuple[float, int]:
    """Which of several times the same was asked for."""
    return record.created, record.revision


async def _store_connection(writing: Writing, record: Record, looked: Looked) -> None:
    status = connection.Status.FAILED if looked.failure else connection.Status.SUCCESSFUL
    found = msgspec.structs.replace(
        decode(Connection, record.document), status=status, failure=looked.failure
    )
    await writing.update(replace(record, document=encode(found), fields=found.fields))


async def _store_schemas(writing: Writing, record: Record, looked: Looked) -> None:
    """A failure leaves what was read before."""
    before = decode(Schemas, record.document)
    if looked.failure:
        found = msgspec.structs.replace(
            before, status=schemas.Status.FAILED, failure=looked.failure
        )
    else:
        found = Schemas(
            instance=before.instance,
            status=schemas.Status.SUCCESSFUL,
            refreshed=await writing.now(),
            names=tuple(looked.schemas),
        )
    await writing.update(replace(record, document=encode(found), fields=found.fields))
