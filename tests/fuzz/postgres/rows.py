"""Target `copy-rows`: rows written in COPY's binary form by both encoders, and read back."""

import struct
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any, Final, NamedTuple

from connectors._interchange import compiled
from connectors._interchange.copy_rows import HEADER, TRAILER, compile_encoder, encode
from engine.model.value import UNCHANGED
from tests.fuzz.target import Decoded, Fuzzed

SHAPES: Final = ((0,), (0, 1, 2), (2, 0), (1,), (), (4, 3, 2, 1, 0), tuple(range(5)))

REFUSALS: Final = (TypeError, ValueError)


class Case(NamedTuple):
    indexes: tuple[int, ...]
    rows: Sequence[Any]


def cases(random: Random) -> Iterator[Case]:
    values = [None, b"", b"x", b"\0" * 4, b"\xff\xff", random.randbytes(300), bytes(5000)]
    odd = [*values, UNCHANGED, "text", 7, bytearray(b"x")]
    while True:
        indexes = random.choice(SHAPES)
        pool = odd if random.random() < 0.2 else values
        count = random.choice((0, 1, 3, 40))
        rows: list[Any] = [tuple(random.choices(pool, k=5)) for _ in range(count)]
        if rows and random.random() < 0.1:
            rows[random.randrange(len(rows))] = random.choice(((), (b"x",) * 4, (b"x",) * 6, None))
        yield Case(indexes, rows)


def decode(case: Case) -> Decoded:
    """What one encoder refuses, the other does not write either, unless it is a value that is no
    value: then the callers' types are at fault, and only the refusal is asked for."""
    native = _encoded(case)
    loops = compiled.LOOPS
    try:
        compiled.LOOPS = None
        python = _encoded(case)
    finally:
        compiled.LOOPS = loops
    if native is not None or _sound(case):
        assert native == python
        assert native is not None
        read = [tuple([row[i] for i in case.indexes]) for row in case.rows]
        assert parsed(native) == read
    return Decoded(max(1, len(case.rows)), 1 if native is None else 0)


def _encoded(case: Case) -> bytes | None:
    try:
        return b"".join(encode(compile_encoder(case.indexes, 5), case.rows))
    except REFUSALS:
        return None


def _sound(case: Case) -> bool:
    return all(
        isinstance(row, tuple)
        and len(row) == 5
        and all(row[i] is None or isinstance(row[i], bytes) for i in case.indexes)
        for row in case.rows
    )


def parsed(data: bytes) -> list[tuple[bytes | None, ...]]:
    """COPY's binary form, read by the manual."""
    assert data.startswith(HEADER)
    at = len(HEADER)
    rows = []
    while data[at : at + 2] != TRAILER:
        (count,) = struct.unpack_from(">h", data, at)
        at += 2
        row: list[bytes | None] = []
        for _ in range(count):
            (size,) = struct.unpack_from(">i", data, at)
            at += 4
            row.append(None if size < 0 else data[at : at + size])
            at += max(0, size)
        rows.append(tuple(row))
    assert at + 2 == len(data)
    return rows


TARGETS: Final = (Fuzzed(name="copy-rows", generate=cases, decode=decode, errors=(), weight=50),)
