"""What the law decides, and by what. (pure)"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from engine.capacity.evidence import Evidence
from engine.capacity.sample import Cause, Sample


class Rule(StrEnum):
    """Why something was decided."""

    FIRST = "first"
    """Nothing was decided before: what catalog and log of the source speak for."""
    EMERGENCY = "emergency"
    """Memory is about to run out: up, at once and as far as needed."""
    UP = "up"
    """Used above the threshold, and changes lag behind."""
    DOWN = "down"
    """The load fits the next smaller size."""
    REVERSAL = "reversal"
    """A step up did not help, and is taken back."""
    KEPT = "kept"
    """A step up helped. The size stays."""
    HOLD = "hold"
    """Something keeps the law from deciding. The size stays; said once for each reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What a decision was made by: averages over `up_after` of ratios (1 is full) and of rows a
    second; lag and cause are those of the moment. None: not known."""

    memory: float | None
    queue: float | None
    appliers: float | None
    rows_in: float | None
    rows_out: float | None
    lag_seconds: float | None
    cause: Cause | None


NOTHING: Final = Inputs(
    memory=None,
    queue=None,
    appliers=None,
    rows_in=None,
    rows_out=None,
    lag_seconds=None,
    cause=None,
)
"""Before anything was measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class First:
    """What was reckoned before anything was measured: `units` for a replication for which nothing
    was decided before, at a time of the samples' clock. `reason`: its arithmetic."""

    at: float
    units: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """`units_to` is the size from now on, the same as `units_from` where nothing changes. `at` is
    the sample's; `reason` is a sentence for people."""

    at: float
    rule: Rule
    units_from: int
    units_to: int
    reason: str
    inputs: Inputs

    @property
    def changes(self) -> bool:
        return self.units_to != self.units_from


def inputs(evidence: Evidence, sample: Sample) -> Inputs:
    """The summary of what was known; of the sample alone where nothing else counts."""
    recent = evidence.recent

    def mean(name: str) -> float | None:
        values = [getattr(each, name) for each in recent or (sample,)]
        known = [value for value in values if value is not None]
        return round(sum(known) / len(known), 6) if known else None

    return Inputs(
        memory=mean("memory"),
        queue=mean("queue"),
        appliers=mean("appliers"),
        rows_in=mean("rows_in"),
        rows_out=mean("rows_out"),
        lag_seconds=sample.lag_seconds,
        cause=sample.cause,
    )
