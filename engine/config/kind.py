"""What a value in a configuration file may be: how it is read, checked, shown. (pure)

A kind never repeats the value in a message: it may be a secret in the wrong place.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Generic, Protocol, TypeVar

from engine.config.problems import nearest
from engine.config.quantity import (
    DURATION_EXPECTED,
    SIZE_EXPECTED,
    format_duration,
    format_size,
    parse_duration,
    parse_size,
)
from engine.config.secret import Secret

T = TypeVar("T")
W = TypeVar("W", bound=StrEnum)

TEXT_CHARACTERS_MAX: Final = 4096
"""Longest text value; a path or URL of Linux is shorter."""

LIST_ITEMS_MAX: Final = 10_000
"""Most items of a list; a mapping of more patterns than a catalog has tables is a mistake."""

INT_MAX: Final = 2**53
"""Largest whole number: beyond it JSON readers disagree."""


class MistypedError(ValueError):
    """The value has another type than expected."""


class Kind(Protocol[T]):
    """Reads one value. `expected` completes the sentence "expected ..."."""

    @property
    def expected(self) -> str: ...

    def read(self, value: object) -> T:
        """Turn what the file holds into the value.

        Raises:
            ValueError: the constraint that does not hold.
        """
        ...

    def check(self, value: T) -> None:
        """Check a value that did not come through `read`. Raises ValueError."""
        ...

    def show(self, value: T) -> str:
        """The value as a file would hold it, for the reference."""
        ...


@dataclass(frozen=True, slots=True)
class Flag:
    expected: str = "true or false"

    def read(self, value: object) -> bool:
        if not isinstance(value, bool):
            raise MistypedError(f"expected {self.expected}")
        return value

    def check(self, value: bool) -> None:
        self.read(value)

    def show(self, value: bool) -> str:
        return "true" if value else "false"


@dataclass(frozen=True, slots=True)
class Integer:
    minimum: int = 0
    maximum: int = INT_MAX

    @property
    def expected(self) -> str:
        return f"a whole number from {self.minimum:,} to {self.maximum:,}"

    def read(self, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise MistypedError(f"expected {self.expected}")
        self.check(value)
        return value

    def check(self, value: int) -> None:
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"must be {self.expected}")

    def show(self, value: int) -> str:
        return str(value)


@dataclass(frozen=True, slots=True)
class OneOf:
    """A whole number out of a short list."""

    allowed: tuple[int, ...]

    @property
    def expected(self) -> str:
        return f"one of {', '.join(map(str, self.allowed))}"

    def read(self, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise MistypedError(f"expected {self.expected}")
        self.check(value)
        return value

    def check(self, value: int) -> None:
        if value not in self.allowed:
            raise ValueError(f"must be {self.expected}")

    def show(self, value: int) -> str:
        return str(value)


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
class Size:
    """Bytes."""

    minimum: int = 0
    maximum: int = 1 << 50
    expected: str = SIZE_EXPECTED

    def read(self, value: object) -> int:
        size = parse_size(value)
        self.check(size)
        return size

    def check(self, value: int) -> None:
        if not self.minimum <= value <= self.maximum:
            raise ValueError(
                f"must be from {format_size(self.minimum)} to {format_size(self.maximum)}"
            )

    def show(self, value: int) -> str:
        return f'"{format_size(value)}"' if value else "0"


@dataclass(frozen=True, slots=True)
class Duration:
    """Seconds. With `or_zero`, 0 is allowed below the minimum and means "off"."""

    minimum: float = 0.0
    maximum: float = 30 * 86400.0
    or_zero: bool = False
    expected: str = DURATION_EXPECTED

    def read(self, value: object) -> float:
        seconds = parse_duration(value)
        self.check(seconds)
        return seconds

    def check(self, value: float) -> None:
        if self.or_zero and value == 0:
            return
        if math.isnan(value) or not self.minimum <= value <= self.maximum:
            low, high = format_duration(self.minimum), format_duration(self.maximum)
            raise ValueError(f"must be {'0 or ' if self.or_zero else ''}from {low} to {high}")

    def show(self, value: float) -> str:
        return f'"{format_duration(value)}"'


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
