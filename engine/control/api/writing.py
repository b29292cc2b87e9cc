"""An operation's answer as JSON, by the operation's output shape. (pure)

The answer is ours, so whatever does not fit the shape is our defect: it raises `AnswerError`, and
the caller is told of an `InternalFailure`, never of half an answer. None is the same as absent.
"""

import base64
import math
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from typing import Any, Final, TypeAlias

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

Write: TypeAlias = Callable[[Any], Any]


class AnswerError(PenstockError):
    """An answer that AWS's model does not allow. Names the member, never its value."""


def answer(value: Mapping[str, Any], shape: Structure) -> bytes:
    """The body of an answer."""
    try:
        return orjson.dumps(_writer(shape)(value))
    except _MisfitError as misfit:
        raise AnswerError(f"{shape.name}{misfit.place} {misfit.what}") from None


class _MisfitError(Exception):
    """What does not fit, and where: the place is put together on the way out, as an answer of
    thousands of values nearly always fits."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what
        self.place = ""

    def within(self, part: str) -> "_MisfitError":
        self.place = f"{part}{self.place}"
        return self


def _mistyped(value: Any, shape: Shape) -> _MisfitError:
    return _MisfitError(f"is a {type(value).__name__}, not a {type(shape).__name__}")


@cache
def _writer(shape: Shape) -> Write:
    """What writes a value of a shape, made once for each."""
    return _MAKERS[type(shape)](shape)


def _structure(shape: Structure) -> Write:
    members = {name: _writer(inner) for name, inner in shape.members.items()}
    required = shape.required

    def write(value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise _mistyped(value, shape)
        made: dict[str, Any] = {}
        for name, inner in value.items():
            member = members.get(name)
            if member is None:
                unknown = sorted(value.keys() - members.keys())
                raise _MisfitError(f"has no member {', '.join(unknown)}")
            if inner is not None:
                try:
                    made[name] = member(inner)
                except _MisfitError as misfit:
                    raise misfit.within(f".{name}") from None
        if not required <= made.keys():
            raise _MisfitError(f"is without {', '.join(sorted(required - made.keys()))}")
        return made

    return write


def _several(shape: Several) -> Write:
    item = _writer(shape.item)

    def write(value: Any) -> Any:
        if not isinstance(value, list | tuple):
            raise _mistyped(value, shape)
        made: list[Any] = []
        for number, inner in enumerate(value):
            try:
                made.append(item(inner))
            except _MisfitError as misfit:
                raise misfit.within(f"[{number}]") from None
        return made

    return write


def _text(shape: Text) -> Write:
    # AWS itself answers some of its values in capitals: EndpointType is SOURCE.
    known = frozenset(value.lower() for value in shape.values)

    def write(value: Any) -> Any:
        if not isinstance(value, str):
            raise _mistyped(value, shape)
        if known and value.lower() not in known:
            raise _MisfitError(f"is none of {', '.join(shape.values)}")
        return value

    return write


def _whole(shape: Whole) -> Write:
    bound = 1 << (shape.bits - 1)

    def write(value: Any) -> Any:
        if not isinstance(value, int) or isinstance(value, bool):
            raise _mistyped(value, shape)
        if not -bound <= value < bound:
            raise _MisfitError(f"does not fit {shape.bits} bits")
        return value

    return write


def _fraction(shape: Fraction | Moment) -> Write:
    def write(value: Any) -> Any:
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise _mistyped(value, shape)
        # They would come out as null.
        if not math.isfinite(value):
            raise _MisfitError("is no number that JSON has")
        return value

    return write


def _flag(shape: Flag) -> Write:
    def write(value: Any) -> Any:
        if not isinstance(value, bool):
            raise _mistyped(value, shape)
        return value

    return write


def _moment(shape: Moment) -> Write:
    """Seconds since the epoch to the millisecond, as AWS tells them."""
    number = _fraction(shape)

    def write(value: Any) -> Any:
        if isinstance(value, datetime):
            if value.tzinfo is None:
                raise _MisfitError("is a time of no zone")
            return round(value.timestamp(), 3)
        return round(float(number(value)), 3)

    return write


def _blob(shape: Blob) -> Write:
    def write(value: Any) -> Any:
        if not isinstance(value, bytes):
            raise _mistyped(value, shape)
        return base64.b64encode(value).decode()

    return write


_MAKERS: Final[Mapping[type, Callable[[Any], Write]]] = {
    Structure: _structure,
    Several: _several,
    Text: _text,
    Whole: _whole,
    Fraction: _fraction,
    Flag: _flag,
    Moment: _moment,
    Blob: _blob,
}
