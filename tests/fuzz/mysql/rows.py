"""Rows of the binary log and the documents in them: `binlog-rows`, `json-binary`, `json-changes`.

What is read in both forms is the same value: the text of the one comes to the bytes of the other.
The compiled loop and its twin in Python read the same.
"""

import struct
from collections.abc import Iterator
from functools import cache
from random import Random
from typing import Any, Final, NamedTuple

from connectors._interchange import compiled
from connectors.mysql.binlog.columns import Form
from connectors.mysql.binlog.events import RowsEvent
from connectors.mysql.binlog.rows import RowsDecoder
from connectors.mysql.binlog.table_map import JSON, TableMap
from connectors.mysql.json_binary import json_text, parse_json
from connectors.mysql.json_diff import apply_diffs, parse_diffs
from connectors.mysql.temporal import ZeroDates
from connectors.mysql.values import to_interchange
from engine.config.endpoint import ZeroDate
from engine.errors import DecodeError
from engine.model.change import DELETE, INSERT, UPDATE, Change
from engine.model.relation import Relation
from engine.model.value import UNCHANGED, Misfit
from tests.fuzz.mutation import mutated
from tests.fuzz.target import Decoded, Fuzzed
from tests.unit.connectors.mysql.binlog_bytes import bits
from tests.unit.connectors.mysql.json_bytes import binary, diff
from tests.unit.connectors.mysql.row_bytes import COLUMNS, Column, image
from tests.unit.connectors.mysql.row_bytes import described as described_columns

RELATION: Final = Relation(1, "shop", "t", ())
DOCUMENT: Final = binary({"a": [1, {"b": 2.5}], "c": "text", "d": -70_000})
CHANGES: Final = diff(0, "$.a[1].b", "x") + diff(2, "$.c") + diff(1, "$.e", [])

MORE: Final = (
    Column(JSON, b"\x04", "json", {b"doc": struct.pack("<I", len(DOCUMENT)) + DOCUMENT}),
    Column(17, b"\x06", "timestamp(6)", {b"ts": bytes(3) + b"\x05" + bytes(3)}),
    Column(19, b"\x04", "time(4)", {b"t": b"\x7f\xff\xff\x01\x02"}),
    Column(10, b"", "date", {b"d": b"\x5d\xd0\x0f"}),
    Column(13, b"", "year", {b"y": b"\x7b"}),
    Column(16, b"\x02\x01", "bit(10)", {b"b": b"\x02\x01"}),
    Column(254, b"\xf8\x02", "set('a','b','c')", {b"s": b"\x05\x00"}),
    Column(254, b"\xfe\x10", "uuid", {b"u": b"\x03abc"}),
    Column(254, b"\xfe\x10", "inet6", {b"i": b"\x01\x20"}),
    Column(140, b"\x02", "text", {b"c": b"\x06\x00\x00plain"}, "latin1"),
    Column(4, b"\x04", "float", {b"f": struct.pack("<f", 1.5)}),
)  # fmt: skip

TABLES: Final = (
    (*COLUMNS, *MORE),
    COLUMNS[:6],
    MORE[:2],
    (COLUMNS[3], COLUMNS[7], *MORE[3:7]),
    tuple(reversed(MORE)),
)


class Case(NamedTuple):
    table: int
    kind: int
    before: bytes
    after: bytes
    partial: bool
    keyed: bool
    data: bytes


@cache
def described(number: int) -> TableMap:
    return described_columns(TABLES[number])


KEYS: Final = ((), (1, 0))


@cache
def decoder(number: int, form: Form, keyed: bool, native: bool) -> RowsDecoder:
    """`native`: by the compiled loop; a decoder keeps to what it was first used with."""
    types = [None if i == SKIPPED else c.type for i, c in enumerate(TABLES[number])]
    zero = ZeroDates(ZeroDate.NULL)
    return RowsDecoder(described(number), types, form, zero, KEYS[keyed])


SKIPPED: Final = 4
"""The column that is left out, of tables that have so many."""


def cases(random: Random) -> Iterator[Case]:
    while True:
        number = random.randrange(len(TABLES))
        columns = TABLES[number]
        kind = random.choice((INSERT, UPDATE, DELETE))
        partial = kind == UPDATE and random.random() < 0.3
        masks = [_mask(len(columns), random) for _ in range(2)]
        data = b"".join(
            _row(columns, kind, partial, masks, random) for _ in range(random.randint(0, 3))
        )
        if random.random() < 0.9:
            data = mutated(data, random)
        before = bits(masks[0]) if kind != INSERT else b""
        after = bits(masks[1]) if kind != DELETE else b""
        yield Case(number, kind, before, after, partial, random.random() < 0.5, data)


def _mask(count: int, random: Random) -> list[bool]:
    """Nearly always the whole row, as functions are made for each."""
    if random.random() < 0.95:
        return [True] * count
    return [i % 2 == random.randrange(2) for i in range(count)]


def _row(
    columns: tuple[Column, ...], kind: int, partial: bool, masks: list[list[bool]], random: Random
) -> bytes:
    def values() -> list[bytes | None]:
        return [None if random.random() < 0.2 else random.choice(sorted(c.values)) for c in columns]

    old = image(columns, masks[0], values()) if kind != INSERT else b""
    options = b"\1\1" if random.random() < 0.5 else b"\0"
    return old + (options if partial else b"") + (image(columns, masks[1], values())
                                                  if kind != DELETE else b"")  # fmt: skip


def decode(case: Case) -> Decoded:
    native, narrow = _read(case, Form.NATIVE), _read(case, Form.INTERCHANGE)
    if native is None or narrow is None:
        return Decoded(1, 1)
    assert len(native) == len(narrow)
    for one, other in zip(native, narrow, strict=True):
        for row, sent in ((one.old, other.old), (one.new, other.new)):
            if row is None:
                assert sent is None
            elif sent is None:
                assert case.keyed
                _same_key(case.table, one)
            else:
                _agree(case.table, row, sent)
    return Decoded(max(1, len(native)))


def _read(case: Case, form: Form) -> list[Change] | None:
    native = _read_by(case, form, True)
    loops = compiled.LOOPS
    try:
        compiled.LOOPS = None
        python = _read_by(case, form, False)
    finally:
        compiled.LOOPS = loops
    assert native == python, "the loops differ"
    return native


def _read_by(case: Case, form: Form, native: bool) -> list[Change] | None:
    data = b"frame" + case.data + b"crc!"
    end = 5 + len(case.data)
    event = RowsEvent(
        case.kind,
        described(case.table),
        case.before,
        case.after,
        data,
        5,
        end,
        case.partial,
        ends_statement=True,
    )
    try:
        return decoder(case.table, form, case.keyed, native).decode(event, RELATION)
    except DecodeError:
        return None


def _same_key(number: int, change: Change) -> None:
    """Of moments that no server stores, such as second 0 with a fraction, several are one value."""
    assert change.old is not None
    assert change.new is not None
    columns = _columns(number)
    for index in KEYS[True]:
        old, new = (_sent(columns[index], row[index]) for row in (change.old, change.new))
        assert old == new, columns[index].type.base


def _agree(number: int, row: Any, sent: Any) -> None:
    for column, text, value in zip(_columns(number), row, sent, strict=True):
        try:
            assert value == _sent(column, text), column.type.base
        except (ValueError, struct.error, OverflowError):
            continue  # A time or a date that no server stores.


def _columns(number: int) -> list[Column]:
    return [c for i, c in enumerate(TABLES[number]) if i != SKIPPED]


def _sent(column: Column, text: Any) -> Any:
    """What a value of the one form is in the other. Raises what the conversion raises."""
    if text is None or text is UNCHANGED or isinstance(text, Misfit):
        return text
    convert = to_interchange(column.type, ZeroDates(ZeroDate.NULL))
    return text if convert is None else convert(text)


# --- documents ------------------------------------------------------------------------------------

VALUES: Final[tuple[Any, ...]] = (
    {"a": [1, {"b": 2.5}], "c": "text", "d": -70_000},
    [None, True, 65_535, 2**40, 2**64 - 1, "", "x" * 200],
    "scalar",
    {"": {"": [[[]]]}},
)
DOCUMENTS: Final = (
    *[binary(value, large) for large in (False, True) for value in VALUES],
    b"\x0f\xf6\x05\x05\x02\x80\x7b\x2d",
    b"\x0f\x0c\x08" + bytes(8),
    b"\x0f\xfc\x02\xca\xfe",
)


def documents(random: Random) -> Iterator[bytes]:
    while True:
        data = random.choice(DOCUMENTS)
        yield mutated(data, random) if random.random() < 0.95 else data


def read_document(data: bytes) -> None:
    text = json_text(parse_json(data))
    assert len(text) < 50 * len(data) + 100
    text.decode()


def changes(random: Random) -> Iterator[bytes]:
    while True:
        data = (
            CHANGES if random.random() < 0.7 else diff(1, random.choice(("$", "$.a[0]", "$.x")), {})
        )
        yield mutated(data, random) if random.random() < 0.9 else data


def change(data: bytes) -> None:
    json_text(apply_diffs(parse_json(DOCUMENT), parse_diffs(data)))


TARGETS: Final = (
    Fuzzed(name="binlog-rows", generate=cases, decode=decode, errors=(), weight=30),
    Fuzzed(name="json-binary", generate=documents, decode=read_document, errors=(ValueError,),
           weight=40),
    Fuzzed(name="json-changes", generate=changes, decode=change, errors=(ValueError,), weight=20),
)  # fmt: skip
