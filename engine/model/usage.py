"""What a process takes of its machine (pure)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """None for what the machine does not tell. Seconds are of the event loop's thread, since it
    began."""

    memory_bytes: int | None = None
    """Memory it holds now."""
    core_seconds: float | None = None
    """It ran."""
    denied_seconds: float | None = None
    """It would have run, but others did."""
