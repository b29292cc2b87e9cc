"""The weekly maintenance window."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.control.window import MINUTES_MIN, MINUTES_OF_WEEK, Window
from engine.errors import ConfigError

MONDAY = datetime(2026, 11, 30, tzinfo=UTC)

moments = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1)).map(  # noqa: DTZ001
    lambda naive: naive.replace(tzinfo=UTC)
)
windows = st.builds(
    lambda begin, length: Window(begin, (begin + length) % MINUTES_OF_WEEK),
    st.integers(0, MINUTES_OF_WEEK - 1),
    st.integers(MINUTES_MIN, MINUTES_OF_WEEK - 1),
)


def test_a_window_over_the_end_of_the_week() -> None:
    window = Window.parse("sun:23:45-mon:00:15")
    assert window.minutes == 30
    assert window.holds(MONDAY)
    assert window.holds(MONDAY - timedelta(minutes=15))
    assert not window.holds(MONDAY - timedelta(minutes=16))
    assert not window.holds(MONDAY + timedelta(minutes=15))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "form"),
        ("sun:23:45", "form"),
        ("sun:3:45-sun:5:00", "form"),
        ("sun:23:45-mon:00:15 or later", "form"),
        ("day:23:45-mon:00:15", "a day that is none of mon"),
        ("sun:24:00-mon:01:00", "past 23:59"),
        ("sun:23:60-mon:01:00", "past 23:59"),
        ("sun:23:45-mon:00:14", "29 minutes"),
        ("sun:23:45-sun:23:45", "0 minutes"),
    ],
)
def test_what_is_no_window(text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        Window.parse(text)


def test_letters_may_be_large_and_are_shown_small() -> None:
    assert str(Window.parse(" Sun:23:45-Mon:00:15 ")) == "sun:23:45-mon:00:15"


@given(windows)
def test_a_window_is_read_as_it_is_shown(window: Window) -> None:
    assert Window.parse(str(window)) == window


@given(windows, moments)
def test_it_begins_next_within_a_week_and_holds_from_then_on(window: Window, now: datetime) -> None:
    begin = window.next(now)
    assert timedelta(0) <= begin - now <= timedelta(days=7)
    assert window.holds(begin)
    assert not window.holds(begin - timedelta(minutes=1))
    assert not window.holds(begin + timedelta(minutes=window.minutes))


@given(st.floats(0, 1, exclude_max=True))
def test_one_that_nobody_chose_is_half_an_hour_of_a_night(number: float) -> None:
    window = Window.drawn(number)
    assert window.minutes == MINUTES_MIN
    hour = window.begin // 60 % 24
    assert hour >= 22 or hour < 6
    assert Window.parse(str(window)) == window
