"""Secrets at rest: AES-256-GCM under keys that the store does not hold.

A sealed text is `v1:<key id>:<base64 of nonce and ciphertext>`. What it belongs to (its context:
kind, id and member) is authenticated with it, so that nobody who can write to the store moves a
password to an endpoint of his own. A key's id is derived from the key: keys need no names, and a
text says which key it waits for.

Random nonces of 96 bits allow 2^32 texts under one key (NIST SP 800-38D, 8.3); rotate long before.
"""

import base64
import binascii
import os
import re
from collections.abc import Iterable, Sequence
from typing import Final, NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from engine.config.secret import MASK, Secret
from engine.errors import Retry, StateError

KEY_BYTES: Final = 32

NONCE_BYTES: Final = 12

ID_BYTES: Final = 8

VERSION: Final = "v1"

_SEALED: Final = re.compile(r"v1:([0-9a-f]{16}):([A-Za-z0-9+/]+={0,2})", re.ASCII)

DEFAULT: Final = ""
"""The name of the key that is used where none is named."""


class VaultError(StateError):
    """A sealed text cannot be opened, or nothing can be sealed under the key that was named."""

    retry = Retry.NEVER
    exit_code = 3


class MissingKeyError(VaultError):
    """The keys with these ids are not there; what was sealed under them cannot be read."""

    def __init__(self, key_ids: Sequence[str], lost: Sequence[str] = ()) -> None:
        some = f", which opens {_listed(lost)}" if lost else ""
        super().__init__(
            f"encryption key {', '.join(key_ids)} is missing{some}",
            hint="give the key file back from its backup; if the key is gone for good, what was"
            " sealed under it (passwords, certificates' keys) is lost: forget the key and set each"
            " of them again. Replications, positions and settings are not affected",
        )
        self.key_ids = tuple(key_ids)


class BrokenSealError(VaultError):
    """The text was changed since it was sealed, or was sealed for another place."""

    def __init__(self, context: str, key_id: str) -> None:
        super().__init__(
            f"what is sealed at {context} under key {key_id} was changed, or sealed for another"
            " place",
            hint="somebody has edited the store: restore its backup, or set this secret again",
        )
        self.place = context


class Key:
    """One key of a name. `id` tells it apart and gives nothing of it away."""

    __slots__ = ("_cipher", "_material", "id", "name")

    def __init__(self, material: bytes, name: str = DEFAULT) -> None:
        if len(material) != KEY_BYTES:
            raise ValueError(f"a key has {KEY_BYTES} bytes, not {len(material)}")
        self._material = material
        self._cipher = AESGCM(_derived(material, b"cipher", KEY_BYTES))
        self.id = _derived(material, b"id", ID_BYTES).hex()
        self.name = name

    @classmethod
    def make(cls, name: str = DEFAULT) -> "Key":
        return cls(os.urandom(KEY_BYTES), name)

    def text(self) -> Secret:
        """As key files hold it: base64 of the key."""
        return Secret(base64.b64encode(self._material).decode())

    def __repr__(self) -> str:
        return f"Key({self.id}, {MASK})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key cannot be serialised")

    def derived(self, use: bytes) -> bytes:
        """A key for another use, which tells nothing of this one."""
        return _derived(self._material, use, KEY_BYTES)

    def encrypt(self, plain: bytes, context: str) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, self._bound(context))

    def decrypt(self, sealed: bytes, context: str) -> bytes:
        """Raises BrokenSealError."""
        nonce, text = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        try:
            return self._cipher.decrypt(nonce, text, self._bound(context))
        except (InvalidTag, ValueError):
            raise BrokenSealError(context, self.id) from None

    def _bound(self, context: str) -> bytes:
        return f"{VERSION}:{self.id}:{context}".encode()


class Vault:
    """Seals under the newest key of a name, opens under any."""

    def __init__(self, keys: Iterable[Key]) -> None:
        """Keys of one name from oldest to newest; the default one is among them."""
        self._keys = {key.id: key for key in keys}
        self._newest = {key.name: key for key in self._keys.values()}
        if DEFAULT not in self._newest:
            raise ValueError("a vault has a default key")

    def __repr__(self) -> str:
        return f"Vault({', '.join(self._keys)})"

    @property
    def key_ids(self) -> tuple[str, ...]:
        return tuple(self._keys)

    @property
    def newest_ids(self) -> tuple[str, ...]:
        """The keys that something may be sealed under from now on: one for each name."""
        return tuple(key.id for key in self._newest.values())

    @property
    def names(self) -> tuple[str, ...]:
        """What `key` may name beside the default."""
        return tuple(sorted(name for name in self._newest if name))

    def derived(self, use: bytes) -> bytes:
        """A key for another use, the same as long as the newest default key is."""
        return self._newest[DEFAULT].derived(use)

    def every_derived(self, use: bytes) -> list[bytes]:
        """One for each of its keys, older ones too."""
        return [key.derived(use) for key in self._keys.values()]

    def newest_id(self, name: str) -> str:
        """The key that something is sealed under by this name from now on. Raises KeyError."""
        return self._newest[name].id

    def seal(self, plain: str | bytes, context: str, *, key: str = DEFAULT) -> str:
        """A text that `open` accepts with the same context only. Raises VaultError when there is no
        key of that name."""
        newest = self._newest.get(key)
        if newest is None:
            raise VaultError(
                f"there is no encryption key named {key}",
                hint=f"put it into the folder of keys, as {key}.key, or name one of:"
                f" {', '.join(self.names) or 'none is there'}",
            )
        return self._seal(newest, plain, context)

    def open(self, sealed: str, context: str) -> bytes:
        """What was sealed. Raises MissingKeyError, BrokenSealError."""
        key_id, text = _parts(sealed, context)
        key = self._keys.get(key_id)
        if key is None:
            raise MissingKeyError([key_id], [context])
        return key.decrypt(text, context)

    def open_secret(self, sealed: str, context: str) -> Secret:
        """A text that was sealed. Raises MissingKeyError, BrokenSealError."""
        return Secret(self.open(sealed, context).decode())

    def is_newest(self, sealed: str, context: str) -> bool:
        """Whether a rotation leaves it as it is."""
        return _parts(sealed, context)[0] in self.newest_ids

    def seal_again(self, sealed: str, context: str) -> str:
        """The same under the newest key of the same name; as it is when that is its key."""
        if self.is_newest(sealed, context):
            return sealed
        plain = self.open(sealed, context)
        name = self._keys[key_id_of(sealed, context)].name
        return self._seal(self._newest[name], plain, context)

    def _seal(self, key: Key, plain: str | bytes, context: str) -> str:
        data = plain.encode() if isinstance(plain, str) else plain
        text = base64.b64encode(key.encrypt(data, context)).decode()
        return f"{VERSION}:{key.id}:{text}"


def key_id_of(sealed: str, context: str) -> str:
    """The key a text waits for. Raises BrokenSealError for what is no sealed text."""
    return _parts(sealed, context)[0]


def _parts(sealed: str, context: str) -> tuple[str, bytes]:
    matched = _SEALED.fullmatch(sealed)
    if matched is None:
        raise BrokenSealError(context, "unknown")
    key_id, text = matched.groups()
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise BrokenSealError(context, key_id) from None
    if base64.b64encode(data).decode() != text:  # bits behind the last byte
        raise BrokenSealError(context, key_id)
    return key_id, data


def _derived(material: bytes, use: bytes, length: int) -> bytes:
    """Each use has a key of its own: the id says nothing about the cipher's."""
    return HKDF(SHA256(), length, None, b"penstock vault v1 " + use).derive(material)


LISTED_MAX: Final = 5


def _listed(places: Sequence[str]) -> str:
    more = f" and {len(places) - LISTED_MAX:,} more" if len(places) > LISTED_MAX else ""
    return ", ".join(places[:LISTED_MAX]) + more
