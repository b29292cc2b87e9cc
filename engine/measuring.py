"""What is counted all the time, read at one moment; two readings give a rate."""

from collections.abc import Mapping
from dataclasses import dataclass

from engine.model.usage import Usage
from engine.surroundings import Surroundings


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
