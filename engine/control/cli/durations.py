"""Durations and moments for people. (pure)"""

from datetime import UTC, datetime
from typing import Final

_STEPS: Final = ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s"))


def duration(seconds: float) -> str:
    """Such as `15 ms`, `3.2 s`, `4 min 10 s`, `2 d 3 h`."""
    if seconds < 1:
        return f"{max(seconds, 0) * 1000:.0f} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    for size, name, part, part_name in _STEPS:
        if seconds >= size:
            rest = int(seconds % size // part)
            whole = f"{int(seconds // size)} {name}"
            return f"{whole} {rest} {part_name}" if rest else whole
    return f"{seconds:.0f} s"


def moment(seconds: float) -> str:
    """Such as `2026-11-30 10:15:02Z`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
