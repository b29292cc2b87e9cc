"""Time added up over how many wait, right at any moment."""

from hypothesis import given
from hypothesis import strategies as st

from engine.observe.occupancy import Occupancy
from engine.observe.stages import STAGES, Stages


class Watch:
    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


def test_two_for_three_seconds_are_six() -> None:
    watch = Watch()
    place = Occupancy(watch)
    place.add(2)
    watch.at += 3
    assert place.seconds == 6
    place.add(-1)
    watch.at += 10
    assert place.seconds == 16


def test_what_still_waits_is_counted_while_it_waits() -> None:
    watch = Watch()
    place = Occupancy(watch)
    with place:
        for second in range(1, 60):
            watch.at += 1
            assert place.seconds == second
    watch.at += 60
    assert place.seconds == 59


@given(st.lists(st.tuples(st.sampled_from([-1, 1, 2]), st.integers(0, 1000)), max_size=30))
def test_the_sum_is_that_of_the_counts_and_never_falls(steps: list[tuple[int, int]]) -> None:
    watch = Watch()
    place = Occupancy(watch)
    expected = count = 0
    for change, milliseconds in steps:
        if count + change < 0:
            continue
        place.add(change)
        count += change
        before = place.seconds
        watch.at += milliseconds / 1000
        expected += count * milliseconds
        assert place.seconds >= before
        assert round(place.seconds * 1000) == expected


def test_what_an_attempt_left_behind_waits_no_longer() -> None:
    watch = Watch()
    stages = Stages(watch)
    stages.applier.add(3)
    stages.target.add(2)
    watch.at += 1
    stages.clear()
    watch.at += 100
    assert stages.seconds()["applier"] == 3
    assert stages.seconds()["target"] == 2


def test_decoding_is_not_waiting_for_the_source() -> None:
    watch = Watch()
    stages = Stages(watch)
    with stages.source:
        watch.at += 5
    stages.decode += 2
    assert stages.seconds()["source"] == 3
    assert stages.seconds()["decode"] == 2
    assert tuple(stages.seconds()) == STAGES
