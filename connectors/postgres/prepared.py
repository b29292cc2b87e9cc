"""Prepared statements as data. (pure)"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from engine.model.value import Value


@dataclass(frozen=True, slots=True)
class Prepared:
    """A statement that a session prepares once, under `name`. `types`: OIDs of its parameters;
    `formats`: 1 where a parameter is binary, 0 where it is text."""

    name: bytes
    sql: bytes
    types: tuple[int, ...] = ()
    formats: tuple[int, ...] = ()


Call: TypeAlias = tuple[Prepared, Sequence[Value]]
"""A statement and the values of its parameters."""
