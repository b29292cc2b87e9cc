"""How a replication ended well (pure)."""

from dataclasses import dataclass
from typing import Final

HANDED_OVER: Final = "handed-over"
"""Reason of an attempt that ended so that foreign keys can be made; another follows at once."""

CAUGHT_UP: Final = "caught-up"
POSITION: Final = "position"
COMMIT_TIME: Final = "commit-time"
GOALS: Final = (CAUGHT_UP, POSITION, COMMIT_TIME)
"""Reasons of an end that was asked for by `--stop-at`."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """`reason`: `stopped`, `loaded` or one of `GOALS`; `position`: the stored frontier."""

    reason: str
    position: str = ""
