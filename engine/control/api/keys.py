"""Who may call, and what: access keys for signed requests, bearer tokens for our own routes. (pure)

Secrets are held in memory and nowhere else; nothing here shows one. A read-only key may call what
changes nothing, an admin's everything.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from engine.errors import ConfigError

SECRET_CHARACTERS_MIN: Final = 16
"""Shortest secret, in characters. Whoever listens to one signed request can try secrets on it as
fast as hardware hashes; a word falls in seconds."""

KEY_ID: Final = re.compile(r"[A-Za-z0-9_.-]{3,128}")
"""An access key's id: AWS's characters and lengths, and those people use for names."""


class Access(StrEnum):
    """What a call does."""

    READ = "read"
    ADMIN = "admin"


class Role(StrEnum):
    """What a key may do."""

    READ_ONLY = "read-only"
    ADMIN = "admin"

    def allows(self, access: Access) -> bool:
        """Whether a call of this kind is the role's to make."""
        return self is Role.ADMIN or access is Access.READ


@dataclass(frozen=True, slots=True)
class Identity:
    """Who makes a call, by the name of the key, and as what."""

    name: str
    role: Role


@dataclass(frozen=True, slots=True)
class Key:
    """An access key, or a bearer token under a name."""

    id: str
    secret: str = field(repr=False)
    role: Role = Role.ADMIN


class Keyring:
    """The keys of a daemon. Raises ConfigError, by the place in its two lists, for one that could
    not be used or should not be."""

    def __init__(self, keys: Iterable[Key], tokens: Iterable[Key] = ()) -> None:
        self._keys = _by_id("access_keys", keys)
        self._tokens = _by_id("tokens", tokens)

    def secret(self, key_id: str) -> str | None:
        """What an access key signs with; None for a key that is not known."""
        key = self._keys.get(key_id)
        return None if key is None else key.secret

    def identity(self, key_id: str) -> Identity:
        """Who an access key is that has been verified."""
        return Identity(key_id, self._keys[key_id].role)

    def bearer(self, authorization: str) -> Identity | None:
        """Who an `Authorization: Bearer ...` header is; None for nobody. Takes as long for any."""
        scheme, _, token = authorization.partition(" ")
        sent = hashlib.sha256(token.strip().encode()).digest()
        found = None
        for key in self._tokens.values():
            if hmac.compare_digest(sent, hashlib.sha256(key.secret.encode()).digest()):
                found = Identity(key.id, key.role)
        return found if scheme.lower() == "bearer" else None


def _by_id(where: str, keys: Iterable[Key]) -> dict[str, Key]:
    found: dict[str, Key] = {}
    for number, key in enumerate(keys):
        place = f"{where}[{number}]"
        if KEY_ID.fullmatch(key.id) is None:
            raise ConfigError(
                f"{place}.id", "must have 3 to 128 of the characters A-Z a-z 0-9 _ . -"
            )
        if key.id in found:
            raise ConfigError(f"{place}.id", "is another key's already")
        if len(key.secret) < SECRET_CHARACTERS_MIN:
            raise ConfigError(
                f"{place}.secret",
                f"must have at least {SECRET_CHARACTERS_MIN} characters",
                hint="make one with: openssl rand -base64 30",
            )
        found[key.id] = key
    return found
