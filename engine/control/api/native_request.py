"""A request to one of our own routes, and what they have in common in reading it. (pure)"""

import contextlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import orjson

from engine.config.document import DEPTH_MAX
from engine.control.api.faults import InvalidParameterValueException, SerializationException
from engine.errors import ConfigError

Document: TypeAlias = Mapping[str, object]

NUL: Final = "The request contains the character U+0000."


@dataclass(frozen=True, slots=True)
class Asked:
    """One request. `name` is what its path names, decoded."""

    name: str
    query: Mapping[str, str]
    body: bytes

    def check(self) -> None:
        """Raises InvalidParameterValueException for text that no store takes."""
        if _has_nul([self.name, *self.query.values()]):
            raise InvalidParameterValueException(NUL)

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
        if _has_nul(value):
            raise InvalidParameterValueException(NUL)
        return value

    def number(self, name: str, usual: int, most: int) -> int:
        """A whole number of the query, from 0 to `most`. Raises InvalidParameterValueException."""
        text = self.query.get(name, str(usual))
        if not (text.isascii() and text.isdecimal() and len(text) <= 19 and int(text) <= most):
            raise InvalidParameterValueException(
                f"The parameter {name} must be a whole number from 0 to {most}."
            )
        return int(text)


def _has_nul(value: object, depth: int = 0) -> bool:
    """Raises SerializationException for what is nested too deep to be looked through."""
    if depth > DEPTH_MAX:
        raise SerializationException(f"the body is nested deeper than {DEPTH_MAX} levels")
    if isinstance(value, Mapping):
        return _has_nul([*value, *value.values()], depth)
    if isinstance(value, list):
        return any(_has_nul(each, depth + 1) for each in value)
    return isinstance(value, str) and "\0" in value


Run: TypeAlias = Callable[[Asked], Awaitable[Document]]


@contextlib.contextmanager
def refused() -> Iterator[None]:
    """What is wrong with a document becomes a fault."""
    try:
        yield
    except ConfigError as error:
        problems = "; ".join(str(problem) for problem in error.problems)
        raise InvalidParameterValueException(problems) from None
