"""Which transactions a snapshot sees. (pure)

PostgreSQL prints a snapshot as `xmin:xmax:xip,xip,...` with 64-bit transaction ids (manual,
"Transaction ID and Snapshot Information Functions"): everything below `xmin` had ended, nothing
from `xmax` on had begun, and the listed ones in between were still running.

Ended is not committed: only a transaction that is known to have committed may be asked about, as
every one is that the log gives.
"""

import re
from functools import lru_cache
from typing import Final, NamedTuple

from engine.errors import InvariantError
from engine.model.change import Transaction

PARSED_SNAPSHOTS_MAX: Final = 1024
"""Parsed snapshots kept. One restart of a load makes one; a thousand restarts are no plan."""

_TEXT: Final = re.compile(r"([0-9]{1,20}):([0-9]{1,20}):([0-9]{1,20}(?:,[0-9]{1,20})*)?")


class ParsedSnapshot(NamedTuple):
    """A snapshot's three parts."""

    xmin: int
    xmax: int
    running: frozenset[int]


@lru_cache(maxsize=PARSED_SNAPSHOTS_MAX)
def parse_snapshot(text: str) -> ParsedSnapshot:
    """Read the server's text of a snapshot.

    Raises:
        ValueError: the text is not of that form.
    """
    match = _TEXT.fullmatch(text)
    if match is None:
        raise ValueError("not a snapshot")
    xmin, xmax, running = int(match[1]), int(match[2]), match[3]
    ids = frozenset(map(int, running.split(","))) if running else frozenset()
    if not 0 < xmin <= xmax or not all(xmin <= xid < xmax for xid in ids):
        raise ValueError("not a snapshot: its bounds are out of order")
    return ParsedSnapshot(xmin, xmax, ids)


def visible(snapshot: str, transaction: Transaction) -> bool:
    """Whether a snapshot sees what this committed transaction wrote.

    `Transaction.xid` is the top-level id; the rows of its subtransactions share its fate.

    Raises:
        InvariantError: the transaction has no id; guessing would lose or repeat its rows.
        ValueError: the snapshot's text is not of the server's form.
    """
    xid = transaction.xid
    if xid <= 0:
        raise InvariantError("a transaction without an id met the catch-up filter")
    xmin, xmax, running = parse_snapshot(snapshot)
    return xid < xmin or (xid < xmax and xid not in running)
