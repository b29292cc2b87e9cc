"""Keys beside a naive model of them: `key-model`.

The model knows a key as the number or the bytes that PostgreSQL stores, and writes both wire forms
from that by other means than the code reads them. Forms of one key must hash alike and compare
equal, two keys as the model says, and each must be found in the chunk that a walk over all of them
finds.
"""

import struct
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Final, NamedTuple, TypeAlias
from uuid import UUID
from zlib import crc32

from connectors._interchange import keyorder
from connectors._interchange.chunk_lookup import ChunkLookup
from connectors._interchange.keyhash import key_hash
from engine.model.chunk import ChunkDone
from engine.model.relation import Column, ColumnType, Format, Relation, TableName
from tests.fuzz.target import Decoded, Fuzzed

Stored: TypeAlias = int | bytes

CYCLE_DAYS: Final = 146_097
"""Days of 400 years, after which the calendar repeats itself."""

DAY_US: Final = 86_400_000_000

FIRST_DAY, LAST_DAY = -2_451_545, 2_145_031_948
"""4714-11-24 BC and 5874897-12-31, from 2000-01-01."""

LAST_TIMESTAMP_DAY: Final = 106_751_990
"""The last whole day whose microseconds fit into a timestamp."""

TABLE: Final = TableName("public", "t")


class Kind(NamedTuple):
    """A type: how its keys are made, and written in either form."""

    oid: int
    make: Callable[[Random], Stored]
    binary: Callable[[Stored], bytes]
    text: Callable[[Stored, Random], bytes]


def _integer(bits: int) -> Callable[[Random], Stored]:
    def make(random: Random) -> Stored:
        limit = 2 ** random.randrange(bits)
        return random.randint(-limit, limit - 1)

    return make


def _packed(code: str) -> Callable[[Stored], bytes]:
    return lambda value: struct.pack(f">{code}", value)


def _decimal(value: Stored, _: Random) -> bytes:
    return b"%d" % value if isinstance(value, int) else value


def _day(random: Random) -> Stored:
    if random.random() < 0.1:
        return random.choice((keyorder.DATE_INFINITY, keyorder.DATE_MINUS_INFINITY))
    near = random.randint(-1_000_000, 1_000_000)
    return max(FIRST_DAY, random.choice((near, random.randint(FIRST_DAY, LAST_DAY))))


def _moment(random: Random) -> Stored:
    if random.random() < 0.1:
        return random.choice((keyorder.TIMESTAMP_INFINITY, keyorder.TIMESTAMP_MINUS_INFINITY))
    day = random.choice((random.randint(-800_000, 800_000), random.randint(0, LAST_TIMESTAMP_DAY)))
    return day * DAY_US + random.choice(
        (0, random.randrange(DAY_US), random.randrange(86_400) * 10**6)
    )


def _calendar(days: int) -> tuple[bytes, bytes]:
    """Date and era, by Python's calendar within one cycle."""
    cycles, rest = divmod(days, CYCLE_DAYS)
    found = date(2000, 1, 1) + timedelta(rest)
    year = found.year + 400 * cycles
    era = b"" if year > 0 else b" BC"
    return b"%04d-%02d-%02d" % (year if year > 0 else 1 - year, found.month, found.day), era


def _infinity(value: Stored, highest: int) -> bytes | None:
    return {highest: b"infinity", -highest - 1: b"-infinity"}.get(int(value))


def _date_text(value: Stored, _: Random) -> bytes:
    return _infinity(value, keyorder.DATE_INFINITY) or b"".join(_calendar(int(value)))


def _clock_text(us: int) -> bytes:
    text = (datetime(2000, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)).time().isoformat()
    return (text.rstrip("0") if "." in text else text).encode()


def _timestamp_text(value: Stored, _: Random, zone: bytes = b"") -> bytes:
    infinity = _infinity(value, keyorder.TIMESTAMP_INFINITY)
    if infinity is not None:
        return infinity
    days, us = divmod(int(value), DAY_US)
    day, era = _calendar(days)
    return day + b" " + _clock_text(us) + zone + era


def _timestamptz_text(value: Stored, random: Random) -> bytes:
    minutes = random.choice((0, 60, -60 * 9 - 30, 345))
    sign, (hours, rest) = b"-" if minutes < 0 else b"+", divmod(abs(minutes), 60)
    zone = sign + b"%02d" % hours + (b":%02d" % rest if rest else b"")
    if _infinity(value, keyorder.TIMESTAMP_INFINITY) is None:
        value = int(value) + minutes * 60_000_000
    return _timestamp_text(value, random, zone)


def _bytes(random: Random) -> Stored:
    return random.randbytes(random.randrange(6))


def _words(random: Random) -> Stored:
    return "".join(random.choices("ab\u00e9\U0001f600 ~", k=random.randrange(5))).encode()


def _raw(value: Stored) -> bytes:
    assert isinstance(value, bytes)
    return value


def _uuid_text(value: Stored, _: Random) -> bytes:
    return str(UUID(bytes=_raw(value))).encode()


KINDS: Final = (
    Kind(keyorder.INT2, _integer(16), _packed("h"), _decimal),
    Kind(keyorder.INT4, _integer(32), _packed("i"), _decimal),
    Kind(keyorder.INT8, _integer(64), _packed("q"), _decimal),
    Kind(keyorder.DATE, _day, _packed("i"), _date_text),
    Kind(keyorder.TIMESTAMP, _moment, _packed("q"), _timestamp_text),
    Kind(keyorder.TIMESTAMPTZ, _moment, _packed("q"), _timestamptz_text),
    Kind(keyorder.UUID, lambda r: r.randbytes(16), _raw, _uuid_text),
    Kind(keyorder.BYTEA, _bytes, _raw, lambda v, _: b"\\x" + _raw(v).hex().encode()),
    Kind(keyorder.TEXT, _words, _raw, lambda v, _: _raw(v)),
    Kind(keyorder.VARCHAR, _words, _raw, lambda v, _: _raw(v)),
)  # fmt: skip


class Keys(NamedTuple):
    """Keys of one or two columns, and each in either form, column by column."""

    oids: tuple[int, ...]
    stored: tuple[tuple[Stored, ...], ...]
    binary: tuple[tuple[bytes, ...], ...]
    text: tuple[tuple[bytes, ...], ...]


def keys(random: Random) -> Iterator[Keys]:
    while True:
        kinds = random.choices(KINDS, k=random.choice((1, 1, 2)))
        few = [[kind.make(random) for _ in range(4)] for kind in kinds]
        stored = tuple([tuple([random.choice(values) for values in few]) for _ in range(5)])
        yield Keys(
            tuple([kind.oid for kind in kinds]),
            stored,
            tuple(
                [tuple([k.binary(v) for k, v in zip(kinds, key, strict=True)]) for key in stored]
            ),
            tuple(
                [
                    tuple([k.text(v, random) for k, v in zip(kinds, key, strict=True)])
                    for key in stored
                ]
            ),
        )


def agree(case: Keys) -> Decoded:
    """Every key in either form is a message."""
    _hashes_agree(case)
    _order_agrees(case)
    _chunks_agree(case)
    return Decoded(2 * len(case.stored))


def _relation(oids: tuple[int, ...], form: Format) -> Relation:
    columns = tuple([Column(f"k{n}", ColumnType("", oid), form) for n, oid in enumerate(oids)])
    return Relation(1, TABLE.schema, TABLE.name, columns, tuple(range(len(oids))))


def _hashes_agree(case: Keys) -> None:
    binary, text = (key_hash(_relation(case.oids, form)) for form in (Format.BINARY, Format.TEXT))
    assert binary is not None
    assert text is not None
    for stored, *forms in zip(case.stored, case.binary, case.text, strict=True):
        parts = [v.to_bytes(8, "big", signed=True) if isinstance(v, int) else v for v in stored]
        assert binary(forms[0]) == text(forms[1]) == crc32(b"".join(parts))


def _order_agrees(case: Keys) -> None:
    for form, rows in ((Format.BINARY, case.binary), (Format.TEXT, case.text)):
        decoders = [keyorder.decoder(column) for column in _relation(case.oids, form).columns]
        read = [tuple([d(v) for d, v in zip(decoders, row, strict=True)]) for row in rows]
        for one, its in zip(read, case.stored, strict=True):
            for other, theirs in zip(read, case.stored, strict=True):
                assert (one < other, one == other) == (its < theirs, its == theirs)


def _chunks_agree(case: Keys) -> None:
    """The first keys bound the chunks, the rest are looked for."""
    bounds: dict[tuple[Stored, ...] | None, tuple[str, ...]] = {
        case.stored[n]: tuple([text.decode() for text in case.text[n]]) for n in range(3)
    }
    lows = [None, *sorted(set(case.stored[:3]))]
    ranges = list(zip(lows, [*lows[1:], None], strict=True))
    done = [
        ChunkDone(TABLE, n, "key", bounds.get(low), bounds.get(high), f"{n}", "", 0)
        for n, (low, high) in enumerate(ranges)
    ]
    lookup = ChunkLookup(done, _relation(case.oids, Format.BINARY))
    for key, row in zip(case.stored, case.binary, strict=True):
        found = [
            chunk
            for chunk, (low, high) in zip(done, ranges, strict=True)
            if (low is None or low < key) and (high is None or key <= high)
        ]
        assert [lookup.find(row)] == found


TARGETS: Final = (Fuzzed(name="key-model", generate=keys, decode=agree, errors=(), weight=5),)
