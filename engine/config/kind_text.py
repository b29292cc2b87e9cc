"""Kinds of text and lists of it. (pure)"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Generic, TypeVar

from engine.config.kind import MistypedError
from engine.config.problems import nearest
from engine.config.secret import Secret

T = TypeVar("T")
W = TypeVar("W", bound=StrEnum)

TEXT_CHARACTERS_MAX: Final = 4096
"""Longest text value; a path or URL of Linux is shorter."""

LIST_ITEMS_MAX: Final = 10_000
"""Most items of a list; a mapping of more patterns than a catalog has tables is a mistake."""


@dataclass(frozen=True, slots=True)
class Text:
    """Text; `pattern` is matched whole, `expected` says it in words."""

    expected: str = "text"
    pattern: re.Pattern[str] | None = None
    empty: bool = False

    def read(self, value: object) -> str:
        if not isinstance(value, str):
            raise MistypedError(f"expected {self.expected}")
        self.check(value)
        return value

    def check(self, value: str) -> None:
        if len(value) > TEXT_CHARACTERS_MAX:
            raise ValueError(f"must be at most {TEXT_CHARACTERS_MAX} characters")
        if "\0" in value or (not value.isascii() and not _encodable(value)):
            raise ValueError("must be valid Unicode text without NUL")
        if not value:
            if not self.empty:
                raise ValueError("must not be empty")
        elif self.pattern is not None and self.pattern.fullmatch(value) is None:
            raise ValueError(f"must be {self.expected}")

    def show(self, value: str) -> str:
        return f'"{value}"'


def _encodable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Choice(Generic[W]):
    """One of a fixed set of words. `refused` maps words that are understood but not accepted to
    the sentence that says why."""

    words: type[W]
    refused: tuple[tuple[str, str], ...] = ()

    @property
    def expected(self) -> str:
        return "one of " + ", ".join(f'"{word}"' for word in self.words)

    def read(self, value: object) -> W:
        if not isinstance(value, str):
            raise MistypedError(f"expected {self.expected}")
        for word, reason in self.refused:
            if value == word:
                raise ValueError(f'"{word}" {reason}')
        try:
            return self.words(value)
        except ValueError:
            raise ValueError(self._constraint(value)) from None

    def _constraint(self, value: str) -> str:
        suggestion = nearest(value, [str(word) for word in self.words])
        return f"must be {self.expected}" + (
            f'; did you mean "{suggestion}"?' if suggestion else ""
        )

    def check(self, value: W) -> None:
        self.read(value)

    def show(self, value: W) -> str:
        return f'"{value}"'


@dataclass(frozen=True, slots=True)
class Word:
    """One of a fixed set of words, kept as text: for AWS's settings."""

    allowed: tuple[str, ...]

    @property
    def expected(self) -> str:
        return "one of " + ", ".join(f'"{word}"' for word in self.allowed)

    def read(self, value: object) -> str:
        if not isinstance(value, str):
            raise MistypedError(f"expected {self.expected}")
        self.check(value)
        return value

    def check(self, value: str) -> None:
        if value not in self.allowed:
            suggestion = nearest(value, self.allowed)
            also = f'; did you mean "{suggestion}"?' if suggestion else ""
            raise ValueError(f"must be {self.expected}{also}")

    def show(self, value: str) -> str:
        return f'"{value}"'


@dataclass(frozen=True, slots=True)
class Password:
    """A secret text."""

    expected: str = "text"

    def read(self, value: object) -> Secret:
        if not isinstance(value, str):
            raise MistypedError(f"expected {self.expected}")
        Text().check(value)
        return Secret(value)

    def check(self, value: Secret | None) -> None:
        if value is not None:
            Text().check(value.reveal())

    def show(self, value: Secret | None) -> str:
        return '""'


@dataclass(frozen=True, slots=True)
class ListOf(Generic[T]):
    """A list, each item read by `item`."""

    item: Callable[[object], T]
    what: str

    @property
    def expected(self) -> str:
        return f"a list of {self.what}"

    def read(self, value: object) -> tuple[T, ...]:
        if not isinstance(value, list):
            raise MistypedError(f"expected {self.expected}")
        if len(value) > LIST_ITEMS_MAX:
            raise ValueError(f"must have at most {LIST_ITEMS_MAX:,} items")
        return tuple(self._item(number, entry) for number, entry in enumerate(value, 1))

    def _item(self, number: int, entry: object) -> T:
        try:
            return self.item(entry)
        except ValueError as error:
            raise ValueError(f"item {number}: {error}") from None

    def check(self, value: Sequence[T]) -> None:
        if len(value) > LIST_ITEMS_MAX:
            raise ValueError(f"must have at most {LIST_ITEMS_MAX:,} items")

    def show(self, value: Sequence[T]) -> str:
        return "[" + ", ".join(f'"{item}"' for item in value) + "]"
