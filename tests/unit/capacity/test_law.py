"""The law's rules, one after the other. What it does as a whole: `test_law_properties.py`."""

from dataclasses import replace
from itertools import pairwise

import pytest

from engine.capacity.decision import Rule
from engine.capacity.law import initial
from engine.capacity.sample import Cause, Phase
from tests.unit.capacity.feeding import BEHIND, CALM, FULL, Feed, sizes

# --- up -------------------------------------------------------------------------------------------


def test_a_size_is_stepped_up_when_changes_lag_behind_busy_appliers_for_up_after() -> None:
    feed = Feed()
    feed.feed(CALM, 20)
    assert feed.feed(BEHIND, 5) == []
    (up,) = feed.feed(BEHIND)
    assert (up.rule, up.units_from, up.units_to, up.at) == (Rule.UP, 1, 2, 26.0)
    assert up.reason == "9.0 s behind for 5 s, appliers are busy to 100%"
    assert (up.inputs.rows_out, up.inputs.cause) == (1_000.0, Cause.APPLIERS)


@pytest.mark.parametrize(
    "sample",
    [
        pytest.param(replace(BEHIND, lag_seconds=0.9), id="busy, but nothing waits"),
        pytest.param(replace(BEHIND, appliers=0.89), id="behind, but appliers have time"),
        pytest.param(replace(BEHIND, lag_seconds=0.0, queue=1.0), id="full, but not behind"),
    ],
)
def test_a_size_that_does_its_work_is_not_stepped_up(sample: object) -> None:
    feed = Feed()
    assert feed.feed(sample, 200) == []  # type: ignore[arg-type]


def test_a_pause_in_between_begins_the_period_anew() -> None:
    feed = Feed()
    feed.feed(CALM, 20)
    for _ in range(20):
        feed.feed(BEHIND, 5)
        feed.feed(CALM)
    assert feed.decisions == []


def test_a_full_queue_counts_like_busy_appliers() -> None:
    feed = Feed(cool_down_seconds=1.0)
    up = feed.until(replace(BEHIND, appliers=0.2, queue=0.95), 10)
    assert up is not None
    assert up.reason == "9.0 s behind for 5 s, queue is to 95%"


@pytest.mark.parametrize("cause", [Cause.TARGET, Cause.CPU, Cause.SOURCE, Cause.IDLE])
def test_no_growth_while_something_else_is_the_limit_and_it_is_said_once(cause: Cause) -> None:
    feed = Feed()
    (held,) = feed.feed(BEHIND, 300, cause=cause)
    assert (held.rule, held.changes) == (Rule.HOLD, False)
    start = f"9.0 s behind, but more units would not help: the limit is: {cause}"
    assert held.reason == f"{start} (what helps stands in the log, at capacity.verdict)"


def test_no_growth_for_one_lane_alone() -> None:
    feed = Feed()
    (held,) = feed.feed(BEHIND, 300, lanes=1)
    assert "all that waits is of one lane" in held.reason
    assert held.reason.endswith('apply.mode = "key-parallel" splits what a key tells apart')
    assert feed.until(BEHIND, 1, lanes=2) is not None


def test_no_growth_for_appliers_whose_number_is_written() -> None:
    feed = Feed(fixed=True)
    (held,) = feed.feed(BEHIND, 300)
    assert held.reason.endswith("[apply] appliers fixes their number: leave it out")


def test_an_unknown_cause_does_not_stand_in_the_way() -> None:
    feed = Feed()
    assert sizes(feed.feed(BEHIND, 11, cause=None)) == [("up", 1, 2)]


def test_at_the_maximum_it_is_said_once() -> None:
    feed = Feed(units_max=1)
    (held,) = feed.feed(BEHIND, 300)
    assert held.reason == (
        "9.0 s behind with 1 unit, the maximum: raise [capacity] max, or give the machine memory"
        " for more"
    )
    feed.feed(CALM, 60)
    assert len(feed.feed(BEHIND, 60)) == 1, "the next time it is said again"


def test_at_the_maximum_no_more_is_asked_for_than_would_help() -> None:
    feed = Feed(units_max=1)
    (held,) = feed.feed(BEHIND, 300, cause=Cause.TARGET)
    assert held.reason.startswith(
        "9.0 s behind with 1 unit, the maximum, and more would not help: the limit is: target"
    )


# --- effect ---------------------------------------------------------------------------------------


def test_a_step_up_that_helps_is_kept_and_the_next_one_follows() -> None:
    feed = Feed()
    feed.until(BEHIND, 20)
    decided = feed.feed(BEHIND, 11, rows_out=2_000.0)
    assert sizes(decided) == [("kept", 2, 2), ("up", 2, 4)]
    assert decided[0].reason == "1,000 rows/s with 1 unit, 2,000 with 2"


def test_a_step_up_after_which_it_caught_up_is_kept() -> None:
    feed = Feed()
    feed.until(BEHIND, 20)
    (kept,) = feed.feed(CALM, 10)
    assert (kept.rule, kept.changes) == (Rule.KEPT, False)
    assert kept.reason.startswith("caught up: ")


def test_a_step_up_without_effect_is_taken_back_and_not_tried_for_a_growing_time() -> None:
    feed = Feed(bar_seconds=60.0)
    feed.until(BEHIND, 20)
    (back,) = feed.feed(BEHIND, 10, rows_out=1_050.0)
    assert sizes([back]) == [("reversal", 2, 1)]
    assert back.reason == (
        "it did not help: 1,000 rows/s with 1 unit, 1,050 with 2; no further try for 1 min unless"
        " the limit changes"
    )
    times = [back.at]
    for _ in range(8):
        while (decision := feed.feed(BEHIND)) == [] or decision[0].rule is not Rule.REVERSAL:
            pass
        times.append(decision[0].at)
    waits = [int(after - before) // 60 for before, after in pairwise(times)]
    assert waits == [1, 2, 4, 8, 16, 32, 32, 32]


def test_a_bar_is_said_once() -> None:
    feed = Feed()
    feed.feed(BEHIND, 22)
    (held,) = feed.feed(BEHIND, 500)
    assert held.reason == "9.0 s behind, but more units would not help: it was tried 0 min ago"


def test_a_bar_falls_when_the_same_size_brings_more_out_than_then() -> None:
    feed = Feed()
    feed.feed(BEHIND, 60)
    assert feed.state.units == 1
    up = feed.until(BEHIND, 10, rows_out=1_200.0)
    assert up is not None
    assert sizes([up]) == [("up", 1, 2)]


def test_a_bar_falls_when_the_limit_was_another_one() -> None:
    feed = Feed()
    feed.until(BEHIND, 20)
    feed.feed(BEHIND, 30, cause=Cause.TARGET)
    assert (feed.state.units, feed.decisions[-2].rule) == (1, Rule.REVERSAL)
    up = feed.until(BEHIND, 1)
    assert up is not None
    assert sizes([up]) == [("up", 1, 2)]


def test_a_limit_that_comes_and_goes_lets_one_more_try_through_and_not_one_each_time() -> None:
    feed = Feed()
    for _ in range(10):
        feed.feed(BEHIND, 10)
        feed.feed(BEHIND, 30, cause=Cause.TARGET)
        feed.feed(CALM, 30)
    changes = [decision for decision in feed.decisions if decision.changes]
    assert sizes(changes) == [("up", 1, 2), ("reversal", 2, 1)] * 2


def test_the_gain_that_is_asked_for_grows_with_the_units_added() -> None:
    feed = Feed(units=128, units_max=384)
    feed.until(BEHIND, 20)
    (kept,) = feed.feed(BEHIND, 10, rows_out=1_051.0)
    assert kept.rule is Rule.KEPT, "a twentieth more, for half as many units more"


# --- down -----------------------------------------------------------------------------------------


def test_a_size_is_given_back_when_the_load_fits_a_smaller_one_for_down_after() -> None:
    feed = Feed(units=4)
    assert feed.feed(CALM, 299) == []
    (down,) = feed.feed(CALM)
    assert (down.rule, down.units_from, down.units_to) == (Rule.DOWN, 4, 2)
    assert down.reason == "100 rows/s fit 2 units, as for 5 min now"
    assert sizes(feed.feed(CALM, 10)) == [("down", 2, 1)], "known for as long: after the cool-down"
    assert feed.feed(CALM, 1000) == [], "the minimum"


@pytest.mark.parametrize("part", ["memory", "appliers"])
def test_what_is_used_has_to_fit(part: str) -> None:
    feed = Feed(units=4)
    assert feed.feed(CALM, 1000, **{part: 0.43}) == []
    assert feed.feed(CALM, 305, **{part: 0.42}) != []


def test_a_queue_has_to_fit_when_it_is_given_back() -> None:
    feed = Feed(units=4)
    assert feed.feed(CALM, 1000, queue=0.43) == []
    assert feed.until(CALM, 1) is not None


def test_less_than_up_after_of_load_is_none() -> None:
    feed = Feed(units=4)
    feed.feed(CALM, 250)
    feed.feed(CALM, 5, appliers=1.0)
    assert feed.until(CALM, 51) is not None
    feed = Feed(units=4)
    feed.feed(CALM, 250)
    feed.feed(CALM, 6, appliers=1.0)
    assert feed.until(CALM, 280) is None


def test_nothing_is_given_back_while_rows_are_loaded() -> None:
    feed = Feed(units=16)
    assert feed.feed(CALM, 5000, phase=Phase.LOADING) == []
    assert feed.until(CALM, 299) is None, "what was while it loaded does not count"
    assert feed.until(CALM, 1) is not None


@pytest.mark.parametrize("phase", [Phase.STARTING, Phase.RETRYING])
def test_a_stream_that_does_not_flow_decides_nothing(phase: Phase) -> None:
    feed = Feed(units=4)
    feed.feed(CALM, 250)
    assert feed.feed(CALM, 600, phase=phase) == []
    assert feed.feed(BEHIND, 600, phase=phase) == []
    assert feed.until(CALM, 299) is None


def carried_by(units: int, rows_in: float) -> Feed:
    """A feed that has come from one unit to that many, each of which carries 1,000 rows/s."""
    feed = Feed()
    feed.feed(CALM, 300)
    while feed.state.units < units:
        feed.feed(BEHIND, rows_out=1_000.0 * feed.state.units, rows_in=rows_in)
    feed.feed(BEHIND, 9, rows_out=1_000.0 * units, rows_in=rows_in)
    return feed


def test_rows_that_a_smaller_size_was_seen_to_carry_fit_it_however_busy_appliers_are() -> None:
    feed = carried_by(8, 3_700.0)
    found = feed.feed(CALM, 45, rows_in=3_700.0, appliers=0.99)
    assert sizes(found) == [("kept", 8, 8), ("down", 8, 4)]


def test_rows_that_a_smaller_size_was_not_seen_to_carry_do_not_fit_it() -> None:
    feed = carried_by(8, 3_900.0)
    assert sizes(feed.feed(CALM, 1000, rows_in=3_900.0, appliers=0.99)) == [("kept", 8, 8)]


def test_what_only_caught_up_is_released_soon_but_not_before_the_lag_has_stayed_away() -> None:
    feed = carried_by(8, 3_300.0)
    assert feed.until(CALM, 1, rows_in=3_300.0) is not None, "kept"
    assert feed.until(CALM, 28, rows_in=3_300.0) is None
    assert feed.until(CALM, 1, rows_in=3_300.0) is not None


@pytest.mark.parametrize(("seconds", "kept"), [(40, 900), (80, 300)])
def test_what_a_load_of_less_than_a_minute_needed_is_kept_longer(seconds: int, kept: int) -> None:
    feed = carried_by(4, 1_600.0)
    feed.feed(CALM, 20, rows_in=1_600.0, appliers=0.8)
    feed.feed(CALM, seconds, rows_in=3_900.0, appliers=1.0)
    assert feed.until(CALM, kept - 2) is None
    found = feed.until(CALM, 10)
    assert found is not None
    assert sizes([found]) == [("down", 4, 2)]


def test_a_spike_is_remembered_that_was_over_before_its_size_was_reached() -> None:
    feed = carried_by(1, 100.0)
    feed.feed(BEHIND, 8, rows_in=7_000.0)
    over = feed.at
    while feed.state.units < 8:
        feed.feed(BEHIND, rows_out=1_000.0 * feed.state.units, rows_in=100.0)
    found = feed.until(CALM, 11) and feed.until(CALM, 1000)
    assert found is not None
    assert 900 <= found.at - over <= 905
    assert sizes([found]) == [("down", 8, 4)]


# --- memory ---------------------------------------------------------------------------------------


def test_memory_danger_is_answered_at_once_and_as_far_as_needed() -> None:
    feed = Feed()
    feed.feed(CALM, 20)
    (up,) = feed.feed(FULL)
    assert (up.rule, up.units_to) == (Rule.EMERGENCY, 2)
    assert up.reason == "memory is used to 97% of 1 unit"
    feed = Feed()
    feed.feed(CALM, 20)
    assert sizes(feed.feed(FULL, memory=1.9)) == [("emergency", 1, 4)]


def test_memory_danger_waits_for_the_cool_down_and_for_nothing_else() -> None:
    feed = Feed()
    assert feed.until(FULL, 9) is None
    assert feed.until(FULL, 1, phase=Phase.LOADING) is not None
    feed = Feed()
    feed.feed(CALM, 20)
    assert sizes(feed.feed(FULL, lag_seconds=None, rows_out=None)) == [("emergency", 1, 2)]


def test_memory_danger_at_the_maximum_is_said() -> None:
    feed = Feed(units_max=1)
    (held,) = feed.feed(FULL, 60)
    assert held.reason == (
        "memory is used to 97% of 1 unit, the maximum: raise [capacity] max, or give the machine"
        " memory for more"
    )


@pytest.mark.parametrize("phase", [Phase.STREAMING, Phase.LOADING])
def test_memory_above_the_threshold_for_up_after_is_answered_whatever_the_limit(
    phase: Phase,
) -> None:
    feed = Feed()
    feed.feed(CALM, 20)
    sample = replace(CALM, memory=0.92, phase=phase, cause=Cause.TARGET)
    assert feed.feed(sample, 5) == []
    (up,) = feed.feed(sample)
    assert up.reason == "memory is used above 90% for 5 s"
    assert feed.feed(CALM, 60) == [], "its effect is not to be judged by rows"


# --- what cannot be relied on ---------------------------------------------------------------------


def test_a_value_that_is_missing_holds_the_size_and_is_said_once() -> None:
    feed = Feed(units=4)
    feed.feed(CALM, 250)
    (held,) = feed.feed(BEHIND, 400, lag_seconds=None, memory=None)
    assert (held.rule, held.reason) == (Rule.HOLD, "not measured: memory, lag_seconds")
    assert feed.until(CALM, 299) is None, "no period goes on over what was not measured"
    assert len(feed.feed(CALM, 1, queue=None)) == 1, "the next time it is said again"


def test_a_clock_that_goes_back_holds_the_size_and_lifts_no_cool_down() -> None:
    feed = Feed()
    feed.feed(CALM, 4000)
    (held,) = feed.feed(BEHIND, 1, at=400.0)
    assert held.reason == "the clock of the samples went back by 3600.0 s"
    assert sizes(feed.feed(BEHIND, 7)) == [("up", 1, 2)]
    feed.feed(BEHIND, 1, at=10.0)
    assert feed.until(BEHIND, 8) is None, "one second of the cool-down had passed"
    assert sizes(feed.feed(BEHIND)) == [("reversal", 2, 1)]


def test_the_same_time_again_is_no_time() -> None:
    feed = Feed()
    feed.feed(BEHIND, 5)
    assert len(feed.feed(BEHIND, 300, at=5.0)) == 1
    assert feed.state.units == 1


def test_samples_that_stay_away_hold_the_size() -> None:
    feed = Feed()
    feed.feed(BEHIND, 5)
    (held,) = feed.feed(BEHIND, 1, at=3605.0)
    assert held.reason == "nothing was measured for 3600 s"
    assert feed.until(BEHIND, 4) is None
    assert feed.until(BEHIND, 2) is not None


def test_a_worker_that_keeps_its_old_size_is_waited_for_then_believed() -> None:
    feed = Feed()
    feed.until(BEHIND, 20)
    assert feed.state.units == 2
    assert feed.feed(BEHIND, 9, units=1) == []
    (held,) = feed.feed(BEHIND, 1, units=1)
    assert held.reason == "the worker runs with 1 unit, not with the 2 that were decided"
    assert feed.state.units == 1
    assert sizes(feed.feed(BEHIND, 11)) == [("up", 1, 2)]


# --- the beginning --------------------------------------------------------------------------------


@pytest.mark.parametrize(("asked", "begins"), [(0, 2), (1, 2), (2, 2), (7, 4), (8, 8), (500, 16)])
def test_a_replication_begins_on_the_ladder(asked: int, begins: int) -> None:
    feed = Feed(units_min=2)
    assert initial(feed.parameters, asked, 0.0).units == begins


def test_a_burst_that_would_wait_no_longer_than_the_goal_needs_no_larger_size() -> None:
    feed = carried_by(8, 3_000.0)
    feed.feed(CALM, 1, rows_in=3_000.0)
    for _ in range(20):
        feed.feed(CALM, 3, rows_in=6_000.0, appliers=1.0)
        feed.feed(CALM, 7, rows_in=500.0, appliers=0.1)
    assert feed.state.units == 4


def test_a_burst_that_would_wait_for_up_after_needs_it() -> None:
    feed = carried_by(8, 3_000.0)
    feed.feed(CALM, 1, rows_in=3_000.0)
    for _ in range(20):
        feed.feed(CALM, 6, rows_in=6_000.0, appliers=1.0)
        feed.feed(CALM, 9, rows_in=500.0, appliers=0.1)
    assert feed.state.units == 8
