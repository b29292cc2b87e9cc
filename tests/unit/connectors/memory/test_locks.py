"""Locks of the memory server: who waits for whom."""

import pytest

from connectors.memory.locks import DeadlockError, LockTable, WouldBlockError


def test_shared_locks_go_together_and_an_exclusive_one_with_nobody() -> None:
    locks = LockTable()
    locks.acquire(1, "row", exclusive=False)
    locks.acquire(2, "row", exclusive=False)
    with pytest.raises(WouldBlockError) as caught:
        locks.acquire(3, "row")
    assert caught.value.holders == (1, 2)
    locks.release(1)
    locks.release(2)
    locks.acquire(3, "row")
    locks.acquire(3, "row", exclusive=False)
    with pytest.raises(WouldBlockError):
        locks.acquire(1, "row", exclusive=False)


def test_a_holder_may_take_more_but_not_past_another() -> None:
    locks = LockTable()
    locks.acquire(1, "row", exclusive=False)
    locks.acquire(1, "row")
    locks.release(1)
    locks.acquire(1, "row", exclusive=False)
    locks.acquire(2, "row", exclusive=False)
    with pytest.raises(WouldBlockError):
        locks.acquire(1, "row")


def test_a_circle_of_any_length_is_a_deadlock() -> None:
    locks = LockTable()
    locks.wait(1, (2,))
    locks.wait(2, (3, 4))
    with pytest.raises(DeadlockError):
        locks.wait(4, (1,))
    locks.waited(1)
    locks.wait(4, (1,))
