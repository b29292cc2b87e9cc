"""Keys and the store: that none is missing, everything under the newest, a lost one forgotten.

The store holds a record of each key it was sealed under (never the key), so a start without one is
refused before a new key is used beside it.

To rotate: a new key into the file (`key_file.add`), the vault loaded anew, `rotate`, then
`key_file.drop` of what it returns. Daemons that share a store are all given the new key first.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from engine.control import sealing
from engine.control.store.contract import Reading, Store, Writing
from engine.control.store.records import Record
from engine.control.vault import MissingKeyError, Vault

KIND: Final = "vault-key"

PAGE: Final = 100
"""Records in one transaction of a rotation: some milliseconds in which nobody else writes."""


@dataclass(frozen=True, slots=True)
class Rotated:
    """What a rotation did: secrets sealed again, and ids of keys nothing is sealed under now."""

    secrets: int
    unused_keys: tuple[str, ...]


async def is_sealed(store: Store) -> bool:
    """Whether anything may have been sealed for this store yet."""
    async with store.read() as reading:
        return bool(await reading.count(KIND))


async def require_keys(store: Store, vault: Vault) -> None:
    """Raises MissingKeyError, with what is lost, unless the vault has every key of the store."""
    async with store.read() as reading:
        known = [record.id for record in await reading.find(KIND)]
        missing = [key_id for key_id in known if key_id not in vault.key_ids]
        if missing:
            places = [place async for place, key_id in _sealed(reading) if key_id in missing]
            raise MissingKeyError(missing, places)


async def record_keys(store: Store, vault: Vault, *, fence: int | None = None) -> None:
    """Note the keys that are in use from now on. Before anything is sealed."""
    async with store.write(fence=fence) as writing:
        for key_id in vault.newest_ids:
            if await writing.get(KIND, key_id) is None:
                await writing.insert(Record(KIND, key_id, key_id, {}))


async def rotate(store: Store, vault: Vault, *, fence: int | None = None) -> Rotated:
    """Seal everything under the newest key of its name.

    A page a transaction; killed at any moment it may be started again and goes on with the rest.
    Raises MissingKeyError, BrokenSealError, with everything before it done.
    """
    await require_keys(store, vault)
    await record_keys(store, vault, fence=fence)
    secrets = 0
    async for kind in _kinds(store):
        after = ""
        while True:
            async with store.write(fence=fence) as writing:
                page = await writing.find(kind, after=after, limit=PAGE)
                for record in page:
                    secrets += await _seal_record(writing, vault, record)
            if len(page) < PAGE:
                break
            after = page[-1].name
    return Rotated(secrets, await _retire(store, vault, fence))


async def forget(store: Store, key_id: str, *, fence: int | None = None) -> list[str]:
    """Take out what was sealed under a key that is lost for good; where that was."""
    async with store.write(fence=fence) as writing:
        places = [place async for place, found in _sealed(writing) if found == key_id]
        for kind in await writing.kinds():
            for record in await writing.find(kind):
                await _forget_in(writing, key_id, record)
        if await writing.get(KIND, key_id):
            await writing.delete(KIND, key_id)
    return places


async def _forget_in(writing: Writing, key_id: str, record: Record) -> None:
    document = sealing.without(key_id, place_of(record), record.document)
    if document != record.document:
        await writing.update(replace(record, document=document))
    facts = {}
    for fact in await writing.facts(record.kind, record.id):
        left = sealing.without(key_id, place_of(record, fact.key), fact.document)
        if left != fact.document:
            facts[fact.key] = left
    await writing.put_facts(record.kind, record.id, facts)


async def _seal_record(writing: Writing, vault: Vault, record: Record) -> int:
    """How many of its secrets, and of the facts beside it, were not under the newest key."""
    document, sealed = _again(vault, place_of(record), record.document)
    if sealed:
        await writing.update(replace(record, document=document))
    facts = {}
    for fact in await writing.facts(record.kind, record.id):
        again, more = _again(vault, place_of(record, fact.key), fact.document)
        if more:
            facts[fact.key] = again
            sealed += more
    await writing.put_facts(record.kind, record.id, facts)
    return sealed


def _again(vault: Vault, place: str, document: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    older = sum(
        key_id not in vault.newest_ids for _, key_id in sealing.sealed_places(place, document)
    )
    return sealing.seal_again(vault, place, document) if older else {}, older


def place_of(record: Record, fact: str | None = None) -> str:
    """The place for which a record's secrets are sealed, or those of a fact beside it."""
    beside = "" if fact is None else f"#{fact}"
    return f"{record.kind}/{record.id}{beside}"


async def _kinds(store: Store) -> AsyncIterator[str]:
    async with store.read() as reading:
        kinds = await reading.kinds()
    for kind in kinds:
        if kind != KIND:
            yield kind


async def _retire(store: Store, vault: Vault, fence: int | None) -> tuple[str, ...]:
    """Keys that are neither the newest of their name nor in use: the store waits for them no
    longer. Whoever writes seals under the newest by now, so looking needs no writer's turn."""
    async with store.read() as reading:
        used = {key_id async for _, key_id in _sealed(reading)}
    kept = used.union(vault.newest_ids)
    retired = tuple(key_id for key_id in vault.key_ids if key_id not in kept)
    async with store.write(fence=fence) as writing:
        for key_id in retired:
            if await writing.get(KIND, key_id):
                await writing.delete(KIND, key_id)
    return retired


async def _sealed(reading: Reading) -> AsyncIterator[tuple[str, str]]:
    """Every sealed secret of the store: its place and the id of its key."""
    for kind in await reading.kinds():
        for record in await reading.find(kind):
            for found in sealing.sealed_places(place_of(record), record.document):
                yield found
            for fact in await reading.facts(kind, record.id):
                for found in sealing.sealed_places(place_of(record, fact.key), fact.document):
                    yield found
