"""What a source keeps for a reader of its log."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Retained:
    """What a source keeps because we may still ask for it; None: unknown, or no such thing.

    `bytes`: log. `transactions`: age of the oldest transaction since which no dead row of its
    catalogs may be removed (PostgreSQL: `catalog_xmin` of the slot).
    """

    bytes: int | None = None
    transactions: int | None = None
