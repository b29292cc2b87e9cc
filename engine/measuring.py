"""What is counted all the time, read at one moment; two readings give a rate."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from engine.capacity.sample import Phase, Sample
from engine.machine import Clock, Meter
from engine.model.usage import Usage
from engine.observe.metrics import Metrics
from engine.provision import Provision
from engine.surroundings import Surroundings

PHASES: Final = {"loading": Phase.LOADING, "retrying": Phase.RETRYING}
"""Of `penstock_state`, where no stream measures; every other state is on the way to it."""


@dataclass(frozen=True, slots=True)
class Reading:
    """`counts`: what only grows: seconds by stage, `rows_in`, `rows_out`, `batches`."""

    at: float
    usage: Usage
    counts: Mapping[str, float]

    @classmethod
    def take(cls, around: Surroundings) -> "Reading":
        """Now."""
        metrics = around.metrics
        counts = {
            **around.stages.seconds(),
            "rows_in": metrics.source_rows,
            "rows_out": metrics.target_rows,
            "batches": around.stages.batches,
        }
        return cls(around.clock.monotonic(), around.meter.read(), counts)

    def memory(self, provisioned: int) -> float | None:
        """Memory held, by what is provisioned."""
        held = self.usage.memory_bytes
        return None if held is None else held / provisioned


def rate(before: Reading, after: Reading, name: str, among: int = 1) -> float | None:
    """Growth of a count a second, for each of so many; None where no time has passed."""
    passed = after.at - before.at
    return (after.counts[name] - before.counts[name]) / passed / among if passed > 0 else None


def core(before: Reading, after: Reading) -> float | None:
    """Part of the time in which our thread could have had a core that it ran. Time in which others
    had them all says nothing about what we need."""
    ran = _grown(before.usage.core_seconds, after.usage.core_seconds)
    if ran is None or after.at <= before.at:
        return None
    denied = _grown(before.usage.denied_seconds, after.usage.denied_seconds) or 0.0
    return min(1.0, ran / max(ran, after.at - before.at - denied))


def _grown(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before


def without_stream(clock: Clock, meter: Meter, metrics: Metrics, provision: Provision) -> Sample:
    """The sample of a second in which nothing streams: how full the memory is, and why."""
    held = meter.read().memory_bytes
    return Sample(
        at=clock.monotonic(),
        phase=PHASES.get(metrics.current_state, Phase.STARTING),
        units=provision.units,
        memory=None if held is None else held / provision.budget.memory_bytes,
    )
