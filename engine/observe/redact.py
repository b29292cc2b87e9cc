"""What a fact looks like in a log line: names, numbers and positions pass, values do not (pure).

Row values are `bytes` everywhere in the engine, so bytes are shown by their length only. A driver's
exception may quote a row (`Key (email)=(...) already exists`), so a foreign exception is shown by
its class and its SQLSTATE; a `PenstockError` promises to carry neither row values nor secrets.
"""

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from enum import Enum
from typing import Final, TypeAlias

from engine.errors import PenstockError

TEXT_CHARACTERS_MAX: Final = 1_000
"""Longest text of one fact; a message that needs more names the thing instead."""

ITEMS_MAX: Final = 20
"""Items shown of a list; enough to recognise it, and its length is shown too."""

DEPTH_MAX: Final = 3

Fact: TypeAlias = "str | int | float | bool | list[Fact] | dict[str, Fact] | None"

_URL_PASSWORD: Final = re.compile(r"(://[^/\s:@]*:)[^\s]*@")
_NAMED_SECRET: Final = re.compile(
    r"""(?ix) \b (password|passwd|pgpassword|secret|token) (\s*[=:]\s*)
        ('[^']*' | "[^"]*" | [^\s,;&)]+)"""
)
_UNPRINTABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""Control characters, which could forge a line or drive a terminal, and lone surrogates, which no
encoder takes."""

_INTEGER_MAX: Final = 2**63 - 1
"""Largest number that every reader of JSON lines takes as one."""

_INTEGER_BITS_SHOWN: Final = 256


def clean(text: str) -> str:
    """A text without passwords and control characters, on one line and not too long."""
    text = _URL_PASSWORD.sub(r"\1***@", text)
    text = _NAMED_SECRET.sub(r"\1\2***", text)
    if len(text) > TEXT_CHARACTERS_MAX:
        text = text[: TEXT_CHARACTERS_MAX - 1] + "\N{HORIZONTAL ELLIPSIS}"
    return _UNPRINTABLE.sub(lambda match: f"\\x{ord(match.group()):02x}", text)


def describe_error(error: BaseException) -> str:
    """An error's class and, when it is one of ours, its message. Never a driver's own text."""
    name = type(error).__name__
    if isinstance(error, PenstockError):
        return f"{name}: {clean(error.message)}"
    if isinstance(error, BaseExceptionGroup):
        parts = "; ".join(describe_error(part) for part in error.exceptions[:ITEMS_MAX])
        return f"{name}: {parts}"
    if isinstance(error, OSError) and error.errno is not None:
        return f"{name}: errno {error.errno}"
    sqlstate = getattr(error, "sqlstate", None)
    return f"{name} [{sqlstate}]" if isinstance(sqlstate, str) else name


def fact(value: object, depth: int = 0) -> Fact:
    """A value as a log line may show it. Never raises."""
    if value is None or isinstance(value, float):
        return value
    if isinstance(value, int):
        return value if abs(value) <= _INTEGER_MAX else _large(value)
    if isinstance(value, Enum):
        return fact(value.value, depth + 1)
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"<{len(value)} bytes>"
    if isinstance(value, BaseException):
        return describe_error(value)
    if isinstance(value, (Mapping, list, tuple, AbstractSet)) and _plain(value):
        return _collection(value, depth)
    return _named(value)


def _large(value: int) -> str:
    """Python refuses to write down what has thousands of digits."""
    bits = value.bit_length()
    return str(value) if bits <= _INTEGER_BITS_SHOWN else f"<integer of {bits} bits>"


def _plain(value: object) -> bool:
    """Whether it has no text form of its own (a position is a tuple that has one)."""
    return type(value).__str__ is object.__str__


def _collection(value: object, depth: int) -> Fact:
    if depth >= DEPTH_MAX:
        return f"<{type(value).__name__}>"
    if isinstance(value, Mapping):
        items = list(value.items())[:ITEMS_MAX]
        return {clean(str(fact(key))): fact(item, depth + 1) for key, item in items}
    assert isinstance(value, (list, tuple, AbstractSet))
    shown = [fact(item, depth + 1) for item in list(value)[:ITEMS_MAX]]
    if len(value) > ITEMS_MAX:
        shown.append(f"and {len(value) - ITEMS_MAX} more")
    return shown


def _named(value: object) -> str:
    if _plain(value):
        return f"<{type(value).__name__}>"
    try:
        return clean(str(value))
    except Exception:  # noqa: BLE001 - a broken __str__ must not stop a log line
        return f"<{type(value).__name__}>"
