"""Keys of kept rows: one of a replication until the vault's key is another, and none is lost."""

import asyncio
import base64
from pathlib import Path

import pytest

from engine.config.secret import Secret
from engine.control import quarantine_keys
from engine.control.resources.replication import KIND
from engine.control.rotation import forget, record_keys, rotate
from engine.control.sealing import sealed_places
from engine.control.store.contract import Store
from engine.control.store.errors import GoneError
from engine.control.store.records import Record
from engine.control.store.sqlite import SqliteStore
from engine.control.vault import Key, MissingKeyError, Vault
from engine.seams import SystemRandom

OLD, NEW, NAMED = Key.make(), Key.make(), Key.make("billing")

BEFORE, AFTER, LATER = Vault([OLD, NAMED]), Vault([OLD, NEW, NAMED]), Vault([NEW, NAMED])


async def current(store: Store, vault: Vault, named: str = "", id: str = "r") -> bytes:
    key = await quarantine_keys.current(store, vault, SystemRandom(), id, named)
    return base64.b64decode(key.reveal())


async def every(store: Store, vault: Vault) -> list[bytes]:
    async with store.read() as reading:
        return await quarantine_keys.every(reading, vault, "r")


async def sealed_under(store: Store) -> set[str]:
    async with store.read() as reading:
        facts = await reading.facts(KIND, "r")
    return {key for fact in facts for _, key in sealed_places("", fact.document)}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


async def made(store: Store) -> None:
    await record_keys(store, BEFORE)
    async with store.write() as writing:
        await writing.insert(Record(KIND, "r", "r", {}))


async def test_it_is_the_same_until_the_vaults_key_is_another(place: Path) -> None:
    async with SqliteStore(place) as store:
        await made(store)
        first = await current(store, BEFORE)
        assert first == await current(store, BEFORE)
        assert (await rotate(store, AFTER)).unused_keys == (OLD.id,)
        assert await sealed_under(store) == {NEW.id}
        second = await current(store, LATER)
        assert second != first
        assert second == await current(store, LATER)
        assert [first, second] == (await every(store, LATER))[:2], "older ones stay readable"
        assert set((await every(store, LATER))[2:]) == set(quarantine_keys.derived([NEW, NAMED]))
        with pytest.raises(MissingKeyError):
            await every(store, BEFORE)


async def test_starts_at_once_make_one(place: Path) -> None:
    async with SqliteStore(place) as store:
        await made(store)
        keys = await asyncio.gather(*[current(store, BEFORE) for _ in range(8)])
        assert len(set(keys)) == 1
        assert len(await every(store, BEFORE)) == 1 + len(BEFORE.key_ids)


async def test_it_is_sealed_under_the_key_that_the_replication_names(place: Path) -> None:
    async with SqliteStore(place) as store:
        await made(store)
        await current(store, BEFORE, "billing")
        assert await sealed_under(store) == {NAMED.id}
        await current(store, BEFORE, "arn:aws:kms:us-east-1:000000000000:key/of-aws")
        assert await sealed_under(store) == {NAMED.id, OLD.id}


async def test_with_a_lost_key_go_its_rows_and_no_others(place: Path) -> None:
    async with SqliteStore(place) as store:
        await made(store)
        lost = await current(store, BEFORE, "billing")
        kept = await current(store, BEFORE)
        await forget(store, NAMED.id)
        without = Vault([OLD])
        assert await current(store, without) == kept
        assert lost not in await every(store, without)


async def test_a_replication_that_is_gone_has_none(place: Path) -> None:
    async with SqliteStore(place) as store:
        await made(store)
        with pytest.raises(GoneError):
            await current(store, BEFORE, id="gone")


def test_a_worker_of_a_file_is_given_what_is_derived_from_its_key() -> None:
    text = Key.make().text().reveal()
    given = quarantine_keys.worker_environment({"PENSTOCK_KEY": text, "PATH": "/bin"})
    assert given.keys() == {"PATH", "PENSTOCK_QUARANTINE_KEY"}
    (key,) = quarantine_keys.given({"PENSTOCK_KEY": text})
    assert Secret(given["PENSTOCK_QUARANTINE_KEY"]) == Secret(base64.b64encode(key).decode())
    assert text not in given.values()
    assert quarantine_keys.worker_environment({"PATH": "/bin"}) == {"PATH": "/bin"}
