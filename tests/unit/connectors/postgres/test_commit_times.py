"""What a look through a slot's log tells, and how much it asks of the server meanwhile."""

from collections.abc import Sequence

import pytest

from connectors.postgres.commit_times import FirstCommit, first_commit
from connectors.postgres.replication import DATA_HEADER_BYTES, Drained
from engine.errors import DecodeError
from tests.unit.connectors.postgres.wire import begin

MOMENT = 1_700_000_000_000_000
END = 1_000


class Played:
    """A stream that gives one drain after another. `silences`: waits that end with nothing."""

    def __init__(self, drains: Sequence[Drained], silences: Sequence[bool] = ()) -> None:
        self._drains = list(drains)
        self._silences = list(silences)
        self.asked = 0

    def drain(self, bytes_max: int) -> Drained:
        return self._drains.pop(0)

    async def readable(self, seconds: float) -> bool:
        return not (self._silences and self._silences.pop(0))

    def ask(self) -> None:
        self.asked += 1

    def check(self) -> None:
        """Nothing was met."""


def drained(*messages: bytes, keepalive: int = 0) -> Drained:
    found = Drained()
    found.messages = [bytes(DATA_HEADER_BYTES) + message for message in messages]
    found.keepalive, found.keepalive_at = keepalive, len(messages)
    return found


async def looked(played: Played) -> FirstCommit:
    return await first_commit(played, played, MOMENT, END, 1 << 20)  # type: ignore[arg-type]


async def test_the_first_that_was_committed_at_the_moment_counts() -> None:
    before, at, later = (
        begin(100, time_us=MOMENT - 1),
        begin(200, time_us=MOMENT),
        begin(300, time_us=MOMENT + 5),
    )
    assert await looked(Played([drained(before, b"I", at, later)])) == FirstCommit(200, True)
    assert await looked(Played([drained(at, before)])) == FirstCommit(200, False)


async def test_nothing_behind_the_end_counts() -> None:
    before, behind = begin(100, time_us=MOMENT - 1), begin(END, time_us=MOMENT - 1)
    assert await looked(Played([drained(behind)])) == FirstCommit(END, False)
    assert await looked(Played([drained(before, behind)])) == FirstCommit(END, True)
    assert await looked(Played([drained(before), drained(keepalive=END)])) == FirstCommit(END, True)


async def test_a_server_that_says_something_is_asked_for_nothing() -> None:
    """Each answer would be the reason for the next question, as fast as the two can."""
    answers = [drained(keepalive=place) for place in range(500, END + 1, 50)]
    played = Played(answers)
    assert await looked(played) == FirstCommit(END, False)
    assert not played.asked
    played = Played([drained(), drained(), drained(keepalive=END)], silences=[False, True])
    assert await looked(played) == FirstCommit(END, False)
    assert played.asked == 1


async def test_a_message_that_is_cut_off_is_named() -> None:
    with pytest.raises(DecodeError, match="ends too early"):
        await looked(Played([drained(begin(100, time_us=MOMENT)[:-8])]))
