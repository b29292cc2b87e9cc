"""The JSON of a request as checked values, by the operation's input shape. (pure)

What is done with what is not quite right follows AWS's other services of this protocol, measured by
others on DynamoDB and Athena: `null` is the same as absent, in a list too; an unknown member is
passed over, so that a newer client works; a value of another type is a `SerializationException` in
AWS's words. What the value says is DMS's own affair, and its answer to all of it is
`InvalidParameterValueException`: a required member that is missing or blank, a value outside an
enumeration. Enumerations are read in any case, as Terraform and the console write some of them in
capitals, and come out as the model spells them.

Stricter than AWS in two places, where it would store something else than was sent: a fraction is
not cut to a whole number, and a NUL character in a text is refused.
"""

import base64
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from engine.config.limits import Limits
from engine.control.api.faults import InvalidParameterValueException, SerializationException
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

LIST: Final = "Start of list found where not expected"
OBJECT: Final = "Start of structure or map found where not expected."

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def parse(body: bytes, shape: Structure, limits: Limits) -> dict[str, Any]:
    """The request in `body`. An empty body is an empty request."""
    try:
        document = orjson.loads(body) if body.strip() else {}
    except orjson.JSONDecodeError as error:
        # Its text may quote the body, and with it a secret.
        raise SerializationException(
            f"the body is not valid JSON: line {error.lineno}, column {error.colno}"
        ) from None
    if not isinstance(document, dict):
        raise SerializationException(LIST if isinstance(document, list) else "Expected null")
    _bound(document, limits)
    return _structure(document, shape, "")


def _bound(document: Any, limits: Limits) -> None:
    """A body that would cost more than a request can be worth is refused before it is read."""
    count = 0
    level = [document]
    for _ in range(limits.json_depth):
        count += len(level)
        if count > limits.json_values:
            raise SerializationException(f"the body has more than {limits.json_values} values")
        level = [inner for value in level for inner in _inside(value)]
        if not level:
            return
    raise SerializationException(f"the body is nested deeper than {limits.json_depth} levels")


def _inside(value: Any) -> Sequence[Any]:
    if isinstance(value, dict):
        return tuple(value.values())
    return value if isinstance(value, list) else ()


def _structure(value: Mapping[str, Any], shape: Structure, where: str) -> dict[str, Any]:
    read: dict[str, Any] = {}
    for name, member in shape.members.items():
        given = value.get(name)
        place = f"{where}.{name}" if where else name
        if given is not None:
            read[name] = _value(given, member, place)
        if name in shape.required and read.get(name, "") == "":
            raise InvalidParameterValueException(
                f"The parameter {place} must be provided and must not be blank."
            )
    if shape.alone and len(read) != 1:
        raise InvalidParameterValueException(
            f"Exactly one of {', '.join(shape.members)} must be provided in {where}."
        )
    return read


def _value(value: Any, shape: Shape, where: str) -> Any:
    return _READERS[type(shape)](value, shape, where)


def _nested(value: Any, shape: Structure, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise SerializationException(LIST if isinstance(value, list) else "Expected null")
    return _structure(value, shape, where)


def _several(value: Any, shape: Several, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise SerializationException(OBJECT if isinstance(value, dict) else "Expected list or null")
    read = [
        _value(item, shape.item, f"{where}[{number}]")
        for number, item in enumerate(value)
        if item is not None
    ]
    if len(read) < shape.least:
        raise InvalidParameterValueException(
            f"The parameter {where} must have at least {shape.least} values."
        )
    return read


def _text(value: Any, shape: Text, where: str) -> str:
    text = _string(value, "a String")
    if "\0" in text:
        raise InvalidParameterValueException(
            f"The parameter {where} contains the character U+0000."
        )
    if shape.length and len(text) > shape.length:
        raise InvalidParameterValueException(
            f"The parameter value is not valid for argument {where} due to its length"
            f" {len(text)} exceeds {shape.length}."
        )
    if not shape.values or not text:
        return text
    for known in shape.values:
        if known.lower() == text.lower():
            return known
    raise InvalidParameterValueException(
        f"Invalid value for {where}. Must be one of: {', '.join(shape.values)}."
    )


def _whole(value: Any, shape: Whole, where: str) -> int:
    kind = "an Integer" if shape.bits == 32 else "a Long"
    number = _number(value, kind)
    if isinstance(number, float) and not number.is_integer():
        raise SerializationException(f"the fraction at {where} can not be converted to {kind}")
    bound = 1 << (shape.bits - 1)
    if not -bound <= number < bound:
        raise SerializationException(f"the number at {where} is out of the range of {kind}")
    return int(number)


def _fraction(value: Any, shape: Fraction, where: str) -> float:
    return float(_number(value, "a Double"))


def _flag(value: Any, shape: Flag, where: str) -> bool:
    if not isinstance(value, bool):
        raise _mismatch(value, "a Boolean")
    return value


def _moment(value: Any, shape: Moment, where: str) -> datetime:
    try:
        if isinstance(value, str):
            read = datetime.fromisoformat(value)
            return (read if read.tzinfo else read.replace(tzinfo=UTC)).astimezone(UTC)
        return EPOCH + timedelta(seconds=_number(value, "a Date"))
    except (ValueError, OverflowError):
        raise SerializationException(
            f"{where} is no point in time: seconds since 1970, or ISO 8601 text"
        ) from None


def _blob(value: Any, shape: Blob, where: str) -> bytes:
    text = _string(value, "a Blob")
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise SerializationException(
            f"{where} can not be converted to a Blob: it is not base64"
        ) from None


_READERS: Final[Mapping[type, Callable[[Any, Any, str], Any]]] = {
    Structure: _nested,
    Several: _several,
    Text: _text,
    Whole: _whole,
    Fraction: _fraction,
    Flag: _flag,
    Moment: _moment,
    Blob: _blob,
}


def _string(value: Any, kind: str) -> str:
    if not isinstance(value, str):
        raise _mismatch(value, kind)
    return value


def _number(value: Any, kind: str) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _mismatch(value, kind)
    if not math.isfinite(value):
        raise SerializationException(f"a number is out of the range of {kind}")
    return value


def _mismatch(value: Any, kind: str) -> SerializationException:
    """A value of another type, in AWS's words."""
    if isinstance(value, list | dict):
        return SerializationException(LIST if isinstance(value, list) else OBJECT)
    if isinstance(value, bool):
        found = "TRUE_VALUE" if value else "FALSE_VALUE"
    else:
        found = "STRING_VALUE" if isinstance(value, str) else "NUMBER_VALUE"
    return SerializationException(f"{found} can not be converted to {kind}")
