"""Our own routes about endpoints. What they answer: `native`."""

import hmac
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import msgspec

from engine.config.secret import Secret
from engine.control.api import telling
from engine.control.api.call import Services
from engine.control.api.endpoint_users import check_at_rest, users
from engine.control.api.faults import (
    InvalidParameterValueException,
    ResourceNotFoundFault,
)
from engine.control.api.native_request import Asked, Document, refused
from engine.control.endpoint_side import role_of
from engine.control.resources.document import decode, encode
from engine.control.resources.endpoint import KIND, Endpoint, members_place
from engine.control.sealing import open_secrets
from engine.control.store.contract import Reading
from engine.control.store.records import Record
from engine.control.translate.names import engine_of
from engine.control.translate.ours import check_endpoint

SECRETS_MAX: Final = 16
"""Secrets compared at once; an endpoint has three."""


class Endpoints:
    """What was given for them, and what of theirs AWS does not know."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def one(self, asked: Asked) -> Document:
        """What was given for one, and who uses it."""
        async with self._services.store.read() as reading:
            record = await _found(reading, asked.name)
            using = await users(reading, record.id)
        kept = decode(Endpoint, record.document)
        return telling.endpoint(record.id, kept, self._services.home, using)

    async def put_ours(self, asked: Asked) -> Document:
        """Keys of its table that AWS does not know, in the place of what was there."""
        ours = asked.member("ours")
        async with self._services.store.write() as writing:
            record = await _found(writing, asked.name)
            kept = decode(Endpoint, record.document)
            with refused():
                engine = engine_of(kept.members.get("EngineName"))
                check_endpoint(ours, role_of(kept), engine.ours)
            if kept.ours != ours:
                check_at_rest(asked.name, await users(writing, record.id))
                changed = msgspec.structs.replace(kept, ours=ours)
                await writing.update(replace(record, document=encode(changed)))
        return {"ours": ours}

    async def compare(self, asked: Asked) -> Document:
        """Which of some secrets it has."""
        secrets = asked.member("secrets")
        if len(secrets) > SECRETS_MAX or not all(isinstance(s, str) for s in secrets.values()):
            raise InvalidParameterValueException(
                f"The parameter secrets must hold at most {SECRETS_MAX} texts."
            )
        async with self._services.store.read() as reading:
            record = await _found(reading, asked.name)
        kept = decode(Endpoint, record.document)
        members = open_secrets(self._services.vault, members_place(record.id), kept.members)
        return {"same": [place for place, text in secrets.items() if _same(members, place, text)]}


def _same(members: Mapping[str, Any], place: str, text: str) -> bool:
    value: Any = members
    for name in place.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    held = value.reveal() if isinstance(value, Secret) else None
    return held is not None and hmac.compare_digest(held.encode(), text.encode())


async def _found(reading: Reading, name: str) -> Record:
    """The record of an endpoint by its identifier, or by the end of its ARN."""
    record = await reading.named(KIND, name.lower()) if name else None
    record = record or (await reading.get(KIND, name) if name else None)
    if record is None:
        raise ResourceNotFoundFault(f"Endpoint {name} not found.")
    return record
