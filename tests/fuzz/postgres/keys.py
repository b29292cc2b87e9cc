"""Texts of the server that the engine reads itself: `key-values`, `lsn`, `snapshot`."""

import re
import struct
from collections.abc import Iterator
from random import Random
from typing import Final, NamedTuple

from connectors._interchange import keyorder
from connectors.memory.storage import View
from connectors.postgres.lsn import lsn_text, parse_lsn
from connectors.postgres.visibility import parse_snapshot
from engine.model.relation import Column, ColumnType, Format
from tests.fuzz.mutation import mutated, mutated_text
from tests.fuzz.target import Fuzzed

OIDS: Final = (
    keyorder.INT2, keyorder.INT4, keyorder.INT8, keyorder.DATE, keyorder.TIMESTAMP,
    keyorder.TIMESTAMPTZ, keyorder.UUID, keyorder.BYTEA, keyorder.TEXT, keyorder.VARCHAR,
)  # fmt: skip

TEXTS: Final = (
    b"0", b"-9223372036854775808", b"2024-02-29", b"4714-11-24 BC", b"5874897-12-31", b"infinity",
    b"-infinity", b"2024-02-29 23:59:60", b"0001-01-01 00:00:00.000001+00 BC",
    b"294276-12-31 23:59:59.999999-15:59:59", b"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", b"\\x",
    b"\\xdeadbeef", b"plain", b"",
)  # fmt: skip


class Key(NamedTuple):
    oid: int
    form: Format
    value: bytes


def keys(random: Random) -> Iterator[Key]:
    while True:
        value = random.choice(TEXTS)
        if random.random() < 0.7:
            value = mutated(value, random)
        yield Key(random.choice(OIDS), random.choice(list(Format)), value)


def read_key(key: Key) -> None:
    """Two texts of one value, and its two forms, compare equal."""
    oid, form, value = key
    found = keyorder.decoder(Column("k", ColumnType("", oid), form))(value)
    assert found == keyorder.decoder(Column("k", ColumnType("", oid), form))(value)
    if oid in (keyorder.INT2, keyorder.INT4, keyorder.INT8) and form is Format.TEXT:
        assert re.fullmatch(rb"-?[0-9]{1,19}", value)
        if -(2**63) <= int(value) < 2**63:
            binary = struct.pack(">q", int(value))
            column = Column("k", ColumnType("", keyorder.INT8), Format.BINARY)
            assert keyorder.decoder(column)(binary) == found


def lsns(random: Random) -> Iterator[str]:
    while True:
        text = lsn_text(random.getrandbits(random.choice((0, 8, 33, 64))))
        yield text if random.random() < 0.3 else mutated_text(text, random)


def read_lsn(text: str) -> None:
    found = parse_lsn(text)
    assert re.fullmatch("[0-9A-Fa-f]{1,8}/[0-9A-Fa-f]{1,8}", text)
    assert parse_lsn(lsn_text(found)) == found < 2**64


def snapshots(random: Random) -> Iterator[str]:
    while True:
        xmin = random.randint(3, 2 ** random.choice((4, 32, 62)))
        xmax = xmin + random.choice((0, 1, 9, 2000))
        running = {
            x for _ in range(random.randrange(5)) if (x := xmin + random.randrange(9)) < xmax
        }
        text = f"{xmin}:{xmax}:{','.join(map(str, sorted(running)))}"
        yield text if random.random() < 0.3 else mutated_text(text, random)


def read_snapshot(text: str) -> None:
    """Read by both connectors' readers; what is accepted is the server's form."""
    try:
        view: View | None = View.parse(text)
    except ValueError:
        view = None
    xmin, xmax, running = parse_snapshot(text)
    assert re.fullmatch("[0-9]+:[0-9]+:([0-9]+(,[0-9]+)*)?", text, re.ASCII)
    assert all(xmin <= xid < xmax for xid in running)
    assert view is not None
    assert (view.limit, view.running) == (xmax, running)


TARGETS: Final = (
    Fuzzed(name="key-values", generate=keys, decode=read_key, errors=(ValueError,), weight=20),
    Fuzzed(name="lsn", generate=lsns, decode=read_lsn, errors=(ValueError,), weight=10),
    Fuzzed(
        name="snapshot", generate=snapshots, decode=read_snapshot, errors=(ValueError,), weight=10
    ),
)
