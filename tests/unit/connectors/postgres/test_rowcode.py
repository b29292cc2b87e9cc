"""Generated and compiled row splitters give what the plain loop gives."""

import gc
import struct
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors._interchange import compiled
from connectors.postgres import rowcode
from engine.errors import DecodeError
from engine.model.change import Change, Event
from engine.model.relation import Format, Relation, ReplicaIdentity
from engine.model.value import UNCHANGED, Value
from tests.unit.connectors.postgres import wire

pytestmark = pytest.mark.usefixtures("loops")

TYPES = (wire.INT4, wire.INT8, wire.UUID, wire.TEXT, wire.NUMERIC)


@st.composite
def tables(draw: st.DrawFn) -> Relation:
    types = draw(st.lists(st.sampled_from(TYPES), min_size=1, max_size=7))
    places = st.sets(st.integers(0, len(types) - 1), min_size=1)
    identity = draw(st.sampled_from([ReplicaIdentity.DEFAULT, ReplicaIdentity.FULL]))
    form = draw(st.sampled_from(list(Format)))
    return wire.relation(types, key=sorted(draw(places)), identity=identity, form=form)


def values(table: Relation, *, unchanged: bool) -> st.SearchStrategy[list[Value]]:
    def one(kind: int) -> st.SearchStrategy[Value]:
        width = wire.WIDTHS.get(kind)
        some: st.SearchStrategy[Value] = (
            st.binary(max_size=300) if width is None else st.binary(min_size=width, max_size=width)
        )
        return st.one_of(some, st.none(), *([st.just(UNCHANGED)] if unchanged else []))

    return st.tuples(*(one(c.type.oid) for c in table.columns)).map(list)


def key_tuple(table: Relation, row: Sequence[Value]) -> list[Value]:
    return [v if c.identity else None for v, c in zip(row, table.columns, strict=True)]


@st.composite
def messages(draw: st.DrawFn, table: Relation) -> bytes:
    kind = b"t" if table.columns[0].format is Format.TEXT else b"b"
    new = draw(values(table, unchanged=True))
    old = draw(values(table, unchanged=False))
    full = table.replica_identity is ReplicaIdentity.FULL
    old, letter = (old, b"O") if full else (key_tuple(table, old), b"K")
    return draw(
        st.sampled_from(
            [
                wire.insert(draw(values(table, unchanged=False)), kind),
                wire.update(new, kind=kind),
                wire.update(new, old, letter, kind),
                wire.delete(old, letter, kind),
            ]
        )
    )


def outcome(table: Relation, message: bytes, *, quick: bool) -> Change | str:
    if quick:
        actions = rowcode.actions(table, wire.OID, 0)
    else:
        name = wire.OID.to_bytes(4, "big")
        plain = rowcode._plain_actions(table, 6)
        actions = {head[:1] + name + head[1:]: action for head, action in plain.items()}
    try:
        return actions[message[:6]](message)
    except DecodeError as error:
        return str(error)


@given(st.data())
def test_a_quick_reader_gives_what_the_plain_loop_gives(data: st.DataObject) -> None:
    table = data.draw(tables())
    message = data.draw(messages(table))
    plain = outcome(table, message, quick=False)
    assert isinstance(plain, Change)
    assert outcome(table, message, quick=True) == plain


@given(st.data())
def test_a_quick_reader_refuses_what_the_plain_loop_refuses(data: st.DataObject) -> None:
    table = data.draw(tables())
    message = bytearray(data.draw(messages(table)))
    place = data.draw(st.integers(6, len(message) - 1))
    message[place] = data.draw(st.integers(0, 255))
    cut = bytes(message[: data.draw(st.integers(6, len(message)))])
    assert outcome(table, cut, quick=True) == outcome(table, cut, quick=False)


@given(st.data())
def test_rows_are_read_up_to_the_first_message_that_is_none(data: st.DataObject) -> None:
    table = data.draw(tables())
    actions = rowcode.actions(table, wire.OID, 0)
    rows = data.draw(st.lists(messages(table), max_size=8))
    stop = data.draw(st.sampled_from([wire.commit(10, 20), b"", b"I", b"I\0\0\0\1N"]))
    events: list[Event] = []
    assert rowcode.read_rows([b"", *rows, stop, *rows], 1, 0, actions, events) == len(rows) + 1
    assert events == [actions[row[:6]](row) for row in rows]


def test_what_was_read_before_a_refusal_is_handed_out() -> None:
    actions = rowcode.actions(wire.relation(), wire.OID, 0)
    good = wire.insert([b"\0\0\0\1", b"a"])
    events: list[Event] = []
    with pytest.raises(DecodeError):
        rowcode.read_rows([good, good[:-1]], 0, 0, actions, events)
    assert len(events) == 1


def test_wide_tables_are_read_too() -> None:
    table = wire.relation([wire.INT4] * (rowcode.COMPILED_COLUMNS_MAX + 1))
    row: list[Value] = [struct.pack(">i", i) for i in range(len(table.columns))]
    change = outcome(table, wire.insert(row), quick=True)
    assert isinstance(change, Change)
    assert change.new == tuple(row)


@pytest.mark.parametrize(
    "message",
    [
        wire.insert([b"\0\0\0\1", b"a", b"b"]),
        wire.insert([b"\0\0\0\1", b"a"]) + b"x",
        wire.insert([b"\0\0\0\1", b"a"])[:-1],
        wire.insert([b"\0\0\0\1", b"a"], b"t"),
        wire.insert([b"\0\0\0\1", b"a"]).replace(b"\0\0\0\1a", b"\xff\xff\xff\xffa"),
    ],
)
def test_lengths_counts_and_forms_are_checked(message: bytes) -> None:
    found = outcome(wire.relation(), message, quick=True)
    assert isinstance(found, str)
    assert "public.t" in found


def test_the_collector_of_cycles_does_not_look_at_what_was_read() -> None:
    if compiled.LOOPS is None:
        pytest.skip("what Python makes is always looked at")
    table = wire.relation(TYPES, key=[0], identity=ReplicaIdentity.FULL)
    row: list[Value] = [b"1234", b"12345678", b"0123456789abcdef", b"some", None]
    change = outcome(table, wire.update(row, row, b"O", b"b"), quick=True)
    assert isinstance(change, Change)
    assert change.new == change.old == tuple(row)
    assert not any(map(gc.is_tracked, (change, change.new, change.old)))
