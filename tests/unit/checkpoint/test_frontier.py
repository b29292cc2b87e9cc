"""The frontier against a naive model."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.checkpoint.frontier import MARKS_KEPT, Frontier
from engine.model.position import LogPosition
from engine.model.segment import Mark


class Transaction:
    def __init__(self, mark: Mark, end: LogPosition) -> None:
        self.mark = mark
        self.end = end
        self.open = True
        self.pieces = 0


@settings(max_examples=400, deadline=None)
@given(st.lists(st.integers(0, 9), max_size=80), st.randoms(use_true_random=False))
def test_frontier_is_the_end_of_the_finished_prefix(steps: list[int], random: "object") -> None:
    frontier = Frontier(LogPosition(1))
    transactions: list[Transaction] = []
    offset = 10
    for step in steps:
        newest = transactions[-1] if transactions else None
        if step <= 2 and (newest is None or not newest.open):
            offset += 10
            transactions.append(Transaction(frontier.begin(), LogPosition(offset)))
        elif step <= 4 and newest is not None and newest.open:
            newest.mark.pending += 1
            newest.pieces += 1
        elif step == 5 and newest is not None and newest.open:
            newest.open = False
            frontier.finish(newest.mark, newest.end)
        else:
            waiting = [t for t in transactions if t.pieces]
            if waiting:
                done = random.choice(waiting)  # type: ignore[attr-defined]
                done.pieces -= 1
                frontier.done(done.mark)
        prefix = LogPosition(1)
        for transaction in transactions:
            if transaction.open or transaction.pieces:
                break
            prefix = transaction.end
        assert frontier.position == prefix


def test_an_idle_position_waits_for_what_came_before() -> None:
    frontier = Frontier(LogPosition(1))
    mark = frontier.begin()
    mark.pending += 1
    frontier.finish(mark, LogPosition(5))
    frontier.idle(LogPosition(9))
    assert frontier.position == LogPosition(1)
    frontier.done(mark)
    assert frontier.position == LogPosition(9)


def test_finished_transactions_behind_a_held_one_take_no_memory() -> None:
    frontier = Frontier(LogPosition(1))
    held = frontier.begin()
    held.pending += 1
    frontier.finish(held, LogPosition(5))
    for number in range(10_000):
        mark = frontier.begin()
        mark.pending += 1
        frontier.finish(mark, LogPosition(10 + number))
        frontier.done(mark)
        frontier.idle(LogPosition(10 + number))
    assert frontier.open_transactions <= 2 * MARKS_KEPT
    assert frontier.position == LogPosition(1)
    frontier.done(held)
    assert frontier.position == LogPosition(10 + 9_999)


def test_joining_never_passes_an_unfinished_transaction() -> None:
    frontier = Frontier(LogPosition(1))
    chance = Random(7)
    waiting: list[tuple[int, Mark]] = []
    for number in range(5 * MARKS_KEPT):
        mark = frontier.begin()
        mark.pending += 1
        frontier.finish(mark, LogPosition(10 + number))
        waiting.append((10 + number, mark))
        if chance.random() < 0.9:
            frontier.done(waiting.pop(chance.randrange(max(0, len(waiting) - 50), len(waiting)))[1])
        unfinished = min([end for end, _ in waiting], default=1 << 60)
        assert frontier.position.reaches(LogPosition(unfinished)) is False
    for _, mark in waiting:
        frontier.done(mark)
    assert frontier.position == LogPosition(10 + 5 * MARKS_KEPT - 1)
