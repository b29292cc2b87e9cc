"""Rows kept aside, sealed: the values of a refused row are for whoever has the key, not for
everybody who may read the target's control tables.

What is sealed stands in the place of the plain payload (`model/rejected.py`), as JSON too:

    {"sealed": "v1", "key": "<id of the key>", "data": "<base64 of nonce and ciphertext>"}

so a row that was kept without a key, or by a version before there were any, stays readable. The
replication, the table and the position of the row are authenticated with it (AES-256-GCM).
"""

import base64
import binascii
from collections.abc import Iterable
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import orjson

from engine.config.secret import Secret
from engine.errors import ConfigError, Retry, StateError
from engine.machine import Random
from engine.model.state import RejectedRow

if TYPE_CHECKING:
    from engine.sealing import LastingSeal

VARIABLE: Final = "PENSTOCK_QUARANTINE_KEY"
"""The variable by which a worker is given its key, in base64."""

KEY_BYTES: Final = 32

NONCE_BYTES: Final = 12

VERSION: Final = "v1"


class QuarantineError(StateError):
    """What was kept of a row cannot be read with the keys that are there."""

    retry = Retry.NEVER
    exit_code = 3


def key_bytes(text: Secret) -> bytes:
    """A key as it is written. Raises ConfigError, which tells nothing of it."""
    try:
        material = base64.b64decode(text.reveal(), validate=True)
    except (binascii.Error, ValueError):
        material = b""
    if len(material) != KEY_BYTES:
        raise ConfigError(
            VARIABLE,
            f"must be {KEY_BYTES} bytes in base64",
            hint="name a key file by PENSTOCK_KEY_FILE, and leave this one to Penstock",
        )
    return material


class Sealer:
    """Seals what one replication keeps; without a key everything stays as it is."""

    def __init__(self, replication: str, key: Secret | None, random: Random) -> None:
        self._replication = replication
        self._key = key
        self._random = random

    @cached_property
    def _seal(self) -> "LastingSeal | None":
        """Made with the first row that is refused: few replications ever see one."""
        return None if self._key is None else _seal(key_bytes(self._key))

    def sealed(self, row: RejectedRow) -> RejectedRow:
        """The same row with its values sealed."""
        seal = self._seal
        if seal is None:
            return row
        nonce = self._random.key(NONCE_BYTES)
        data = seal.close(row.payload.encode(), _bound(self._replication, row), nonce)
        text = base64.b64encode(data).decode()
        shown = orjson.dumps({"sealed": VERSION, "key": seal.id, "data": text})
        return replace(row, payload=shown.decode())


class Opener:
    """Reads what one replication kept, under any of its keys."""

    def __init__(self, replication: str, keys: Iterable[bytes]) -> None:
        self._replication = replication
        self._seals = {seal.id: seal for seal in map(_seal, keys)}

    def opened(self, row: RejectedRow) -> dict[str, Any]:
        """What was kept (`model.rejected.payload`), sealed or not.

        Raises:
            QuarantineError: its key is not there, or it is not what was kept of this row.
        """
        document = _document(row)
        if "sealed" not in document:
            return document
        key_id, data = str(document.get("key", "")), _data(document)
        seal = self._seals.get(key_id)
        if seal is None:
            raise QuarantineError(
                f"the values of {_place(row)} are sealed under key {key_id}, which is not here",
                hint="ask the daemon that carries the replication for them; of one that `penstock"
                " run` carries, name its key file by PENSTOCK_KEY_FILE",
            )
        plain = seal.open(data, _bound(self._replication, row)) if data else None
        if plain is None:
            raise QuarantineError(
                f"the values of {_place(row)} were changed since they were kept under key"
                f" {key_id}, or are those of another row",
                hint="somebody has edited penstock.quarantine on the target: restore it, or load"
                " the table again",
            )
        return _parsed(plain, row)


def key_id_of(row: RejectedRow) -> str:
    """The key that a kept row waits for; empty where it stands there in plain."""
    document = _document(row)
    return str(document.get("key", "")) if "sealed" in document else ""


def _seal(material: bytes) -> "LastingSeal":
    from engine.sealing import LastingSeal  # with its library, which few processes come to need

    return LastingSeal(material)


def _bound(replication: str, row: RejectedRow) -> bytes:
    """What a payload belongs to, without two ways to read it."""
    return orjson.dumps([VERSION, replication, row.table.schema, row.table.name, row.position])


def _document(row: RejectedRow) -> dict[str, Any]:
    return _parsed(row.payload.encode(), row)


def _parsed(text: bytes, row: RejectedRow) -> dict[str, Any]:
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict):
        raise QuarantineError(
            f"what was kept of {_place(row)} is not JSON",
            hint="somebody has edited penstock.quarantine on the target: restore it",
        ) from None
    return document


def _data(document: dict[str, Any]) -> bytes:
    """Empty where it is none, or of a form that this version does not know."""
    try:
        known = document["sealed"] == VERSION
        return base64.b64decode(document["data"], validate=True) if known else b""
    except (KeyError, TypeError, ValueError):
        return b""


def _place(row: RejectedRow) -> str:
    return f"the row of {row.table} at {row.position}"
