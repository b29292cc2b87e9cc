"""Seals what overflows, so that only this process reads it, and what is kept of refused rows, so
that only who has the key does: AES-256-GCM. (pure)

A module of its own for its library, which the first spool or the first refused row imports: most
processes never have one, and do without 5 MiB and a twentieth of their start.
"""

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

NONCE_BYTES: Final = 12

KEY_BYTES: Final = 32

ID_BYTES: Final = 8


class Seal:
    """Seals and opens texts with a key derived from another for this `number`."""

    def __init__(self, key: bytes, number: int) -> None:
        derivation = HKDF(SHA256(), KEY_BYTES, None, number.to_bytes(8, "big"))
        self._cipher = AESGCM(derivation.derive(key))

    def close(self, place: int, text: bytes) -> bytes:
        """A text sealed for its place; no place may be sealed for twice."""
        return self._cipher.encrypt(_nonce(place), text, None)

    def open(self, place: int, sealed: bytes) -> bytes | None:
        """What was sealed for this place; None when that is not what this is, or not intact."""
        try:
            return self._cipher.decrypt(_nonce(place), sealed, None)
        except InvalidTag:
            return None


def _nonce(place: int) -> bytes:
    return place.to_bytes(NONCE_BYTES, "big")


class LastingSeal:
    """Seals texts that outlive the process, each with what it belongs to; no place need be told
    apart from another. `id` tells the key apart and gives nothing of it away.

    Random nonces (`NONCE_BYTES`) allow 2^32 texts under one key (NIST SP 800-38D, 8.3).
    """

    def __init__(self, key: bytes) -> None:
        self.id = _derived(key, b"id", ID_BYTES).hex()
        self._cipher = AESGCM(_derived(key, b"cipher", KEY_BYTES))

    def close(self, text: bytes, context: bytes, nonce: bytes) -> bytes:
        """Nonce and ciphertext; `nonce` is drawn for this text."""
        return nonce + self._cipher.encrypt(nonce, text, context)

    def open(self, sealed: bytes, context: bytes) -> bytes | None:
        """What was sealed with this context; None when that is not what this is, or not intact."""
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], context)
        except (InvalidTag, ValueError):
            return None


def _derived(key: bytes, use: bytes, length: int) -> bytes:
    """Each use has a key of its own: the id says nothing about the cipher's."""
    return HKDF(SHA256(), length, None, b"penstock quarantine v1 " + use).derive(key)
