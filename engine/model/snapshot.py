"""A consistent view of a source's tables."""

from dataclasses import dataclass

from engine.model.position import Position


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A consistent view, alive while its context is open, importable by several readers.

    `text` decides visibility for the catch-up filter (`Source.visible`); `until` is a position past
    which no transaction is visible in it; `token` is what readers import.
    """

    text: str
    until: Position
    token: str
