"""How a replication ended well (pure)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outcome:
    """`reason`: `stopped`, `caught-up`, `position` or `loaded`; `position`: the stored frontier."""

    reason: str
    position: str = ""
