"""Which changes of a column's type leave every stored value what it was (pure)."""

import re
from typing import Final

from engine.model.type_text import enum_labels

_INTEGERS: Final = ("smallint", "integer", "bigint")
_LENGTH: Final = re.compile(r"\Acharacter varying(?:\((\d+)\))?\Z")
_NUMERIC: Final = re.compile(r"\Anumeric(?:\((\d+),(-?\d+)\))?\Z")


def widens(old: str, new: str) -> bool:
    """Whether every value of the old type is the same value in the new one."""
    if old in _INTEGERS and new in _INTEGERS:
        return _INTEGERS.index(old) <= _INTEGERS.index(new)
    old_length, new_length = _LENGTH.match(old), _LENGTH.match(new)
    if old_length is not None:
        if new == "text":
            return True
        return new_length is not None and _wider(old_length.group(1), new_length.group(1))
    old_numeric, new_numeric = _NUMERIC.match(old), _NUMERIC.match(new)
    if old_numeric is not None and new_numeric is not None:
        return _wider_numeric(old_numeric, new_numeric)
    return False


def _wider(old: str | None, new: str | None) -> bool:
    return new is None or (old is not None and int(new) >= int(old))


def _wider_numeric(old: "re.Match[str]", new: "re.Match[str]") -> bool:
    """Same scale: another one would have rewritten the stored digits."""
    if old.group(1) is None or new.group(1) is None:
        return old.group(1) is None and new.group(1) is None
    return old.group(2) == new.group(2) and int(new.group(1)) >= int(old.group(1))


def new_labels(old: str, new: str) -> list[str] | None:
    """Labels that an enum type was given, from its two definitions; None when something else
    happened to it."""
    before, after = enum_labels(old), enum_labels(new)
    if before is None or after is None:
        return None
    kept = [label for label in after if label in before]
    return [label for label in after if label not in before] if kept == before else None
