"""(pure) Log sequence numbers, transaction ids and times as PostgreSQL counts them."""

import re
from typing import Final

EPOCH_OFFSET_US: Final = 946_684_800_000_000
"""Microseconds from the Unix epoch to PostgreSQL's (2000-01-01 UTC)."""

_XIDS: Final = 1 << 32
_HALF: Final = 1 << 31
_TEXT: Final = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})")


def lsn_text(lsn: int) -> str:
    """The server's own form, e.g. `16/B374D848`."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def parse_lsn(text: str) -> int:
    """Read the server's form. Raises ValueError."""
    match = _TEXT.fullmatch(text)
    if match is None:
        raise ValueError("not a log sequence number")
    return int(match[1], 16) << 32 | int(match[2], 16)


def widen_xid(xid: int, near: int) -> int:
    """The 64-bit transaction id whose low half is `xid` and which lies nearest to `near`.

    The log carries the low 32 bits only; transactions in it are less than 2^31 apart from the
    newest one, else the server would have stopped for wraparound.
    """
    return near + ((xid - near + _HALF) % _XIDS) - _HALF
