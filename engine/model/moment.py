"""Moments that people write: a date and a time of day, in UTC unless an offset stands there. (pure)

Numbers are microseconds since the Unix epoch, as commit times are told.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

EXAMPLE: Final = "2026-02-09T12:12:12"

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DATED: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}.*", re.ASCII)


def moment_us(text: str) -> int:
    """Read a moment. Raises ValueError."""
    text = text.strip()
    if not _DATED.fullmatch(text):
        raise ValueError(f"is no moment such as {EXAMPLE}")
    try:
        at = datetime.fromisoformat(text)
        since = (at if at.tzinfo else at.replace(tzinfo=UTC)) - _EPOCH
    except (ValueError, OverflowError):
        raise ValueError(f"is no moment such as {EXAMPLE}") from None
    return since // timedelta(microseconds=1)


def moment_text(us: int) -> str:
    """A moment as `moment_us` reads it, in UTC."""
    at = _EPOCH + timedelta(microseconds=us)
    return at.replace(tzinfo=None).isoformat()
