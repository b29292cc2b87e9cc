"""Seals what goes to disk, so that only this process reads it: AES-256-GCM. (pure)

A module of its own for its library, which the first spool imports: most processes never make one,
and do without 5 MiB and a twentieth of their start.
"""

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

NONCE_BYTES: Final = 12

KEY_BYTES: Final = 32


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
