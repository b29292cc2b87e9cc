from dataclasses import dataclass

import pytest

from engine.config.limits import Limits
from engine.control.api.faults import ThrottlingException
from engine.control.api.throttle import Throttle


@dataclass
class Ticks:
    at: float = 0.0

    def monotonic(self) -> float:
        return self.at

    def wall(self) -> float:
        return self.at


def taken(throttle: Throttle, who: str, most: int = 1_000) -> int:
    """How many calls a key may make at once, now."""
    for number in range(most):
        try:
            throttle.take(who)
        except ThrottlingException:
            return number
    return most


def test_a_key_has_its_burst_and_then_its_rate_and_never_more_than_a_burst() -> None:
    clock = Ticks()
    throttle = Throttle(Limits(calls_per_second=4, calls_burst=10), clock)
    assert taken(throttle, "a") == 10
    clock.at += 0.5
    assert taken(throttle, "a") == 2
    clock.at += 0.125
    assert taken(throttle, "a") == 0
    clock.at += 0.125
    assert taken(throttle, "a") == 1
    clock.at += 3_600
    assert taken(throttle, "a") == 10


def test_one_key_takes_nothing_from_another() -> None:
    throttle = Throttle(Limits(calls_per_second=1, calls_burst=3), Ticks())
    assert taken(throttle, "a") == 3
    assert taken(throttle, "b") == 3


def test_without_a_rate_there_is_no_bound() -> None:
    assert taken(Throttle(Limits(calls_per_second=0), Ticks()), "a") == 1_000


def test_a_fault_is_in_the_words_of_aws() -> None:
    throttle = Throttle(Limits(calls_per_second=1, calls_burst=1), Ticks())
    throttle.take("a")
    with pytest.raises(ThrottlingException, match=r"^Rate exceeded$"):
        throttle.take("a")
