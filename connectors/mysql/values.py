"""(pure) From the native form, the servers' text, to the interchange form: what a full load reads.

What a value comes to here is what `binlog.columns` makes of the same value in the log.
"""

import struct
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import Final, TypeAlias

from connectors.mysql import temporal
from connectors.mysql.decimals import number_of, sender
from connectors.mysql.gtid import parse_uuid
from connectors.mysql.interchange import bit_sender, inet, integer_packer
from connectors.mysql.temporal import ZeroDates
from connectors.mysql.types import INTEGERS, MysqlType
from engine.errors import DecodeError
from engine.model.value import Row, Value

ToInterchange: TypeAlias = Callable[[bytes], Value]

_FLOAT: Final = struct.Struct(">f").pack
_DOUBLE: Final = struct.Struct(">d").pack


def to_interchange(type: MysqlType, zero: ZeroDates) -> ToInterchange | None:
    """What turns a column's text into its interchange form; None: they are the same bytes. The text
    is that of a session as `types.selected` and the connector's settings make it. It raises
    ValueError for what is not such a text."""
    if type.base in INTEGERS:
        pack = integer_packer(type)
        return lambda text: pack(int(text))
    make = _BY_BASE.get(type.base)
    return None if make is None else make(_Makers(type, zero))


def row_converter(
    types: Sequence[MysqlType], zero: ZeroDates, table: str
) -> Callable[[Sequence[bytes | None]], Row]:
    """What turns a row of texts into one of the interchange form. `table` is for messages.

    Raises:
        DecodeError: a text is not one of its type (from what is returned).
    """
    converters = [to_interchange(column, zero) for column in types]
    named = [f"{table}, column {i + 1} ({column.base})" for i, column in enumerate(types)]

    def convert(row: Sequence[bytes | None]) -> Row:
        try:
            return tuple(
                [
                    text if text is None or change is None else change(text)
                    for text, change in zip(row, converters, strict=True)
                ]
            )
        except (ValueError, struct.error, OverflowError) as error:
            raise DecodeError(f"a value of {_culprit(row)} is not of its type") from error

    def _culprit(row: Sequence[bytes | None]) -> str:
        for text, change, name in zip(row, converters, named, strict=False):
            try:
                if text is not None and change is not None:
                    change(text)
            except (ValueError, struct.error, OverflowError):
                return name
        return f"{table}, which has {len(named)} columns, not {len(row)},"

    return convert


class _Makers:
    """The conversions there are for one column."""

    def __init__(self, type: MysqlType, zero: ZeroDates) -> None:
        self._type = type
        self._zero = zero

    def _decimal(self) -> ToInterchange:
        scale = self._type.scale
        send = sender(scale)
        return lambda text: send(number_of(text, scale))

    def _float(self) -> ToInterchange:
        return lambda text: _FLOAT(float(text))

    def _double(self) -> ToInterchange:
        return lambda text: _DOUBLE(float(text))

    def _year(self) -> ToInterchange:
        return lambda text: int(text).to_bytes(2, "big")

    def _date(self) -> ToInterchange:
        send = temporal.date_sender(self._zero)
        return lambda text: send(temporal.parse_date(text))

    def _datetime(self) -> ToInterchange:
        send = temporal.datetime_sender(self._zero)
        return lambda text: send(*temporal.parse_datetime(text))

    def _time(self) -> ToInterchange:
        return lambda text: temporal.interval(temporal.parse_clock(text))

    def _bit(self) -> ToInterchange:
        return bit_sender(self._type.size)

    def _uuid(self) -> ToInterchange:
        return lambda text: parse_uuid(text.decode().lower())

    def _inet4(self) -> ToInterchange:
        return lambda text: inet(IPv4Address(text.decode()).packed)

    def _inet6(self) -> ToInterchange:
        return lambda text: inet(IPv6Address(text.decode()).packed)

    BY_BASE: Final = {
        "decimal": _decimal,
        "float": _float,
        "double": _double,
        "year": _year,
        "date": _date,
        "datetime": _datetime,
        "timestamp": _datetime,
        "time": _time,
        "bit": _bit,
        "uuid": _uuid,
        "inet4": _inet4,
        "inet6": _inet6,
    }


_BY_BASE: Final[dict[str, Callable[[_Makers], ToInterchange]]] = dict(_Makers.BY_BASE)
