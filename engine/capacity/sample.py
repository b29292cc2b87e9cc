"""What is measured once a second of a running replication, as the law of capacity reads it (pure).

A value that was not measured is None, never zero: the law holds its last decision rather than act
on a guess. A recorded trace is a list of these.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

SAMPLE_SECONDS: Final = 1.0
"""Time between two samples: a hundred batches lie between, and a step up is taken in seconds."""


class Phase(StrEnum):
    """What the replication is at."""

    STARTING = "starting"
    LOADING = "loading"
    """Existing rows are copied."""
    STREAMING = "streaming"
    """Changes are applied, catching up included."""
    RETRYING = "retrying"
    """One of the two sides is away."""


class Cause(StrEnum):
    """What limits the flow."""

    SOURCE = "source"
    """We wait for the source to send what it has."""
    CPU = "cpu"
    """Our own core: decoding, routing, or making the target's form."""
    APPLIERS = "appliers"
    """Work waits for an applier, and the target would take more at once."""
    TARGET = "target"
    """The target takes no more, however many apply."""
    COPIERS = "copiers"
    """Chunks of a load wait for a copier, and neither side is at work all the time."""
    IDLE = "idle"
    """Everything the source has is applied, or soon will be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One second. `at`: seconds of a clock that never goes back; ratios: 1 is full."""

    at: float
    phase: Phase
    units: int
    """Size it ran with."""
    memory: float | None = None
    """Memory used, by memory provisioned."""
    queue: float | None = None
    """Bytes waiting between capture and apply, by the queue's budget."""
    appliers: float | None = None
    """Time appliers were at work, by the time there was."""
    rows_in: float | None = None
    """Row changes read from the source, a second."""
    rows_out: float | None = None
    """Row changes that became durable on the target, a second."""
    backlog_rows: int | None = None
    """Row changes read and not durable."""
    lag_seconds: float | None = None
    """Age of the oldest change that is not durable; 0 when there is none."""
    lanes: int | None = None
    """Lanes that have work, waiting or under way: more appliers than these find none."""
    cause: Cause | None = None
    """What limits the flow; None while that is not known."""

    @property
    def utilization(self) -> float | None:
        """The highest of the three parts; None when any of them is missing. While nothing streams
        memory is the only one."""
        parts = self.parts.values() if self.phase is Phase.STREAMING else (self.memory,)
        known = [part for part in parts if part is not None]
        return max(known) if len(known) == len(parts) else None

    @property
    def parts(self) -> Mapping[str, float | None]:
        """The three parts of utilization."""
        return {"memory": self.memory, "queue": self.queue, "appliers": self.appliers}

    @property
    def missing(self) -> tuple[str, ...]:
        """Names of what the law needs and was not measured. While nothing streams that is memory
        alone."""
        needed = NEEDED if self.phase is Phase.STREAMING else NEEDED[:1]
        return tuple(name for name in needed if getattr(self, name) is None)


NEEDED: Final = ("memory", "queue", "appliers", "rows_in", "rows_out", "lag_seconds")
"""What the law decides by, memory first. The rest it can do without."""
