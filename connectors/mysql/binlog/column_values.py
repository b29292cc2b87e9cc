"""(pure) What the bytes of a column in the log become, by its type, in either form.

See: MySQL source, `sql/field.cc`; MariaDB source, `sql/field_comp.cc`.
"""

import struct
import zlib
from collections.abc import Callable
from typing import Final, TypeAlias

from connectors.mysql import temporal
from connectors.mysql.addresses import inet_text
from connectors.mysql.binlog import table_map as codes
from connectors.mysql.charsets import REFUSED, known, to_utf8
from connectors.mysql.decimals import sender, text_of, unpacker
from connectors.mysql.floats import double_text
from connectors.mysql.gtid import UUID_BYTES, uuid_text
from connectors.mysql.interchange import bit_sender, inet, integer_sender
from connectors.mysql.json_binary import json_text, parse_json
from connectors.mysql.temporal import ZeroDates
from connectors.mysql.types import CHARACTERS, INTEGERS, MysqlType
from engine.model.value import Value

Convert: TypeAlias = Callable[[bytes], Value]
"""From a column's bytes to its value. Raises ValueError, IndexError or struct.error for bytes that
are no value."""


class Converters:
    """The conversions there are for one column; `convert` chooses. `code` and `metadata` are the
    log's, `native` is the form."""

    def __init__(
        self, code: int, metadata: int, type: MysqlType, *, native: bool, zero: ZeroDates
    ) -> None:
        self._code = code
        self._metadata = metadata
        self._type = type
        self._native = native
        self._zero = zero

    def convert(self) -> Convert | None:
        """The conversion of the column's values; None: they are the bytes as they stand."""
        base = self._type.base
        if base in INTEGERS:
            return self._integer()
        if base in CHARACTERS:
            return self._text()
        make = _BY_BASE.get(base)
        return None if make is None else make(self)

    # --- numbers ----------------------------------------------------------------------------------

    def _integer(self) -> Convert:
        if not self._native:
            return integer_sender(self._type)
        if self._type.zerofill:
            width = self._type.size
            return lambda data: b"%0*d" % (width, int.from_bytes(data, "little"))
        signed = not self._type.unsigned
        return lambda data: b"%d" % int.from_bytes(data, "little", signed=signed)

    def _decimal(self) -> Convert:
        scale = self._type.scale
        unpack = unpacker(self._type.size, scale)
        if not self._native:
            send = sender(scale)
            return lambda data: send(unpack(data))
        if self._type.zerofill:
            width = self._type.size + bool(scale)
            return lambda data: text_of(unpack(data), scale).rjust(width, b"0")
        return lambda data: text_of(unpack(data), scale)

    def _float(self) -> Convert:
        if not self._native:
            return lambda data: data[::-1]
        unpack = struct.Struct("<f" if self._type.base == "float" else "<d").unpack
        return lambda data: double_text(unpack(data)[0]).encode()

    def _bit(self) -> Convert | None:
        return None if self._native else bit_sender(self._type.size)

    # --- times ------------------------------------------------------------------------------------

    def _year(self) -> Convert:
        if self._native:
            return lambda data: b"%04d" % (data[0] + 1900 if data[0] else 0)
        return lambda data: (data[0] + 1900 if data[0] else 0).to_bytes(2, "big")

    def _date(self) -> Convert:
        unpack = temporal.unpack_date
        if self._native:
            return lambda data: temporal.date_text(unpack(data)).encode()
        send = temporal.date_sender(self._zero)
        return lambda data: send(unpack(data))

    def _datetime(self) -> Convert:
        digits = self._metadata
        old = self._code == codes.DATETIME
        if not old and not self._native:
            return temporal.datetime2_sender(digits, self._zero)
        unpack = temporal.old_datetime if old else temporal.datetime2(digits)
        if self._native:
            return lambda data: temporal.datetime_text(*unpack(data), digits).encode()
        send = temporal.datetime_sender(self._zero)
        return lambda data: send(*unpack(data))

    def _timestamp(self) -> Convert:
        digits = self._metadata
        old = self._code == codes.TIMESTAMP
        unpack = temporal.old_timestamp if old else temporal.timestamp2(digits)
        if self._native:
            return lambda data: temporal.instant_text(*unpack(data), digits).encode()
        send = temporal.instant_sender(self._zero)
        return lambda data: send(*unpack(data))

    def _time(self) -> Convert:
        digits = self._metadata
        unpack = temporal.old_time if self._code == codes.TIME else temporal.time2(digits)
        if self._native:
            return lambda data: temporal.time_text(unpack(data), digits).encode()
        return lambda data: temporal.interval(unpack(data))

    # --- texts and bytes --------------------------------------------------------------------------

    def _text(self) -> Convert | None:
        charset = self._type.charset
        if charset == "binary":
            return None
        if not known(charset):
            reason = REFUSED.get(charset, "it is unknown")
            raise ValueError(f"the character set {charset} cannot be converted: {reason}")
        return to_utf8(charset)

    def _enum(self) -> Convert:
        """Number 0 is what a value that was not allowed became: an empty text."""
        texts = (b"", *[label.encode() for label in self._type.labels])
        return lambda data: texts[int.from_bytes(data, "little")]

    def _set(self) -> Convert:
        texts = [label.encode() for label in self._type.labels]
        beyond = 1 << len(texts)

        def text(data: bytes) -> bytes:
            bits = int.from_bytes(data, "little")
            if bits >= beyond:
                raise ValueError("a SET has more members than labels")
            return b",".join([text for i, text in enumerate(texts) if bits >> i & 1])

        return text

    def _binary(self) -> Convert:
        """The log leaves out the zeros that a BINARY ends with."""
        size = self._type.size
        return lambda data: data.ljust(size, b"\0")

    def _json(self) -> Convert:
        return lambda data: json_text(parse_json(data))

    def _uuid(self) -> Convert:
        if self._native:
            return lambda data: uuid_text(data.ljust(UUID_BYTES, b"\0")).encode()
        return lambda data: data.ljust(UUID_BYTES, b"\0")

    def _inet(self) -> Convert:
        size = 4 if self._type.base == "inet4" else 16
        send = inet_text if self._native else inet
        return lambda data: send(data.ljust(size, b"\0"))

    BY_BASE: Final = {
        "decimal": _decimal,
        "float": _float,
        "double": _float,
        "bit": _bit,
        "year": _year,
        "date": _date,
        "datetime": _datetime,
        "timestamp": _timestamp,
        "time": _time,
        "enum": _enum,
        "set": _set,
        "binary": _binary,
        "json": _json,
        "uuid": _uuid,
        "inet4": _inet,
        "inet6": _inet,
    }


_BY_BASE: Final[dict[str, Callable[[Converters], Convert | None]]] = dict(Converters.BY_BASE)


# --- compressed columns ---------------------------------------------------------------------------

_PLAIN: Final = 0x00
_ZLIB: Final = 0x80
_WITHOUT_HEADER: Final = 0x08
_INFLATED_BYTES_MAX: Final = 1 << 30
"""What one value may inflate to: the servers' own limit of a packet."""


def decompressed(convert: Callable[[bytes], Value] | None) -> Callable[[bytes], Value]:
    def value(data: bytes) -> Value:
        plain = _inflated(data) if data else data
        return plain if convert is None else convert(plain)

    return value


def _inflated(data: bytes) -> bytes:
    """A value that MariaDB stores compressed: a byte says how, and in how many bytes stands what it
    comes to; then zlib's bytes, or those of the value."""
    head = data[0]
    if head == _PLAIN:
        return data[1:]
    size = int.from_bytes(data[1 : 1 + (head & 7)], "big")
    if head & 0xF0 != _ZLIB or not 0 < size <= _INFLATED_BYTES_MAX:
        raise ValueError("a compressed value is of an unknown form")
    inflate = zlib.decompressobj(-15 if head & _WITHOUT_HEADER else 15)
    try:
        plain = inflate.decompress(data[1 + (head & 7) :], size + 1)
    except zlib.error as error:
        raise ValueError("a compressed value cannot be inflated") from error
    if len(plain) != size:
        raise ValueError("a compressed value is not as long as it says")
    return plain
