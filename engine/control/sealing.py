"""Secrets in documents: `Secret` in memory, `{"$sealed": text}` in the store.

    document = {"ServerName": "db", "Password": Secret("...")}
    stored = seal_secrets(vault, "endpoint/AB12", document)
    secrets = open_secrets(vault, "endpoint/AB12", stored)

The context of each is the place of the document and the names on the way to it, so a secret stays
where it was put. A list has no names: a secret in one is a mistake.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from engine.config.secret import Secret
from engine.control.vault import DEFAULT, Vault, key_id_of

SEALED: Final = "$sealed"
"""The one key of an object that stands for a secret; AWS has no member of that name."""

Change: TypeAlias = Callable[[Any, str], Any]
"""A leaf and its context to what takes its place."""


def seal_secrets(
    vault: Vault, place: str, document: Mapping[str, Any], *, key: str = DEFAULT
) -> dict[str, Any]:
    """A copy in which every Secret is sealed; what is sealed already stays.

    Raises VaultError when there is no key of that name.
    """

    def seal(leaf: Any, context: str) -> Any:
        if isinstance(leaf, Secret):
            return {SEALED: vault.seal(leaf.reveal(), context, key=key)}
        return leaf

    return _changed(document, place, seal)


def open_secrets(vault: Vault, place: str, document: Mapping[str, Any]) -> dict[str, Any]:
    """A copy in which every sealed one is a Secret. Raises MissingKeyError, BrokenSealError."""

    def opened(leaf: Any, context: str) -> Any:
        if is_sealed(leaf):
            return vault.open_secret(leaf[SEALED], context)
        return leaf

    return _changed(document, place, opened)


def seal_again(vault: Vault, place: str, document: Mapping[str, Any]) -> dict[str, Any]:
    """A copy in which everything is sealed under the newest keys.

    Raises MissingKeyError, BrokenSealError.
    """

    def again(leaf: Any, context: str) -> Any:
        if is_sealed(leaf):
            return {SEALED: vault.seal_again(leaf[SEALED], context)}
        return leaf

    return _changed(document, place, again)


def without(key_id: str, place: str, document: Mapping[str, Any]) -> dict[str, Any]:
    """A copy without what was sealed under a key that is gone."""

    def gone(leaf: Any, context: str) -> bool:
        return is_sealed(leaf) and key_id_of(leaf[SEALED], context) == key_id

    def kept(document: Mapping[str, Any], place: str) -> dict[str, Any]:
        return {
            name: kept(value, f"{place}/{name}")
            if isinstance(value, Mapping) and not is_sealed(value)
            else value
            for name, value in document.items()
            if not gone(value, f"{place}/{name}")
        }

    return kept(document, place)


def sealed_places(place: str, document: Any) -> Iterator[tuple[str, str]]:
    """The context of every sealed one and the id of its key."""
    if is_sealed(document):
        yield place, key_id_of(document[SEALED], place)
    elif isinstance(document, Mapping):
        for name, value in document.items():
            yield from sealed_places(f"{place}/{name}", value)


def is_sealed(value: Any) -> bool:
    return isinstance(value, Mapping) and value.keys() == {SEALED}


def _changed(document: Mapping[str, Any], place: str, change: Change) -> dict[str, Any]:
    return {
        name: _changed_value(value, f"{place}/{name}", change) for name, value in document.items()
    }


def _changed_value(value: Any, context: str, change: Change) -> Any:
    if isinstance(value, Mapping) and not is_sealed(value):
        return _changed(value, context, change)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        if _holds_secret(value):
            raise ValueError(f"a secret in a list, at {context}, has no name to be sealed for")
        return value
    return change(value, context)


def _holds_secret(value: Any) -> bool:
    if isinstance(value, Mapping):
        return is_sealed(value) or any(map(_holds_secret, value.values()))
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return any(map(_holds_secret, value))
    return isinstance(value, Secret)
