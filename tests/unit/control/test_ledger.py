"""Nothing of the machine is promised twice, and nobody waits for ever."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from engine.control.ledger import Ledger, TooLargeError
from engine.errors import InvariantError

TOTAL = 16


def test_what_is_free_is_given_at_once() -> None:
    ledger = Ledger(TOTAL)
    assert ledger.reserve("a", 10)
    assert ledger.reserve("b", 6)
    assert ledger.free == 0


def test_who_comes_later_waits_and_smaller_ones_do_not_pass() -> None:
    ledger = Ledger(TOTAL)
    assert ledger.reserve("a", 10)
    assert not ledger.reserve("b", 8)
    assert not ledger.reserve("c", 1)
    assert ledger.line == ("b", "c")
    assert ledger.release("a") == ("b", "c")
    assert ledger.held == {"b": 8, "c": 1}


def test_who_gives_up_lets_the_next_in() -> None:
    ledger = Ledger(TOTAL)
    ledger.reserve("a", 10)
    ledger.reserve("b", 8)
    ledger.reserve("c", 1)
    assert ledger.release("b") == ("c",)


def test_asking_again_keeps_the_place_in_line() -> None:
    ledger = Ledger(TOTAL)
    ledger.reserve("a", 16)
    ledger.reserve("b", 8)
    ledger.reserve("c", 8)
    assert not ledger.reserve("b", 4)
    assert ledger.line == ("b", "c")


def test_more_than_there_is_is_said_at_once() -> None:
    with pytest.raises(TooLargeError, match=r"17 bytes.* have 16"):
        Ledger(TOTAL).reserve("a", 17)


def test_one_that_runs_grows_into_what_is_free_unless_others_wait() -> None:
    ledger = Ledger(TOTAL)
    ledger.reserve("a", 4)
    assert ledger.grow("a", 8)
    assert not ledger.grow("a", 17)
    ledger.reserve("b", 16)
    assert not ledger.grow("a", 9)
    assert ledger.grow("a", 2)
    assert ledger.held == {"a": 2}


NAMES = st.sampled_from("abcde")
SIZES = st.integers(1, TOTAL)


class Books(RuleBasedStateMachine):
    """Random business; at its end everybody who waits is served once all others have left."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger(TOTAL)

    @rule(name=NAMES, size=SIZES)
    def reserve(self, name: str, size: int) -> None:
        if name in self.ledger.held:
            with pytest.raises(InvariantError):
                self.ledger.reserve(name, size)
        elif self.ledger.reserve(name, size):
            assert self.ledger.held[name] == size
        else:
            assert name in self.ledger.line

    @precondition(lambda self: self.ledger.held)
    @rule(data=st.data(), size=SIZES)
    def grow(self, data: st.DataObject, size: int) -> None:
        before = dict(self.ledger.held)
        name = data.draw(st.sampled_from(sorted(before)))
        if not self.ledger.grow(name, size):
            assert self.ledger.held == before
            assert size > before[name]

    @precondition(lambda self: self.ledger.held or self.ledger.line)
    @rule(name=NAMES)
    def release(self, name: str) -> None:
        waited = self.ledger.line
        served = self.ledger.release(name)
        assert served == tuple(n for n in waited if n in served)
        assert name not in self.ledger.held

    @invariant()
    def nothing_is_promised_twice(self) -> None:
        assert self.ledger.free >= 0

    @invariant()
    def the_first_in_line_waits_only_for_want_of_room(self) -> None:
        if self.ledger.line:
            first = self.ledger.line[0]
            assert self.ledger._line[first] > self.ledger.free

    def teardown(self) -> None:
        waiting, served = self.ledger.line, list[str]()
        while self.ledger.line:
            served += self.ledger.release(next(iter(self.ledger.held)))
        assert tuple(served) == waiting


TestBooks = Books.TestCase
