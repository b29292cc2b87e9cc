"""What a transaction of a store does, over any link that runs statements of `sql`.

Writers have turns, so what a statement has looked at is still so at the next one: duplicates are
found by looking, and a refusal leaves the transaction usable (PostgreSQL would end it at a
constraint).
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Protocol, TypeVar

import orjson

from engine.control.store import migrations, sql
from engine.control.store.errors import DuplicateError, GoneError, LeaseLostError, StaleError
from engine.control.store.records import (
    EVERY_EVENT,
    Document,
    Event,
    EventFilter,
    Fact,
    LeaseRow,
    Record,
    Where,
)
from engine.errors import InvariantError

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


class Link(Protocol):
    """A connection with a transaction open on it. Errors are the store's."""

    async def rows(self, text: str, values: Sequence[sql.Value]) -> Sequence[Sequence[Any]]: ...

    async def change(self, text: str, values: Sequence[sql.Value]) -> int:
        """How many rows it changed."""
        ...

    async def change_many(self, text: str, values: Sequence[Sequence[sql.Value]]) -> None: ...

    async def now(self) -> float: ...


class Transaction:
    """`Reading` and `Writing` of both stores.

    Once the database has refused something (no room, no connection) it is over, whether or not the
    block catches that error: SQLite may have rolled back by itself, and would commit what follows
    statement by statement.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._over: Exception | None = None

    async def guard(self, format: int, fence: int | None) -> None:
        """Raises StoreFormatError when the store has been brought to a newer format than `format`
        since it was opened; LeaseLostError unless `fence` is the lease in force, or None."""
        ((found,),) = await self._rows(sql.FORMAT, ())
        migrations.refuse_newer(found, format, "of this daemon")
        if fence is None:
            return
        lease = await self.lease()
        if lease.number != fence or not lease.holder:
            raise LeaseLostError(
                f"this daemon acted under lease number {fence}; number {lease.number} is in force,"
                f" held by {lease.holder or 'nobody'}",
                hint="another daemon on the same store has taken over; this one stands by",
            )

    def end(self) -> Exception | None:
        """Nothing more is read or written by it; returns what the database has refused, if it
        has."""
        over, self._over = (
            self._over,
            InvariantError("a transaction of the store was used after its block had ended"),
        )
        return over

    async def _rows(self, text: str, values: Sequence[sql.Value]) -> Sequence[Sequence[Any]]:
        return await self._on_link(self._link.rows, text, values)

    async def _change(self, text: str, values: Sequence[sql.Value]) -> int:
        return await self._on_link(self._link.change, text, values)

    async def _change_many(self, text: str, values: Sequence[Sequence[sql.Value]]) -> None:
        if values:
            await self._on_link(self._link.change_many, text, values)

    async def _on_link(
        self, ask: Callable[[str, Asked], Awaitable[Answer]], text: str, values: Asked
    ) -> Answer:
        if self._over:
            raise self._over
        try:
            return await ask(text, values)
        except Exception as error:
            self._over = error
            raise

    # --- reading ------------------------------------------------------------------------------

    async def now(self) -> float:
        return await self._link.now()

    async def get(self, kind: str, id: str) -> Record | None:
        rows = await self._rows(sql.GET, (kind, id))
        return _record(rows[0]) if rows else None

    async def named(self, kind: str, name: str) -> Record | None:
        rows = await self._rows(sql.NAMED, (kind, name))
        return _record(rows[0]) if rows else None

    async def find(
        self, kind: str, where: Where | None = None, *, after: str = "", limit: int | None = None
    ) -> Sequence[Record]:
        rows = await self._rows(*sql.find(kind, where or {}, after, limit))
        return [_record(row) for row in rows]

    async def count(self, kind: str, where: Where | None = None) -> int:
        ((number,),) = await self._rows(*sql.count(kind, where or {}))
        return int(number)

    async def kinds(self) -> Sequence[str]:
        return [kind for (kind,) in await self._rows(sql.KINDS, ())]

    async def facts(
        self, kind: str, id: str, *, prefix: str = "", after: str = "", limit: int | None = None
    ) -> Sequence[Fact]:
        rows = await self._rows(*sql.facts(kind, id, prefix, after, limit))
        return [Fact(key, orjson.loads(document)) for key, document in rows]

    async def tags(self, kind: str, ids: Collection[str]) -> Mapping[str, Mapping[str, str]]:
        found: dict[str, dict[str, str]] = {one: {} for one in ids}
        for one, key, value in await self._rows(*sql.tags(kind, ids)):
            found[one][key] = value
        return found

    async def events(
        self, only: EventFilter = EVERY_EVENT, *, after: int = 0, limit: int | None = None
    ) -> Sequence[Event]:
        return [_event(row) for row in await self._rows(*sql.events(only, after, limit))]

    async def lease(self) -> LeaseRow:
        ((holder, number, renewed, seconds),) = await self._rows(sql.LEASE, ())
        return LeaseRow(holder, number, renewed, seconds)

    # --- writing ------------------------------------------------------------------------------

    async def insert(self, record: Record) -> Record:
        if await self.get(record.kind, record.id):
            raise DuplicateError(record.kind, "id", record.id)
        await self._name_is_free(record)
        now = await self.now()
        stored = replace(record, revision=1, created=now, updated=now)
        texts = (stored.name, _json(stored.document), _json(stored.fields))
        await self._change(sql.INSERT, (stored.kind, stored.id, *texts, 1, now, now))
        await self._insert_fields(stored)
        return stored

    async def update(self, record: Record) -> Record:
        before = await self._existing(record.kind, record.id)
        if before.revision != record.revision:
            raise StaleError(record.kind, record.id)
        if before.name != record.name:
            await self._name_is_free(record)
        stored = replace(
            record,
            revision=record.revision + 1,
            created=before.created,
            updated=await self.now(),
        )
        texts = (stored.name, _json(stored.document), _json(stored.fields))
        values = (stored.kind, stored.id, *texts, stored.revision, stored.updated)
        await self._change(sql.UPDATE, values)
        if (before.name, before.fields) != (stored.name, stored.fields):
            await self._change(sql.DELETE_FIELDS, (stored.kind, stored.id))
            await self._insert_fields(stored)
        return stored

    async def delete(self, kind: str, id: str) -> None:
        await self._existing(kind, id)
        for text in sql.DELETE:
            await self._change(text, (kind, id))

    async def put_facts(self, kind: str, id: str, facts: Mapping[str, Document]) -> None:
        await self._existing(kind, id)
        rows = [(kind, id, key, _json(document)) for key, document in facts.items()]
        await self._change_many(sql.PUT_FACT, rows)

    async def drop_facts(self, kind: str, id: str, *, prefix: str = "") -> int:
        return await self._change(*sql.drop_facts(kind, id, prefix))

    async def tag(self, kind: str, id: str, tags: Mapping[str, str]) -> None:
        await self._existing(kind, id)
        rows = [(kind, id, key, value) for key, value in tags.items()]
        await self._change_many(sql.PUT_TAG, rows)

    async def untag(self, kind: str, id: str, keys: Collection[str]) -> None:
        await self._existing(kind, id)
        await self._change_many(sql.DELETE_TAG, [(kind, id, key) for key in keys])

    async def add_event(self, event: Event) -> Event:
        ((number, at),) = await self._rows(sql.LAST_EVENT, ())
        categories = tuple(dict.fromkeys(event.categories))
        stored = replace(
            event, number=number + 1, at=max(at, await self.now()), categories=categories
        )
        await self._change(sql.SET_LAST_EVENT, (stored.number, stored.at))
        about = (stored.source_type, stored.source_id, stored.message)
        texts = (_json(stored.document), _json(categories))
        await self._change(sql.INSERT_EVENT, (stored.number, stored.at, *about, *texts))
        rows = [(stored.number, category) for category in categories]
        await self._change_many(sql.INSERT_CATEGORY, rows)
        return stored

    async def drop_events(self, before: float) -> int:
        await self._change(sql.DROP_CATEGORIES, (before,))
        return await self._change(sql.DROP_EVENTS, (before,))

    async def put_lease(self, lease: LeaseRow) -> None:
        values = (lease.holder, lease.number, lease.renewed, lease.seconds)
        await self._change(sql.PUT_LEASE, values)

    async def _existing(self, kind: str, id: str) -> Record:
        record = await self.get(kind, id)
        if record is None:
            raise GoneError(kind, id)
        return record

    async def _name_is_free(self, record: Record) -> None:
        if await self.named(record.kind, record.name):
            raise DuplicateError(record.kind, "name", record.name)

    async def _insert_fields(self, record: Record) -> None:
        place = (record.name, record.id)
        rows = [(record.kind, field, value, *place) for field, value in record.fields.items()]
        await self._change_many(sql.INSERT_FIELD, rows)


@asynccontextmanager
async def transaction(link: Link) -> AsyncIterator[Transaction]:
    """For as long as the block lasts. What the database has refused ends the block, caught or
    not."""
    opened = Transaction(link)
    try:
        yield opened
    finally:
        over = opened.end()
    if over:
        raise over


def _json(document: object) -> str:
    return orjson.dumps(document).decode()


def _record(row: Sequence[Any]) -> Record:
    kind, own_id, name, document, fields, revision, created, updated = row
    texts = orjson.loads(document), orjson.loads(fields)
    return Record(kind, own_id, name, *texts, revision, created, updated)


def _event(row: Sequence[Any]) -> Event:
    number, at, source_type, source_id, message, document, categories = row
    kept = tuple(orjson.loads(categories)), orjson.loads(document)
    return Event(source_type, source_id, message, *kept, number, at)
