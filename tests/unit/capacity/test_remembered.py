"""What outlives a process: the size, and what was seen not to help, for as long as that says
something. A wall clock that jumped costs one more try at most."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from engine.capacity.law import Bar, Parameters, initial
from engine.capacity.remembered import AGE_SECONDS_MAX, Remembered, remembered, stored_bar
from engine.capacity.sample import Cause
from engine.config.capacity import CapacityConfig
from tests.unit.capacity.feeding import BEHIND, Feed, sizes

CONFIG = CapacityConfig()

BAR = Bar(units=1, until=700.0, rate=900.0, cause=Cause.TARGET, doublings=2)
"""As it is in a process whose clock says 100."""

WALL = 1_700_000_000.0


def stored(bar: Bar | None = BAR, **fields: Any) -> Mapping[str, Any]:
    record = {"at": WALL, "units_to": 1, "bar": stored_bar(bar, 100.0)}
    return {**record, **fields}


def bar_after(seconds: float, record: Mapping[str, Any] | None = None) -> Bar | None:
    """What a process knows whose own clock begins at 5, that many seconds of the wall later."""
    return remembered(CONFIG, [record or stored()], 5.0, WALL + seconds).bar


def test_a_bar_has_what_is_left_of_it() -> None:
    assert bar_after(0.0) == replace(BAR, until=605.0)
    assert bar_after(200.0) == replace(BAR, until=405.0)
    assert bar_after(599.0) == replace(BAR, until=6.0)
    assert bar_after(600.0) is None


def test_a_clock_that_was_set_back_by_seconds_is_believed_and_one_by_more_is_not() -> None:
    assert bar_after(-2.0) == replace(BAR, until=605.0)
    assert bar_after(-3600.0) is None


def test_a_bar_of_days_ago_says_nothing() -> None:
    week = replace(BAR, until=100.0 + 7 * 86400.0)
    config = CapacityConfig(bar_seconds=7 * 86400.0)
    for seconds, known in ((AGE_SECONDS_MAX - 1, True), (AGE_SECONDS_MAX + 1, False)):
        found = remembered(config, [stored(week)], 5.0, WALL + seconds)
        assert (found.bar is not None) == known


def test_the_newest_record_counts_and_one_without_a_bar_ends_it() -> None:
    records = [stored(), {"at": WALL, "rule": "effect"}]
    assert remembered(CONFIG, records, 5.0, WALL).bar is not None
    records.append(stored(None, units_to=4))
    assert remembered(CONFIG, records, 5.0, WALL) == Remembered(4, None)
    assert remembered(CONFIG, [], 5.0, WALL) == Remembered(None, None)


@pytest.mark.parametrize(
    "wrong",
    [
        {"bar": "no"},
        {"bar": {"units": 1}},
        {"at": "yesterday"},
        {"bar": {**(stored_bar(BAR, 100.0) or {}), "cause": "moon"}},
        {"bar": {**(stored_bar(BAR, 100.0) or {}), "units": 3}},
        {"bar": {**(stored_bar(BAR, 100.0) or {}), "seconds_left": 1e9}},
        {"bar": {**(stored_bar(BAR, 100.0) or {}), "seconds_left": float("nan")}},
        {"bar": {**(stored_bar(BAR, 100.0) or {}), "doublings": 60}},
        {"bar": {**(stored_bar(BAR, 100.0) or {}), "rate": float("inf")}},
        {"bar": {**(stored_bar(BAR, 100.0) or {}), "rate": None}},
    ],
)
def test_what_is_no_bar_is_left_out(wrong: Mapping[str, Any]) -> None:
    assert bar_after(0.0, {**stored(), **wrong}) is None


def test_a_bar_that_is_over_is_not_stored() -> None:
    assert stored_bar(BAR, 700.0) is None
    assert stored_bar(None, 0.0) is None


def test_what_did_not_help_before_a_restart_is_not_tried_again_right_after_it() -> None:
    target = replace(BEHIND, cause=None)
    feed = Feed()
    feed.until(target, 60)
    reversal = feed.until(target, 60)
    assert reversal is not None
    bar = feed.state.bar
    again = Feed()
    left = stored_bar(bar, feed.at)
    assert left is not None
    known = remembered(CONFIG, [{**stored(None), "bar": left}], 0.0, WALL + 100.0).bar
    again.state = initial(Parameters(), 1, 0.0, known)
    assert [d.rule.value for d in again.feed(target, 400)] == ["hold"]
    assert ("up", 1, 2) in sizes(again.feed(target, 200))
    without = Feed()
    assert ("up", 1, 2) in sizes(without.feed(target, 30))


def test_a_start_counts_as_a_change() -> None:
    feed = Feed(cool_down_seconds=60.0)
    assert feed.feed(BEHIND, 55) == []
    assert sizes(feed.feed(BEHIND, 10)) == [("up", 1, 2)]
