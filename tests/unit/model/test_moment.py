"""Moments that people write."""

import pytest

from engine.model.moment import moment_text, moment_us


@pytest.mark.parametrize(
    ("text", "us"),
    [
        ("2018-02-09T12:12:12", 1_518_178_332_000_000),
        (" 2018-02-09 12:12:12 ", 1_518_178_332_000_000),
        ("2018-02-09T12:12:12Z", 1_518_178_332_000_000),
        ("2018-02-09T14:12:12.000001+02:00", 1_518_178_332_000_001),
        ("2018-02-09T12:12", 1_518_178_320_000_000),
        ("1969-12-31T23:59:59.5", -500_000),
    ],
)
def test_a_moment_is_in_utc_unless_it_says_otherwise(text: str, us: int) -> None:
    assert moment_us(text) == us
    assert moment_us(moment_text(us)) == us


@pytest.mark.parametrize(
    "text",
    ["", "soon", "2018-02-09", "20180209T121212", "2018-02-30T00:00:00", "2018-02-09T25:00:00",
     "12:12:12", "4AF/B0", "1518178332", "0001-01-01T00:00:00+24:00", "2018-02-09T12:12:12x"],
)  # fmt: skip
def test_what_is_none_is_refused_with_one_that_is(text: str) -> None:
    with pytest.raises(ValueError, match=r"no moment such as 2026-02-09T12:12:12"):
        moment_us(text)
