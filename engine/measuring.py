"""What is counted all the time, read at one moment; two readings give a rate."""

from collections.abc import Mapping
from dataclasses import dataclass

from engine.model.usage import Usage
from engine.surroundings import Surroundings


@dataclass(frozen=True, slots=True)
class Reading:
    """`counts`: what only grows, by name: seconds of each stage, and `rows_in` and `rows_out`."""

    at: float
    usage: Usage
    counts: Mapping[str, float]

    @classmethod
    def take(cls, around: Surroundings) -> "Reading":
        """Now."""
        metrics = around.metrics
        rows = {"rows_in": metrics.source_rows, "rows_out": metrics.target_rows}
        seconds = around.stages.seconds()
        return cls(around.clock.monotonic(), around.meter.read(), {**seconds, **rows})

    def memory(self, provisioned: int) -> float | None:
        """Memory held, by what is provisioned."""
        held = self.usage.memory_bytes
        return None if held is None else held / provisioned


def rate(before: Reading, after: Reading, name: str, among: int = 1) -> float | None:
    """Growth of a count a second, for each of so many; None where no time has passed."""
    passed = after.at - before.at
    return (after.counts[name] - before.counts[name]) / passed / among if passed > 0 else None
