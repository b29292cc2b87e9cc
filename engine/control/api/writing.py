"""An operation's answer as JSON, by the operation's output shape. (pure)

The answer is ours, so whatever does not fit the shape is our defect: it raises `AnswerError`, and
the caller is told of an `InternalFailure`, never of half an answer. None is the same as absent.
"""

import base64
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import orjson

from engine.control.api.wire import (
    Blob,
    Flag,
    Fraction,
    Moment,
    Several,
    Shape,
    Structure,
    Text,
    Whole,
)
from engine.errors import PenstockError


class AnswerError(PenstockError):
    """An answer that AWS's model does not allow. Names the member, never its value."""


def answer(value: Mapping[str, Any], shape: Structure) -> bytes:
    """The body of an answer."""
    return orjson.dumps(_written(value, shape, shape.name))


def _written(value: Any, shape: Shape, where: str) -> Any:
    types, write = _WRITERS[type(shape)]
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        raise AnswerError(f"{where} is a {type(value).__name__}, not a {type(shape).__name__}")
    return write(value, shape, where)


def _structure(value: Mapping[str, Any], shape: Structure, where: str) -> dict[str, Any]:
    unknown = sorted(value.keys() - shape.members.keys())
    if unknown:
        raise AnswerError(f"{where} has no member {', '.join(unknown)}")
    given = {name: inner for name, inner in value.items() if inner is not None}
    missing = sorted(shape.required - given.keys())
    if missing:
        raise AnswerError(f"{where} is without {', '.join(missing)}")
    return {
        name: _written(inner, shape.members[name], f"{where}.{name}")
        for name, inner in given.items()
    }


def _several(value: Sequence[Any], shape: Several, where: str) -> list[Any]:
    return [_written(item, shape.item, f"{where}[{number}]") for number, item in enumerate(value)]


def _text(value: str, shape: Text, where: str) -> str:
    # AWS itself answers some of its values in capitals: EndpointType is SOURCE.
    if shape.values and value.lower() not in {known.lower() for known in shape.values}:
        raise AnswerError(f"{where} is none of {', '.join(shape.values)}")
    return value


def _whole(value: int, shape: Whole, where: str) -> int:
    bound = 1 << (shape.bits - 1)
    if not -bound <= value < bound:
        raise AnswerError(f"{where} does not fit {shape.bits} bits")
    return value


def _fraction(value: float, shape: Fraction, where: str) -> float:
    # They would come out as null.
    if not math.isfinite(value):
        raise AnswerError(f"{where} is no number that JSON has")
    return value


def _flag(value: bool, shape: Flag, where: str) -> bool:
    return value


def _moment(value: datetime | float, shape: Moment, where: str) -> float:
    """Seconds since the epoch to the millisecond, as AWS tells them."""
    if not isinstance(value, datetime):
        return _fraction(round(float(value), 3), Fraction(), where)
    if value.tzinfo is None:
        raise AnswerError(f"{where} is a time of no zone")
    return round(value.timestamp(), 3)


def _blob(value: bytes, shape: Blob, where: str) -> str:
    return base64.b64encode(value).decode()


_WRITERS: Final[Mapping[type, tuple[tuple[type, ...], Callable[[Any, Any, str], Any]]]] = {
    Structure: ((Mapping,), _structure),
    Several: ((list, tuple), _several),
    Text: ((str,), _text),
    Whole: ((int,), _whole),
    Fraction: ((int, float), _fraction),
    Flag: ((bool,), _flag),
    Moment: ((datetime, int, float), _moment),
    Blob: ((bytes,), _blob),
}
"""What a value of each shape may be in Python, and how it is written."""
