"""The shape of a JSON document as data: which keys an object has, and what each may be. (pure)

A shape only looks: what it found wrong is collected with its place, the document stays as it is.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from engine.config.document import Document
from engine.config.kind import Integer, Kind, MistypedError
from engine.config.kind_text import LIST_ITEMS_MAX
from engine.config.problems import Problems, shown
from engine.config.section import read_value, type_name

_DECIMAL: Final = re.compile(r"-?[0-9]{1,18}", re.ASCII)


class Shape(Protocol):
    """What a value has to look like."""

    def check(self, value: object, where: str, problems: Problems) -> None:
        """Record what is wrong with the value, under `where`."""
        ...


@dataclass(frozen=True, slots=True)
class Value:
    """A single value."""

    kind: Kind[Any]

    def check(self, value: object, where: str, problems: Problems) -> None:
        read_value(self.kind, value, where, problems)


@dataclass(frozen=True, slots=True)
class Anything:
    """Any JSON value: what is in it is for somebody else to say."""

    def check(self, value: object, where: str, problems: Problems) -> None:
        """Nothing can be wrong."""


@dataclass(frozen=True, slots=True)
class Many:
    """A list; each item has the same shape."""

    item: Shape
    fewest: int = 0
    most: int = LIST_ITEMS_MAX

    def check(self, value: object, where: str, problems: Problems) -> None:
        if not isinstance(value, list):
            problems.add(where, f"expected a list, found {type_name(value)}")
        elif not self.fewest <= len(value) <= self.most:
            problems.add(where, f"must have {self.fewest:,} to {self.most:,} items")
        else:
            for number, item in enumerate(value):
                self.item.check(item, f"{where}[{number}]", problems)


@dataclass(frozen=True, slots=True)
class Object:
    """An object. `null` for a key that may be missing means that it is: consoles write it.

    `rule` looks at the whole, once each of its keys is as it should be.
    """

    required: Mapping[str, Shape] = field(default_factory=dict[str, Shape])
    optional: Mapping[str, Shape] = field(default_factory=dict[str, Shape])
    rule: Callable[[Document, str, Problems], None] | None = None

    def check(self, value: object, where: str, problems: Problems) -> None:
        if not isinstance(value, dict):
            problems.add(where, f"expected an object, found {type_name(value)}")
            return
        before = problems.count
        for name in self.required:
            if value.get(name) is None:
                problems.add(f"{where}.{name}", "is missing")
        known = {**self.required, **self.optional}
        for name, inner in value.items():
            if name not in known:
                problems.unknown(f"{where}.{shown(name)}", name, known)
            elif inner is not None:
                known[name].check(inner, f"{where}.{name}", problems)
        if self.rule is not None and problems.count == before:
            self.rule(value, where, problems)


@dataclass(frozen=True, slots=True)
class Number(Integer):
    """A whole number, as a number or as decimal text: AWS's examples have both."""

    maximum: int = 2**31 - 1

    def read(self, value: object) -> int:
        if isinstance(value, str) and _DECIMAL.fullmatch(value):
            value = int(value)
        return Integer.read(self, value)


@dataclass(frozen=True, slots=True)
class Scalar:
    """Text, a number, or true and false: what a column is compared with."""

    expected: str = "text or a number"

    def read(self, value: object) -> object:
        if not isinstance(value, str | int | float):
            raise MistypedError(f"expected {self.expected}")
        return value

    def check(self, value: object) -> None:
        self.read(value)

    def show(self, value: object) -> str:
        return str(value)
