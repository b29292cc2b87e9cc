"""Samples as the law is fed with them in tests."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

from engine.capacity.decision import Decision
from engine.capacity.law import Parameters, State, initial, step
from engine.capacity.sample import Cause, Phase, Sample
from engine.config.capacity import CapacityConfig

CALM: Final = Sample(
    at=0.0,
    phase=Phase.STREAMING,
    units=1,
    memory=0.1,
    queue=0.0,
    appliers=0.1,
    rows_in=100.0,
    rows_out=100.0,
    lag_seconds=0.0,
    cause=Cause.IDLE,
)

BEHIND: Final = replace(
    CALM,
    queue=0.3,
    appliers=1.0,
    rows_in=2_000.0,
    rows_out=1_000.0,
    lag_seconds=9.0,
    cause=Cause.APPLIERS,
)

FULL: Final = replace(CALM, memory=0.97)


class Feed:
    """Feeds samples a second apart, each with the size in force; collects what is decided."""

    def __init__(self, units: int = 1, *, fixed: bool = False, **config: Any) -> None:
        self.parameters = Parameters(config=CapacityConfig(**config), appliers_fixed=fixed)
        self.state: State = initial(self.parameters, units, 0.0)
        self.at = 0.0
        self.decisions: list[Decision] = []

    def give(self, sample: Sample) -> Decision | None:
        """One sample as it is."""
        self.at = sample.at
        self.state, decision = step(self.parameters, self.state, sample)
        if decision is not None:
            self.decisions.append(decision)
        return decision

    def feed(self, sample: Sample, seconds: int = 1, **changes: Any) -> list[Decision]:
        """The same sample for some seconds; what was decided meanwhile."""
        before = len(self.decisions)
        for _ in range(seconds):
            now = {"at": self.at + 1.0, "units": self.state.units, **changes}
            self.give(replace(sample, **now))
        return self.decisions[before:]

    def until(self, sample: Sample, seconds: int, **changes: Any) -> Decision | None:
        """The same, up to the first decision."""
        for _ in range(seconds):
            if found := self.feed(sample, **changes):
                return found[0]
        return None


def sizes(decisions: Iterable[Decision]) -> list[tuple[str, int, int]]:
    return [(d.rule.value, d.units_from, d.units_to) for d in decisions]
