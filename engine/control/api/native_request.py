"""A request to one of our own routes, and what they have in common in reading it. (pure)"""

import contextlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import orjson

from engine.control.api.faults import InvalidParameterValueException, SerializationException
from engine.errors import ConfigError

Document: TypeAlias = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Asked:
    """One request. `name` is what its path names, decoded."""

    name: str
    query: Mapping[str, str]
    body: bytes

    def member(self, name: str) -> dict[str, Any]:
        """An object in the body's JSON. Raises SerializationException."""
        try:
            document = orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            # Its text may quote the body, and with it a secret.
            raise SerializationException(
                f"the body is not valid JSON: line {error.lineno}, column {error.colno}"
            ) from None
        value = document.get(name) if isinstance(document, dict) else None
        if not isinstance(value, dict):
            raise SerializationException(f'the body must be an object with "{name}", an object')
        return value

    def number(self, name: str, usual: int, most: int) -> int:
        """A whole number of the query, from 0 to `most`. Raises InvalidParameterValueException."""
        text = self.query.get(name, str(usual))
        if not (text.isascii() and text.isdecimal() and len(text) <= 6 and int(text) <= most):
            raise InvalidParameterValueException(
                f"The parameter {name} must be a whole number from 0 to {most}."
            )
        return int(text)


Run: TypeAlias = Callable[[Asked], Awaitable[Document]]


@contextlib.contextmanager
def refused() -> Iterator[None]:
    """What is wrong with a document becomes a fault."""
    try:
        yield
    except ConfigError as error:
        problems = "; ".join(str(problem) for problem in error.problems)
        raise InvalidParameterValueException(problems) from None
