"""The weekly maintenance window, in AWS's form `ddd:hh24:mi-ddd:hh24:mi`, UTC. (pure)

Source: `PreferredMaintenanceWindow` of the API's model: at least 30 minutes, days Mon to Sun.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from engine.errors import ConfigError

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTES_MIN: Final = 30
"""Shortest window that AWS takes."""

MINUTES_OF_DAY: Final = 24 * 60
MINUTES_OF_WEEK: Final = 7 * MINUTES_OF_DAY

DRAW_FROM_MINUTE: Final = 22 * 60
DRAW_MINUTES: Final = 8 * 60
"""A window that nobody chose begins in these eight hours of a night, on a day drawn at random."""

_FORM: Final = re.compile(r"([a-z]{3}):([0-9]{2}):([0-9]{2})-([a-z]{3}):([0-9]{2}):([0-9]{2})")


@dataclass(frozen=True, slots=True)
class Window:
    """From `begin` to `end`, in minutes since Monday 00:00 UTC; one that ends before it begins goes
    over the end of the week."""

    begin: int
    end: int

    @classmethod
    def parse(cls, text: str) -> "Window":
        """Raises ConfigError, naming the form."""
        found = _FORM.fullmatch(text.strip().lower())
        if found is None:
            raise _wrong("is not of the form ddd:hh24:mi-ddd:hh24:mi, such as sun:23:45-mon:00:15")
        begin, end = _minute(*found.groups()[:3]), _minute(*found.groups()[3:])
        window = cls(begin, end)
        if window.minutes < MINUTES_MIN:
            raise _wrong(f"is {window.minutes} minutes long; {MINUTES_MIN} is the least")
        return window

    @classmethod
    def drawn(cls, number: float) -> "Window":
        """The window of who chose none. `number`: drawn from 0 to below 1, once and for good."""
        place = int(number * len(DAYS) * DRAW_MINUTES)
        day, minute = divmod(place, DRAW_MINUTES)
        begin = (day * MINUTES_OF_DAY + DRAW_FROM_MINUTE + minute) % MINUTES_OF_WEEK
        return cls(begin, (begin + MINUTES_MIN) % MINUTES_OF_WEEK)

    @property
    def minutes(self) -> int:
        """How long it is; the same minute twice is no window."""
        return (self.end - self.begin) % MINUTES_OF_WEEK

    def holds(self, now: datetime) -> bool:
        """Whether a moment (UTC) is within; its end is not."""
        return (_of_week(now) - self.begin) % MINUTES_OF_WEEK < self.minutes

    def next(self, now: datetime) -> datetime:
        """When it begins next, at `now` or after it."""
        whole = now.replace(second=0, microsecond=0)
        if whole < now:
            whole += timedelta(minutes=1)
        return whole + timedelta(minutes=(self.begin - _of_week(whole)) % MINUTES_OF_WEEK)

    def __str__(self) -> str:
        return f"{_shown(self.begin)}-{_shown(self.end)}"


def _minute(day: str, hour: str, minute: str) -> int:
    if day not in DAYS:
        raise _wrong(f"has a day that is none of {', '.join(DAYS)}")
    if int(hour) > 23 or int(minute) > 59:
        raise _wrong("has a time of day past 23:59")
    return DAYS.index(day) * MINUTES_OF_DAY + int(hour) * 60 + int(minute)


def _of_week(moment: datetime) -> int:
    return moment.weekday() * MINUTES_OF_DAY + moment.hour * 60 + moment.minute


def _shown(minute: int) -> str:
    day, within = divmod(minute, MINUTES_OF_DAY)
    return f"{DAYS[day]}:{within // 60:02}:{within % 60:02}"


def _wrong(what: str) -> ConfigError:
    return ConfigError("PreferredMaintenanceWindow", what)
