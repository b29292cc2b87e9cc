"""(pure) Dates and times: the log's packed forms, text, and PostgreSQL's binary forms.

MySQL knows dates that are none: zero as a whole, with a zero month or day, and, where a session
allows it, the 31st of February. In the interchange form they become what a setting says, counted.

Year 0 is a year here and 1 BC there; the two calendars are the same otherwise.

See: MySQL internals, "Date and Time Data Type Representation"; `sql-common/my_time.cc`; PostgreSQL
source, `timestamp.c`.
"""

import struct
from collections.abc import Callable
from datetime import date
from typing import Final

from engine.config.endpoint import ZeroDate
from engine.model.value import Misfit

NO_DATE: Final = Misfit(
    "zero-date",
    "holds a date without a day, month or year; `zero_dates` can make it NULL or the first of"
    " January of year 1",
)


class ZeroDates:
    """The setting at work. `met` counts the dates that were none."""

    def __init__(self, policy: ZeroDate = ZeroDate.ERROR) -> None:
        self.policy = policy
        self.met = 0

    def take(self, earliest: bytes) -> bytes | Misfit | None:
        """The place of one; `earliest` is 0001-01-01 in the form that is asked for."""
        self.met += 1
        if self.policy is ZeroDate.NULL:
            return None
        return earliest if self.policy is ZeroDate.EARLIEST else NO_DATE


DAY_US: Final = 86_400_000_000
UNIX_TO_2000_US: Final = 946_684_800_000_000

_I32: Final = struct.Struct(">i").pack
_I64: Final = struct.Struct(">q").pack
_INTERVAL: Final = struct.Struct(">qii").pack
_EPOCH: Final = date(2000, 1, 1).toordinal()
_YEAR_0_DAYS: Final = 366
_EARLIEST_DAYS: Final = date(1, 1, 1).toordinal() - _EPOCH
_EARLIEST_DATE: Final = _I32(_EARLIEST_DAYS)
_EARLIEST_TIME: Final = _I64(_EARLIEST_DAYS * DAY_US)
_MONTH_DAYS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_FEBRUARY: Final = 2
_DAYS_MAX: Final = 4096
"""Days remembered with what they come to; a log's dates are few and near each other."""


def days_of(year: int, month: int, day: int) -> int | None:
    """Days since 2000-01-01, None for a date that is none."""
    try:
        return date(year, month, day).toordinal() - _EPOCH
    except ValueError:
        pass
    if year or not 1 <= month <= len(_MONTH_DAYS) or not 1 <= day <= _MONTH_DAYS[month - 1]:
        return None
    if month == _FEBRUARY and day == _MONTH_DAYS[1]:
        return None  # No leap year to MySQL.
    return date(4, month, day).toordinal() - date(4, 1, 1).toordinal() + 1 - _YEAR_0_DAYS - _EPOCH


class _Days(dict[int, int | None]):
    """Days since 2000 by `year << 9 | month << 5 | day`, worked out when first asked for."""

    def __missing__(self, packed: int) -> int | None:
        if len(self) >= _DAYS_MAX:
            self.clear()
        days = days_of(packed >> 9, packed >> 5 & 15, packed & 31)
        self[packed] = days
        return days


_DAYS: Final = _Days()


# --- interchange ----------------------------------------------------------------------------------


def date_sender(zero: ZeroDates) -> Callable[[int], bytes | Misfit | None]:
    """From `year << 9 | month << 5 | day` to a date: days since 2000."""

    def send(packed: int) -> bytes | Misfit | None:
        days = _DAYS[packed]
        return zero.take(_EARLIEST_DATE) if days is None else _I32(days)

    return send


def datetime_sender(zero: ZeroDates) -> Callable[[int, int], bytes | Misfit | None]:
    """From a packed date and the microseconds of the day to a timestamp."""

    def send(packed: int, us: int) -> bytes | Misfit | None:
        days = _DAYS[packed]
        return zero.take(_EARLIEST_TIME) if days is None else _I64(days * DAY_US + us)

    return send


def instant_sender(zero: ZeroDates) -> Callable[[int, int], bytes | Misfit | None]:
    """From seconds since the Unix epoch and microseconds to a timestamp; second 0 is MySQL's zero
    date."""

    def send(seconds: int, us: int) -> bytes | Misfit | None:
        if not seconds:
            return zero.take(_EARLIEST_TIME)
        return _I64(seconds * 1_000_000 + us - UNIX_TO_2000_US)

    return send


def interval(us: int) -> bytes:
    """Microseconds as an interval, all of it in its time part."""
    return _INTERVAL(us, 0, 0)


# --- text -----------------------------------------------------------------------------------------


def fraction_text(us: int, digits: int) -> str:
    return f".{us:06}"[: digits + 1] if digits else ""


def date_text(packed: int) -> str:
    return f"{packed >> 9:04}-{packed >> 5 & 15:02}-{packed & 31:02}"


class _DateTexts(dict[int, str]):
    """`date_text`, remembered."""

    def __missing__(self, packed: int) -> str:
        if len(self) >= _DAYS_MAX:
            self.clear()
        text = self[packed] = date_text(packed)
        return text


_DATE_TEXTS: Final = _DateTexts()


def datetime_text(packed: int, us: int, digits: int) -> str:
    seconds, us = divmod(us, 1_000_000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    clock = f"{hours:02}:{minutes:02}:{seconds:02}{fraction_text(us, digits)}"
    return f"{_DATE_TEXTS[packed]} {clock}"


def time_text(us: int, digits: int) -> str:
    sign = "-" if us < 0 else ""
    seconds, us = divmod(abs(us), 1_000_000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{sign}{hours:02}:{minutes:02}:{seconds:02}{fraction_text(us, digits)}"


def instant_text(seconds: int, us: int, digits: int) -> str:
    """In UTC."""
    if not seconds:
        return f"0000-00-00 00:00:00{fraction_text(us, digits)}"
    days, second = divmod(seconds, 86_400)
    found = date.fromordinal(days + date(1970, 1, 1).toordinal())
    packed = found.year << 9 | found.month << 5 | found.day
    return datetime_text(packed, second * 1_000_000 + us, digits)


# --- reading text ---------------------------------------------------------------------------------


def parse_date(text: bytes) -> int:
    """A packed date. Raises ValueError."""
    if len(text) != 10 or text[4:5] != b"-" or text[7:8] != b"-":
        raise ValueError("not a date as the servers write it")
    return int(text[:4]) << 9 | int(text[5:7]) << 5 | int(text[8:])


def parse_datetime(text: bytes) -> tuple[int, int]:
    """A packed date and the microseconds of the day. Raises ValueError."""
    if text[10:11] != b" " or len(text) < 19:
        raise ValueError("not a date and time as the servers write it")
    return parse_date(text[:10]), parse_clock(text[11:])


def parse_clock(text: bytes) -> int:
    """Microseconds of `hours:minutes:seconds[.fraction]`, possibly negative. Raises ValueError."""
    negative = text[:1] == b"-"
    hours, minutes, rest = text.lstrip(b"-").split(b":")
    seconds, _, fraction = rest.partition(b".")
    us = ((int(hours) * 60 + int(minutes)) * 60 + int(seconds)) * 1_000_000
    us += int(fraction.ljust(6, b"0")) if fraction else 0
    return -us if negative else us


# --- from the log to the interchange form at once -------------------------------------------------


class _DayStarts(dict[int, int | None]):
    """Microseconds since 2000 at which a day begins, by the log's form of it: `(year * 13 + month)
    << 5 | day`, biased; None for a date that is none."""

    def __missing__(self, packed: int) -> int | None:
        if len(self) >= _DAYS_MAX:
            self.clear()
        year, month = divmod((packed - _DATETIME_BIAS) >> 5, 13)
        days = days_of(year, month, packed & 31)
        start = self[packed] = None if days is None else days * DAY_US
        return start


_DATETIME_BIAS: Final = 0x8000000000 >> 17
_DAY_STARTS: Final = _DayStarts()


def datetime2_sender(digits: int, zero: ZeroDates) -> Callable[[bytes], bytes | Misfit | None]:
    """What `datetime2` and `datetime_sender` come to, one behind the other."""
    bits = 8 * fraction_bytes(digits)
    unit = _unit_us(digits)
    mask = (1 << bits) - 1

    def send(data: bytes) -> bytes | Misfit | None:
        number = int.from_bytes(data, "big")
        whole = number >> bits
        start = _DAY_STARTS[whole >> 17]
        if start is None:
            return zero.take(_EARLIEST_TIME)
        seconds = (whole >> 12 & 31) * 3600 + (whole >> 6 & 63) * 60 + (whole & 63)
        return _I64(start + seconds * 1_000_000 + (number & mask) * unit)

    return send


# --- reading the log ------------------------------------------------------------------------------


def fraction_bytes(digits: int) -> int:
    return (digits + 1) // 2


def _unit_us(digits: int) -> int:
    """Microseconds of one in the fraction: it is stored in whole bytes, two digits each."""
    return (1_000_000, 10_000, 100, 1)[fraction_bytes(digits)]


def unpack_date(data: bytes) -> int:
    """DATE: three bytes, already in the packed form."""
    return int.from_bytes(data, "little")


def datetime2(digits: int) -> Callable[[bytes], tuple[int, int]]:
    """DATETIME: a packed date and the microseconds of the day."""
    bits = 8 * fraction_bytes(digits)
    unit = _unit_us(digits)
    mask = (1 << bits) - 1

    def unpack(data: bytes) -> tuple[int, int]:
        number = int.from_bytes(data, "big")
        whole = (number >> bits) - 0x8000000000
        year, month = divmod(whole >> 22, 13)
        hours, minutes, seconds = whole >> 12 & 31, whole >> 6 & 63, whole & 63
        us = ((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + (number & mask) * unit
        return year << 9 | month << 5 | whole >> 17 & 31, us

    return unpack


def old_datetime(data: bytes) -> tuple[int, int]:
    """DATETIME as servers before 5.6 stored it: the digits of its text as one number."""
    day, clock = divmod(int.from_bytes(data, "little"), 1_000_000)
    year, rest = divmod(day, 10_000)
    month, day = divmod(rest, 100)
    return year << 9 | month << 5 | day, _clock_us(clock)


def _clock_us(clock: int) -> int:
    """Microseconds of hhmmss."""
    minutes, seconds = divmod(clock, 100)
    hours, minutes = divmod(minutes, 100)
    return ((hours * 60 + minutes) * 60 + seconds) * 1_000_000


def timestamp2(digits: int) -> Callable[[bytes], tuple[int, int]]:
    """TIMESTAMP: seconds since the Unix epoch and microseconds."""
    unit = _unit_us(digits)

    def unpack(data: bytes) -> tuple[int, int]:
        return int.from_bytes(data[:4], "big"), int.from_bytes(data[4:], "big") * unit

    return unpack


def old_timestamp(data: bytes) -> tuple[int, int]:
    return int.from_bytes(data, "little"), 0


def time2(digits: int) -> Callable[[bytes], int]:
    """TIME: microseconds. The number is biased, so that bytes sort as times do."""
    bits = 8 * fraction_bytes(digits)
    unit = _unit_us(digits)
    bias = 0x800000 << bits
    mask = (1 << bits) - 1

    def unpack(data: bytes) -> int:
        number = int.from_bytes(data, "big") - bias
        size = abs(number)
        whole = size >> bits
        seconds = ((whole >> 12 & 1023) * 60 + (whole >> 6 & 63)) * 60 + (whole & 63)
        us = seconds * 1_000_000 + (size & mask) * unit
        return -us if number < 0 else us

    return unpack


def old_time(data: bytes) -> int:
    number = int.from_bytes(data, "little", signed=True)
    us = _clock_us(abs(number))
    return -us if number < 0 else us
