"""Keys of the rows that replications keep aside: each has its own, in the store, sealed by the
vault, so that a worker has none that opens anything else.

Rows stand in targets, which no rotation reaches: a key stays as long as its replication does, and a
rotation seals it under the newest key of the vault. The first start after that begins with a new
one, so that whoever had the older key reads nothing that is kept from then on.

`penstock run` has no store: its key is derived from the key file it is given (`given`).
"""

import base64
from collections.abc import Iterable, Mapping
from typing import Final

from engine.config.key_variables import KEY
from engine.config.secret import Secret
from engine.control.key_source import given_keys
from engine.control.resources.replication import KIND
from engine.control.rotation import place_of
from engine.control.sealing import open_secrets, seal_secrets
from engine.control.store.contract import Reading, Store, Writing
from engine.control.store.errors import GoneError
from engine.control.store.records import Fact, Record
from engine.control.vault import DEFAULT, Key, Vault
from engine.machine import Random
from engine.quarantine import KEY_BYTES, VARIABLE

PREFIX: Final = "quarantine-key/"
"""Beginning of the facts beside a replication, one a key, by number."""

USE: Final = b"quarantine"

SECRET: Final = "key"

UNDER: Final = "under"
"""The vault's key that was the newest when this one was made."""


async def current(store: Store, vault: Vault, random: Random, id: str, named: str = "") -> Secret:
    """The key that the replication with this record id seals under from now on, made if need be.
    `named`: what its `KmsKeyId` says; of a key that is not here it is kept under the default one.

    Raises VaultError; GoneError when there is no such replication.
    """
    name = named if named in vault.names else DEFAULT
    async with store.read() as reading:
        found = await _newest(reading, vault, id, name)
    if found is not None:
        return found
    async with store.write() as writing:
        found = await _newest(writing, vault, id, name)
        return found or await _made(writing, vault, random, id, name)


async def every(reading: Reading, vault: Vault, id: str) -> list[bytes]:
    """All keys that a replication's rows may be sealed under, those of `penstock run` with a key of
    this vault's too. Raises VaultError."""
    record = await _record(reading, id)
    facts = await reading.facts(KIND, id, prefix=PREFIX)
    secrets = [_opened(vault, record, fact) for fact in facts]
    own = [base64.b64decode(secret.reveal()) for secret in secrets if secret is not None]
    return [*own, *vault.every_derived(USE)]


def given(environment: Mapping[str, str]) -> list[bytes]:
    """Keys of a replication that `penstock run` carries, oldest first; none where the environment
    names no key file. Raises VaultError."""
    return derived(given_keys(environment))


def derived(keys: Iterable[Key]) -> list[bytes]:
    """A key for this use alone from each."""
    return [key.derived(USE) for key in keys]


def worker_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of a worker of `penstock run`: with the key for this use in the place of the
    one that it is derived from. Raises VaultError."""
    keys = given(environment)
    passed = {name: value for name, value in environment.items() if name not in (KEY, VARIABLE)}
    return passed | ({VARIABLE: base64.b64encode(keys[-1]).decode()} if keys else {})


async def _newest(reading: Reading, vault: Vault, id: str, name: str) -> Secret | None:
    """None where there is none, or it was made under a key of before."""
    facts = await reading.facts(KIND, id, prefix=PREFIX)
    if not facts or facts[-1].document.get(UNDER) != vault.newest_id(name):
        return None
    return _opened(vault, await _record(reading, id), facts[-1])


async def _made(writing: Writing, vault: Vault, random: Random, id: str, name: str) -> Secret:
    facts = await writing.facts(KIND, id, prefix=PREFIX)
    number = int(facts[-1].key.removeprefix(PREFIX)) + 1 if facts else 1
    fact = f"{PREFIX}{number:09d}"
    secret = Secret(base64.b64encode(random.key(KEY_BYTES)).decode())
    document = {SECRET: secret, UNDER: vault.newest_id(name)}
    place = place_of(await _record(writing, id), fact)
    sealed = seal_secrets(vault, place, document, key=name)
    await writing.put_facts(KIND, id, {fact: sealed})
    return secret


def _opened(vault: Vault, record: Record, fact: Fact) -> Secret | None:
    """None where it was lost with a key of the vault's (`rotation.forget`)."""
    found = open_secrets(vault, place_of(record, fact.key), fact.document).get(SECRET)
    return found if isinstance(found, Secret) else None


async def _record(reading: Reading, id: str) -> Record:
    record = await reading.get(KIND, id)
    if record is None:
        raise GoneError(KIND, id)
    return record
