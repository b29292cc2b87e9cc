"""Which transactions a snapshot sees."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.postgres.visibility import parse_snapshot, visible
from engine.errors import InvariantError
from engine.model.change import Transaction


def sees(snapshot: str, xid: int) -> bool:
    return visible(snapshot, Transaction(coordinate=1, xid=xid))


@pytest.mark.parametrize(
    ("xid", "seen"),
    [(99, True), (100, False), (101, True), (104, False), (105, False), (106, False)],
)
def test_ended_before_is_seen_and_running_or_later_is_not(xid: int, seen: bool) -> None:
    assert sees("100:105:100,104", xid) is seen


def test_ids_above_32_bits_are_compared_whole() -> None:
    assert sees("8589934692:8589934692:", 4294967396)
    assert not sees("8589934692:8589934692:", 8589934693)


def test_a_transaction_without_an_id_is_never_judged() -> None:
    with pytest.raises(InvariantError):
        sees("100:105:", 0)


@pytest.mark.parametrize("text", ["", "1:2", "a:b:", "5:4:", "0:4:", "1:2:x"])
def test_what_is_not_a_snapshot_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"values to unpack|invalid literal|not a snapshot"):
        parse_snapshot(text)


@given(st.sets(st.integers(1, 60)), st.integers(1, 60), st.integers(1, 60))
def test_a_snapshot_sees_exactly_what_had_ended_when_it_was_taken(
    running: set[int], next_xid: int, xid: int
) -> None:
    open_then = {number for number in running if number < next_xid}
    xmin = min(open_then, default=next_xid)
    text = f"{xmin}:{next_xid}:{','.join(map(str, sorted(open_then)))}"
    assert sees(text, xid) is (xid < next_xid and xid not in open_then)
