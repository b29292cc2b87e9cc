"""Records as JSON documents and back. (pure)

A member that a document lacks has its default, so that older documents are read by newer versions;
a member that it has too many is an error, as a newer version wrote it.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from engine.errors import StateError


class Stored(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of what is stored."""


T = TypeVar("T", bound=Stored)


def encode(value: Stored) -> dict[str, Any]:
    """As JSON's own types only."""
    document: dict[str, Any] = msgspec.to_builtins(value)
    return document


def decode(kind: type[T], document: Mapping[str, Any]) -> T:
    """Raises StateError, naming the place, where it is not what `encode` makes of a `kind`."""
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        raise StateError(
            f"the store's document of a {kind.__name__} is not one of this version: {error}",
            hint="a newer version of Penstock wrote it, or the store is damaged: start that"
            " version, or restore the store from its backup",
        ) from None
