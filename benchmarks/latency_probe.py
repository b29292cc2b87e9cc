"""Two processes of the latency case: one commits numbers, one looks for them on the target.

    python -m benchmarks.latency_probe write DSN RATE SECONDS
    python -m benchmarks.latency_probe read DSN LAST

Both print a JSON list of [number, monotonic seconds]; the clock is the machine's, so the two lists
can be subtracted.
"""

import json
import sys
import time
from typing import Final

import psycopg

LOOK_SECONDS: Final = 0.0002
"""Pause between two looks of the reader; it leaves the core to the servers."""

READ_SECONDS_MAX: Final = 300.0


def write(dsn: str, rate: float, seconds: float) -> list[tuple[int, float]]:
    """Insert numbers at a steady rate; when each commit was confirmed."""
    times = []
    with psycopg.connect(dsn, autocommit=True) as connection:
        started = time.monotonic()
        for number in range(1, int(rate * seconds) + 1):
            ahead = started + number / rate - time.monotonic()
            if ahead > 0:
                time.sleep(ahead)
            connection.execute("INSERT INTO ticks VALUES (%s)", (number,), prepare=True)
            times.append((number, time.monotonic()))
    return times


def read(dsn: str, last: int) -> list[tuple[int, float]]:
    """When each number was first seen. Numbers that came together have one time."""
    times: list[tuple[int, float]] = []
    deadline = time.monotonic() + READ_SECONDS_MAX
    with psycopg.connect(dsn, autocommit=True) as connection:
        seen = 0
        while seen < last:
            row = connection.execute("SELECT max(number) FROM ticks", prepare=True).fetchone()
            now = time.monotonic()
            newest = row[0] if row and row[0] else 0
            times += [(number, now) for number in range(seen + 1, newest + 1)]
            seen = max(seen, newest)
            if now > deadline:
                raise TimeoutError(f"{seen} of {last} numbers arrived")
            time.sleep(LOOK_SECONDS)
    return times


def main(arguments: list[str]) -> None:
    """Run one of the two."""
    what, dsn, *rest = arguments
    times = (
        write(dsn, float(rest[0]), float(rest[1])) if what == "write" else read(dsn, int(rest[0]))
    )
    json.dump(times, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1:])
