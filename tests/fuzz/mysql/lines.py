"""Rows of the text protocol, as lines: `load-lines`. Both loops write the same, or refuse alike."""

from collections.abc import Iterator
from random import Random
from typing import Final, NamedTuple

from connectors._interchange import compiled
from connectors.mysql.load_lines import LineWriter
from engine.config.endpoint import ZeroDate
from engine.errors import DecodeError
from tests.fuzz.mutation import mutated
from tests.fuzz.target import Decoded, Fuzzed
from tests.unit.connectors.mysql.test_load_lines import DATES, END, KINDS, packet, row

VALUES: Final = (b"", b"-17", b"a\tb\\c\0\n", b"\xfe", b"\xff", b"x" * 250, b"\r" * 251, None)
DAYS: Final = (b"2024-02-29", b"2023-01-31 00:00:00", b"0000-00-00", b"0000-05-01", None)


class Case(NamedTuple):
    kinds: tuple[int, ...]
    data: bytes
    cut: int


def cases(random: Random) -> Iterator[Case]:
    while True:
        kinds = tuple(random.choices(KINDS, k=random.randint(1, 5)))
        data = b"".join([_row(kinds, random) for _ in range(random.randint(0, 4))])
        if random.random() < 0.9:
            data = mutated(data, random)
        yield Case(kinds, data + packet(END), random.randint(0, len(data)))


def _row(kinds: tuple[int, ...], random: Random) -> bytes:
    return row(*[random.choice(DAYS if kind in DATES else VALUES) for kind in kinds])


def decode(case: Case) -> Decoded:
    loops = compiled.LOOPS
    native = _written(case)
    try:
        compiled.LOOPS = None
        python = _written(case)
    finally:
        compiled.LOOPS = loops
    assert native == python, "the loops differ"
    return Decoded(1, int(native is None))


def _written(case: Case) -> tuple[list[bytes], bytes | None, int] | None:
    """The lines, which have no order, what ended them, and how many dates were none; None when they
    were refused."""
    writer = LineWriter(case.kinds, ZeroDate.NULL)
    found, end = b"", None
    try:
        for part in (case.data[: case.cut], case.data[case.cut :]):
            lines, end = writer.feed(part)
            found += b"".join(lines)
            if end is not None:
                break
    except DecodeError:
        return None
    return sorted(found.split(b"\n")), end, writer.met


TARGETS: Final = (Fuzzed(name="load-lines", generate=cases, decode=decode, errors=(), weight=30),)
