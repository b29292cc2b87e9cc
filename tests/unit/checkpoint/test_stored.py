"""Damaged positions are found at the claim, whatever would use them later."""

import pytest

from engine.checkpoint.ownership import Claim
from engine.checkpoint.stored import NAMED_MAX, check_positions
from engine.errors import PositionLostError
from engine.model.chunk import ChunkDone
from engine.model.position import LogPosition
from engine.model.relation import TableName
from engine.model.state import LaneRow, TableRecord, TableState

T = TableName("public", "t")


def _claim(
    lanes: dict[str, str], *, position: str = "", until: str = "", state: str = "suspended"
) -> Claim:
    return Claim(
        2,
        False,
        {name: LaneRow(2, 0, text) for name, text in lanes.items()},
        [TableRecord(T, TableState(state), position)],
        [ChunkDone(T, 3, "key", None, None, "", until, 1)],
    )


GOOD = {"frontier": "0/1", "*": "0/2+3", "public.t": "1/0", "public.t:0/16": "0/1"}
OTHERS = {"load:0": "", "source:branch": "1", "finish:foreign-keys": "later"}


def test_what_can_be_read_and_what_is_no_position_is_left_alone() -> None:
    check_positions(_claim(GOOD | OTHERS, position="0/1", until="0/1"), LogPosition.parse)
    check_positions(_claim(OTHERS, state="pending"), LogPosition.parse)


@pytest.mark.parametrize(
    ("claim", "where"),
    [
        *[(_claim({name: "x"}), f"{name} in penstock.checkpoint") for name in GOOD],
        (_claim({"frontier": ""}), "frontier in penstock.checkpoint"),
        (_claim(GOOD, position="0/"), "public.t in penstock.table_state"),
        (_claim(GOOD, until="0-1"), "public.t, chunk 3, in penstock.chunk"),
    ],
)
def test_a_damaged_position_is_named_and_needs_a_person(claim: Claim, where: str) -> None:
    with pytest.raises(PositionLostError) as caught:
        check_positions(claim, LogPosition.parse)
    assert where in caught.value.message
    assert "load the tables again" in caught.value.hint
    assert caught.value.exit_code == 3


def test_a_message_names_few_of_many() -> None:
    lanes = {f"public.t{number}": "?" for number in range(NAMED_MAX + 5)}
    with pytest.raises(PositionLostError, match="and 5 more"):
        check_positions(_claim(lanes), LogPosition.parse)
