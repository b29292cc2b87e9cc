"""The decoder: transactions, relations, and what it refuses."""

import contextlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.postgres.pgoutput import PgOutputDecoder
from engine.errors import DecodeError
from engine.model.change import (
    DELETE,
    INSERT,
    UPDATE,
    Change,
    Event,
    Part,
    SchemaChanged,
    Truncate,
)
from engine.model.position import LogPosition
from engine.model.relation import Relation, ReplicaIdentity, TableName
from engine.model.value import UNCHANGED
from tests.unit.connectors.postgres import wire

pytestmark = pytest.mark.usefixtures("loops")

ONE, TWO = b"\0\0\0\1", b"\0\0\0\2"


def decode(
    messages: Sequence[bytes],
    relations: Sequence[Relation] = (),
    decoder: PgOutputDecoder | None = None,
) -> list[Part]:
    """Feed everything, answering each Relation message with the next relation."""
    decoder = decoder or PgOutputDecoder({})
    answers, done, all_of_them = iter(relations), 0, list(messages)
    while (done := decoder.feed(all_of_them, done)) < len(all_of_them):
        decoder.define(next(answers))
        done += 1
    return decoder.take()


def changes(parts: Sequence[Part]) -> list[Event]:
    return [e for part in parts for e in part.events if not isinstance(e, SchemaChanged)]


def one_change(message: bytes, told: Relation) -> Change:
    (part,) = decode([wire.begin(10), wire.describe(told), message, wire.commit(10, 20)], [told])
    (change,) = changes([part])
    assert isinstance(change, Change)
    return change


def test_a_transaction_is_one_part_with_its_coordinate_and_end() -> None:
    told = wire.relation()
    messages = [wire.begin(10, 7, 1_000), wire.describe(told), wire.insert([ONE, b"a"])]
    (part,) = decode([*messages, wire.commit(10, 20)], [told])
    assert part.transaction.coordinate == 10
    assert part.transaction.xid == 7
    assert part.transaction.committed_at_us == 1_000
    assert part.first == 1
    assert part.end == LogPosition(20)
    assert changes([part]) == [Change(INSERT, told, (ONE, b"a"), None)]


def test_an_open_transaction_goes_on_in_a_new_part_behind_its_ordinals() -> None:
    told = wire.relation()
    decoder = PgOutputDecoder({})
    messages = [wire.begin(10), wire.describe(told), *[wire.insert([ONE, b"a"])] * 3]
    (first,) = decode(messages, [told], decoder)
    assert (first.first, len(changes([first])), first.end) == (1, 3, None)
    assert decoder.open
    (second,) = decode([wire.truncate([wire.OID]), wire.commit(10, 20)], decoder=decoder)
    assert (second.first, second.end) == (4, LogPosition(20))
    assert second.transaction is first.transaction


def test_an_end_without_further_changes_is_a_part_of_its_own() -> None:
    told = wire.relation()
    decoder = PgOutputDecoder({})
    decode([wire.begin(10), wire.describe(told), wire.insert([ONE, b"a"])], [told], decoder)
    (part,) = decode([wire.commit(10, 20)], decoder=decoder)
    assert (part.events, part.first, part.end) == ([], 2, LogPosition(20))


def test_a_transaction_without_anything_for_us_leaves_its_end_only() -> None:
    decoder = PgOutputDecoder({})
    assert decode([wire.begin(10), wire.commit(10, 20)], decoder=decoder) == []
    assert decoder.passed == 20


@pytest.mark.parametrize(
    ("left_out", "name", "kept"),
    [
        (None, "penstock_x_1", True),
        ("penstock_", "other", True),
        ("penstock_", "penstock_x_1", False),
        ("", "other", False),
    ],
)
def test_rows_made_elsewhere_are_dropped_and_tables_described_there_are_known(
    left_out: str | None, name: str, kept: bool
) -> None:
    told = wire.relation()
    decoder = PgOutputDecoder({}, left_out=left_out)
    far = [wire.begin(1), wire.origin(name), wire.describe(told), wire.insert([ONE, b"far"])]
    near = [wire.begin(3), wire.insert([TWO, b"near"]), wire.commit(3, 4)]
    parts = decode([*far, wire.commit(1, 2), *near], [told], decoder)
    expected = [(TWO, b"near")] if not kept else [(ONE, b"far"), (TWO, b"near")]
    rows = [change.new for change in changes(parts) if isinstance(change, Change)]
    assert rows == expected
    assert [part.transaction.coordinate for part in parts] == [1, 3]


def test_a_long_transaction_made_elsewhere_is_dropped_as_it_comes() -> None:
    told = wire.relation()
    decoder = PgOutputDecoder({}, left_out="")
    decode([wire.begin(1), wire.describe(told), wire.commit(1, 2)], [told], decoder)
    rows = [wire.insert([ONE, b"far"])] * 3
    assert decode([wire.begin(3), wire.origin("x"), *rows], decoder=decoder) == []
    assert decode(rows, decoder=decoder) == []
    assert decode([wire.commit(3, 4)], decoder=decoder) == []
    assert decoder.passed == 4


def test_an_origin_behind_rows_that_are_to_be_judged_stops() -> None:
    told = wire.relation()
    messages = [wire.begin(1), wire.describe(told), wire.insert([ONE, b"a"]), wire.origin("x")]
    with pytest.raises(DecodeError):
        decode(messages, [told], PgOutputDecoder({}, left_out=""))


def test_transaction_ids_are_widened_near_the_newest_one() -> None:
    decoder = PgOutputDecoder({}, xid=(3 << 32) + 5)
    told = wire.relation()
    decode([wire.begin(1, 0xFFFFFFF0), wire.describe(told), wire.commit(1, 2)], [told], decoder)
    (part,) = decode([wire.begin(3, 4), wire.insert([ONE, None]), wire.commit(3, 4)],
                     decoder=decoder)  # fmt: skip
    assert part.transaction.xid == (3 << 32) + 4


@pytest.mark.parametrize("old", [[ONE, None], [ONE, b"x"]])
def test_a_key_tuple_tells_of_the_key_and_what_else_was_sent(old: list[bytes | None]) -> None:
    told = wire.relation()
    unsent = UNCHANGED if old[1] is None else old[1]
    assert one_change(wire.delete(old), told) == Change(DELETE, told, None, (ONE, unsent))
    changed = one_change(wire.update([TWO, b"b"], old), told)
    assert changed == Change(UPDATE, told, (TWO, b"b"), (ONE, unsent))


def test_a_full_old_row_keeps_its_nulls_and_fills_what_is_unchanged() -> None:
    told = wire.relation(identity=ReplicaIdentity.FULL)
    assert one_change(wire.delete([ONE, None], b"O"), told).old == (ONE, None)
    change = one_change(wire.update([TWO, UNCHANGED], [ONE, b"long"], b"O"), told)
    assert (change.new, change.old) == ((TWO, b"long"), (ONE, b"long"))


def test_an_unchanged_value_is_not_null() -> None:
    assert one_change(wire.update([ONE, UNCHANGED]), wire.relation()).new == (ONE, UNCHANGED)
    assert one_change(wire.update([ONE, None]), wire.relation()).new == (ONE, None)


def test_a_truncate_is_one_event_over_its_tables_with_its_options() -> None:
    told, other = wire.relation(), wire.relation(oid=9, name="other")
    messages = [wire.begin(1), wire.describe(told), wire.describe(other)]
    messages += [wire.truncate([wire.OID, 9], 3), wire.commit(1, 2)]
    assert changes(decode(messages, [told, other])) == [Truncate((told, other), True, True)]


def test_a_version_is_told_once_and_again_only_when_it_differs() -> None:
    told, wider = wire.relation(), wire.relation([wire.INT4, wire.TEXT, wire.INT8])
    known: dict[int, Relation] = {}
    messages = [wire.begin(1), wire.describe(told), wire.describe(told), wire.describe(wider)]
    (part,) = decode([*messages, wire.commit(1, 2)], [told, wire.relation(), wider],
                     PgOutputDecoder(known))  # fmt: skip
    table = TableName("public", "t")
    assert part.events == [
        SchemaChanged(table, None, told, exact=False),
        SchemaChanged(table, told, wider, exact=False),
    ]
    assert known[wire.OID] is wider


def test_an_equal_version_of_the_next_stream_is_the_same_object() -> None:
    told = wire.relation()
    known = {wire.OID: told}
    messages = [wire.begin(1), wire.describe(told), wire.insert([ONE, b"a"]), wire.commit(1, 2)]
    (part,) = decode(messages, [wire.relation()], PgOutputDecoder(known))
    (change,) = changes([part])
    assert isinstance(change, Change)
    assert change.relation is told


def test_rows_after_a_new_version_are_read_by_it() -> None:
    told, text = wire.relation(), wire.relation([wire.TEXT, wire.TEXT])
    messages = [wire.begin(1), wire.describe(told), wire.insert([ONE, b"a"]), wire.describe(text)]
    messages += [wire.insert([b"longer", b"a"]), wire.commit(1, 2)]
    rows = [e.new for e in changes(decode(messages, [told, text])) if isinstance(e, Change)]
    assert rows == [(ONE, b"a"), (b"longer", b"a")]


def test_logical_messages_of_others_are_none_of_our_business() -> None:
    told = wire.relation()
    foreign = wire.message(b"theirs", b"other")
    messages = [wire.message(b"early", b"other", 0), wire.begin(1), foreign, wire.describe(told)]
    messages += [wire.insert([ONE, b"a"]), foreign, wire.insert([TWO, b"b"]), wire.commit(1, 2)]
    (part,) = decode(messages, [told])
    assert (len(changes([part])), part.first) == (2, 1)


DROPPED = b'{"v": 4, "event": "drop", "oid": 7, "schema": "public", "name": "t"}'


@pytest.mark.parametrize(
    "content", [b"", b"tok", DROPPED, b"nekot" + DROPPED, b" token" + DROPPED, b"{"]
)
def test_a_message_without_the_token_is_passed_over_and_counted(content: bytes) -> None:
    decoder = PgOutputDecoder({}, token=b"token")
    messages = [wire.begin(1), wire.message(content), wire.commit(1, 2)]
    assert decode(messages, decoder=decoder) == []
    assert decoder.forged == 1


def test_a_message_with_the_token_is_read() -> None:
    decoder = PgOutputDecoder({}, token=b"token")
    messages = [wire.begin(1), wire.message(b"token" + DROPPED), wire.commit(1, 2)]
    (part,) = decode(messages, decoder=decoder)
    (event,) = part.events
    assert isinstance(event, SchemaChanged)
    assert (event.table, event.after) == (TableName("public", "t"), None)
    assert decoder.forged == 0


@pytest.mark.parametrize("content", [b"", b"{", DROPPED])
def test_without_a_token_no_message_is_read(content: bytes) -> None:
    messages = [wire.begin(1), wire.message(content), wire.commit(1, 2)]
    assert decode(messages) == []


@pytest.mark.parametrize("content", [b"", b"{", DROPPED.replace(b"4", b"5")])
def test_what_is_not_understood_behind_the_token_stops(content: bytes) -> None:
    decoder = PgOutputDecoder({}, token=b"token")
    with pytest.raises(DecodeError):
        decode([wire.begin(1), wire.message(b"token" + content)], decoder=decoder)


def test_a_stray_stream_abort_is_nothing_outside_and_an_error_inside() -> None:
    abort = b"A" + bytes(8)
    assert decode([abort]) == []
    with pytest.raises(DecodeError):
        decode([wire.begin(1), abort])


@pytest.mark.parametrize(
    "messages",
    [
        [b""],
        [b"Z"],
        [b"S" + bytes(5)],
        [wire.commit(1, 2)],
        [wire.begin(1), wire.begin(2)],
        [wire.begin(1), wire.commit(2, 3)],
        [wire.begin(1)[:-1]],
        [wire.begin(1), wire.insert([ONE, b"a"])],
        [wire.begin(1), wire.truncate([wire.OID])],
        [wire.describe(wire.relation())],
        [wire.begin(1), wire.describe(wire.relation()) + b"x"],
        [wire.begin(1), wire.message(b"x")[:-1]],
    ],
)
def test_what_is_not_understood_stops(messages: Sequence[bytes]) -> None:
    with pytest.raises(DecodeError):
        decode(messages)


def test_a_row_outside_of_a_transaction_stops() -> None:
    told = wire.relation()
    decoder = PgOutputDecoder({})
    decode([wire.begin(1), wire.describe(told), wire.commit(1, 2)], [told], decoder)
    with pytest.raises(DecodeError):
        decode([wire.insert([ONE, b"a"])], decoder=decoder)


def test_an_error_names_the_place_and_no_value() -> None:
    told = wire.relation()
    messages = [wire.begin(0x1_0000_0010), wire.describe(told), wire.insert([ONE, b"secret"])]
    with pytest.raises(DecodeError) as caught:
        decode([*messages, b"Zsecret"], [told])
    assert "1/10+2" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_messages_may_stand_behind_a_header() -> None:
    told = wire.relation()
    messages = [wire.begin(1), wire.describe(told), wire.insert([ONE, b"a"]), wire.commit(1, 2)]
    framed = [b"w" + bytes(24) + message for message in messages]
    assert decode(framed, [told], PgOutputDecoder({}, start=25)) == decode(messages, [told])


@given(st.data())
def test_only_decode_errors_leave_the_decoder(data: st.DataObject) -> None:
    told = wire.relation([wire.INT4, wire.TEXT, wire.INT8, wire.NUMERIC])
    decoder = PgOutputDecoder({})
    decode([wire.begin(1), wire.describe(told)], [told], decoder)
    good = [
        wire.insert([ONE, b"abc", bytes(8), b"1"]),
        wire.update([ONE, UNCHANGED, bytes(8), None], [TWO, None, None, None]),
        wire.delete([ONE, None, None, None]),
        wire.truncate([wire.OID]),
        wire.describe(told),
        wire.message(b"content"),
        wire.commit(1, 2),
    ]
    broken = bytearray(data.draw(st.sampled_from(good)))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(broken) - 1))
        broken[place] = data.draw(st.integers(0, 255))
    size = data.draw(st.integers(0, len(broken)))
    with contextlib.suppress(DecodeError):
        decoder.feed([bytes(broken[:size])])
