"""Keys change under a store in use."""

import asyncio
import itertools
import random
from pathlib import Path
from typing import Any, Final

import pytest

from engine.config.secret import Secret
from engine.control import rotation
from engine.control.rotation import forget, is_sealed, record_keys, require_keys, rotate
from engine.control.sealing import open_secrets, seal_secrets, sealed_places
from engine.control.store.contract import Store
from engine.control.store.errors import LeaseLostError
from engine.control.store.records import Record
from engine.control.store.sqlite import SqliteStore
from engine.control.vault import BrokenSealError, Key, MissingKeyError, Vault

OLD, NEW, NAMED = Key.make(), Key.make(), Key.make("billing")

BEFORE: Final = Vault([OLD, NAMED])
AFTER: Final = Vault([OLD, NEW, NAMED])

RECORDS: Final = 30


def secret(number: int) -> Secret:
    return Secret(f"secret {number}")


async def fill(store: Store) -> None:
    """Endpoints with a secret each, every third under a key of its own name, and facts with one."""
    await record_keys(store, BEFORE)
    async with store.write() as writing:
        for number in range(RECORDS):
            record = Record("endpoint", f"id{number}", f"name{number:03}", {"Port": number})
            key = "" if number % 3 else "billing"
            document = {**record.document, "Settings": {"Password": secret(number)}}
            sealed = seal_secrets(BEFORE, rotation.place_of(record), document, key=key)
            await writing.insert(Record("endpoint", record.id, record.name, sealed))
            fact = seal_secrets(BEFORE, rotation.place_of(record, "k"), {"Row": secret(number)})
            await writing.put_facts("endpoint", record.id, {"k": fact, "plain": {"n": 1}})
        await writing.insert(Record("replication", "r", "r", {"status": "running"}))


async def found(store: Store, vault: Vault) -> dict[str, Any]:
    """Every secret of the store, opened."""
    secrets = {}
    async with store.read() as reading:
        for record in await reading.find("endpoint"):
            opened = open_secrets(vault, rotation.place_of(record), record.document)
            secrets[record.name] = opened["Settings"]["Password"]
            fact, plain = await reading.facts("endpoint", record.id)
            opened = open_secrets(vault, rotation.place_of(record, "k"), fact.document)
            secrets[f"{record.name}#k"] = opened["Row"]
            assert plain.document == {"n": 1}
    return secrets


async def keys(store: Store) -> set[str]:
    async with store.read() as reading:
        return {
            key_id
            for record in await reading.find("endpoint")
            for _, key_id in sealed_places("", record.document)
        }


EVERY: Final = {
    name: secret(number)
    for number in range(RECORDS)
    for name in (f"name{number:03}", f"name{number:03}#k")
}


async def test_everything_is_sealed_under_the_newest_key_of_its_name(store: Store) -> None:
    await fill(store)
    async with store.read() as reading:
        plain = await reading.get("replication", "r")
        named = await reading.get("endpoint", "id0")
    done = await rotate(store, AFTER)
    assert (done.secrets, done.unused_keys) == (RECORDS * 2 - RECORDS // 3, (OLD.id,))
    assert await keys(store) == {NEW.id, NAMED.id}
    assert await found(store, Vault([NEW, NAMED])) == EVERY
    async with store.read() as reading:
        assert await reading.get("replication", "r") == plain
        assert await reading.get("endpoint", "id0") == named
    await require_keys(store, Vault([NEW, NAMED]))
    assert await rotate(store, AFTER) == rotation.Rotated(0, (OLD.id,))


async def test_a_rotation_that_was_cut_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after any number of transactions, and begun again, until one gets through."""
    monkeypatch.setattr(rotation, "PAGE", 4)
    async with SqliteStore(tmp_path / "penstock.db") as store:
        await fill(store)
        chance = random.Random(7)
        for attempt in itertools.count(1):
            task = asyncio.create_task(rotate(store, AFTER))
            await asyncio.wait([task], timeout=chance.uniform(0.001, 0.02) * attempt)
            task.cancel()
            await asyncio.wait([task])
            assert await found(store, AFTER) == EVERY
            if not task.cancelled():
                break
        assert attempt > 2
        assert task.result().unused_keys == (OLD.id,)
        assert await found(store, Vault([NEW, NAMED])) == EVERY


async def test_a_missing_key_is_noticed_before_another_is_used(store: Store) -> None:
    assert not await is_sealed(store)
    await fill(store)
    assert await is_sealed(store)
    await require_keys(store, AFTER)
    lost = Vault([NEW, NAMED])
    with pytest.raises(MissingKeyError) as refused:
        await require_keys(store, lost)
    assert refused.value.key_ids == (OLD.id,)
    text = str(refused.value)
    for part in ("endpoint/id0#k/Row, ", "endpoint/id1/Settings/Password", "45 more", "backup"):
        assert part in text
    with pytest.raises(MissingKeyError):
        await rotate(store, lost)
    assert await keys(store) == {OLD.id, NAMED.id}


async def test_a_lost_key_is_forgotten_with_what_it_sealed(store: Store) -> None:
    await fill(store)
    places = await forget(store, OLD.id)
    assert len(places) == RECORDS * 2 - RECORDS // 3
    assert "endpoint/id1/Settings/Password" in places
    await require_keys(store, Vault([NEW, NAMED]))
    async with store.read() as reading:
        one = await reading.get("endpoint", "id1")
        assert one is not None
        assert one.document == {"Port": 1, "Settings": {}}
        kept = await reading.get("endpoint", "id3")
        assert kept is not None
        document = open_secrets(Vault([NEW, NAMED]), "endpoint/id3", kept.document)
        assert document["Settings"]["Password"] == secret(3)


async def test_what_somebody_put_elsewhere_stops_the_rotation_by_name(store: Store) -> None:
    await fill(store)
    async with store.write() as writing:
        one = await writing.get("endpoint", "id1")
        assert one is not None
        await writing.insert(Record("endpoint", "thief", "thief", one.document))
    with pytest.raises(BrokenSealError, match="endpoint/thief/Settings/Password"):
        await rotate(store, AFTER)


async def test_a_daemon_without_the_lease_rotates_nothing(store: Store) -> None:
    await fill(store)
    with pytest.raises(LeaseLostError):
        await rotate(store, AFTER, fence=3)
    assert await keys(store) == {OLD.id, NAMED.id}


async def test_no_secret_is_in_the_files(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path / "penstock.db") as store:
        await fill(store)
        await rotate(store, AFTER)
        for file in tmp_path.iterdir():
            content = file.read_bytes()
            assert b"secret 1" not in content
            for key in (OLD, NEW, NAMED):
                assert key.text().reveal().encode() not in content
