"""Who calls, and what they may: access keys of signed requests, tokens of our own routes. (pure)

Secrets are held in memory, as `engine.config.serve` read them, and are compared, never shown. A
read-only key may call what changes nothing, an admin's everything.
"""

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from engine.config.serve import AccessKey, Role, Token


class Access(StrEnum):
    """What a call does."""

    READ = "read"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who makes a call: the name of the key, which the audit log shows, and its role."""

    name: str
    role: Role

    def may(self, access: Access) -> bool:
        """Whether a call of this kind is theirs to make."""
        return self.role is Role.ADMIN or access is Access.READ


ANYBODY: Final = Identity("anybody", Role.ADMIN)
"""Whoever calls a daemon that has no keys, which listens on loopback only."""


class Keyring:
    """The keys of a daemon."""

    def __init__(self, keys: Iterable[AccessKey], tokens: Iterable[Token] = ()) -> None:
        self._keys = {key.id: key for key in keys}
        self._tokens = tuple(tokens)

    @property
    def open(self) -> bool:
        """Whether there are no access keys, so that signatures are not looked at."""
        return not self._keys

    def secret(self, key_id: str) -> str | None:
        """What an access key signs with; None for a key that is not known."""
        key = self._keys.get(key_id)
        return None if key is None else key.secret.reveal()

    def identity(self, key_id: str) -> Identity:
        """Who the access key is of that a signature was verified with."""
        key = self._keys[key_id]
        return Identity(key.name, key.role)

    def bearer(self, authorization: str) -> Identity | None:
        """Who an `Authorization: Bearer ...` header is of; None for nobody. Every token is compared
        whole, so that the time it takes tells nothing of them."""
        scheme, _, sent = authorization.partition(" ")
        found = None
        for token in self._tokens:
            if hmac.compare_digest(_digest(sent.strip()), _digest(token.value.reveal())):
                found = Identity(token.name, token.role)
        return found if scheme.lower() == "bearer" else None


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
