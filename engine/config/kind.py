"""What a value in a configuration file may be: how it is read, checked, shown. (pure)

A kind never repeats the value in a message: it may be a secret in the wrong place.
"""

import math
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from engine.config.quantity import (
    DURATION_EXPECTED,
    SIZE_EXPECTED,
    format_duration,
    format_size,
    parse_duration,
    parse_size,
)

T = TypeVar("T")

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
class Ratio:
    """A part of a whole; 1 is all of it."""

    minimum: float = 0.0
    maximum: float = 1.0

    @property
    def expected(self) -> str:
        return f"a number from {self.minimum:g} to {self.maximum:g}"

    def read(self, value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise MistypedError(f"expected {self.expected}")
        self.check(value)
        return float(value)

    def check(self, value: float) -> None:
        if math.isnan(value) or not self.minimum <= value <= self.maximum:
            raise ValueError(f"must be {self.expected}")

    def show(self, value: float) -> str:
        return f"{value:g}"
