"""Name patterns of AWS DMS selection rules. (pure)

`%` is any run of characters, `_` one character, `[ab]` and `[a-d]` one out of a set, so `[_]` and
`[%]` are literal. Names are compared with their letter case. Matching never backtracks more than
one `%`, so no pattern is slow.
"""

from dataclasses import dataclass, field
from typing import Final, TypeAlias

PATTERN_CHARACTERS_MAX: Final = 255
"""Longest pattern; AWS's own limit is of that order, a PostgreSQL name has at most 63 bytes."""

_ANY_RUN: Final = None
_ANY_ONE: Final[tuple[tuple[str, str], ...]] = (("\0", "\U0010ffff"),)

_Ranges: TypeAlias = tuple[tuple[str, str], ...]
"""The characters one place accepts, as inclusive ranges."""


@dataclass(frozen=True, slots=True)
class NamePattern:
    """A pattern in AWS syntax; equal by its text.

    Raises (on construction):
        ValueError: a set that is empty, open or reversed; an empty or overlong pattern.
    """

    text: str
    _places: tuple[_Ranges | None, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 1 <= len(self.text) <= PATTERN_CHARACTERS_MAX:
            raise ValueError(f"must have 1 to {PATTERN_CHARACTERS_MAX} characters")
        object.__setattr__(self, "_places", _compile(self.text))

    @property
    def is_exact(self) -> bool:
        """Whether it matches one name only."""
        return all(p is not None and len(p) == 1 and p[0][0] == p[0][1] for p in self._places)

    def matches(self, name: str) -> bool:
        """Match the whole name."""
        places, at, place, star, resume = self._places, 0, 0, -1, 0
        while at < len(name):
            ranges = places[place] if place < len(places) else ()
            if ranges is _ANY_RUN:
                star, resume = place, at
                place += 1
            elif _accepts(ranges, name[at]):
                at, place = at + 1, place + 1
            elif star >= 0:
                resume += 1
                at, place = resume, star + 1
            else:
                return False
        return all(ranges is _ANY_RUN for ranges in places[place:])

    def __str__(self) -> str:
        return self.text


def _accepts(ranges: _Ranges, character: str) -> bool:
    return any(low <= character <= high for low, high in ranges)


def _compile(text: str) -> tuple[_Ranges | None, ...]:
    places: list[_Ranges | None] = []
    at = 0
    while at < len(text):
        character = text[at]
        if character == "[":
            close = text.find("]", at + 1)
            if close < 0:
                raise ValueError("has a [ without ]; a literal [ is [[]")
            places.append(_set(text[at + 1 : close]))
            at = close
        elif character == "%":
            places.append(_ANY_RUN)
        else:
            places.append(_ANY_ONE if character == "_" else ((character, character),))
        at += 1
    return tuple(places)


def _set(text: str) -> _Ranges:
    if not text:
        raise ValueError("has an empty set []")
    ranges: list[tuple[str, str]] = []
    at = 0
    while at < len(text):
        low = high = text[at]
        if text[at + 1 : at + 2] == "-" and at + 2 < len(text):
            high = text[at + 2]
            at += 2
        if low > high:
            raise ValueError("has a reversed range in a set; write [a-d], not [d-a]")
        ranges.append((low, high))
        at += 1
    return tuple(ranges)


def literal(name: str) -> NamePattern:
    """A pattern that matches exactly this name."""
    return NamePattern("".join(f"[{c}]" if c in "%_[" else c for c in name))
