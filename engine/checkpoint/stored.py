"""Whether what a claim brought can be read as positions, asked once, before anything uses it."""

from collections.abc import Callable, Iterator
from typing import Final

from engine.checkpoint.ownership import Claim
from engine.errors import PositionLostError
from engine.model.position import Position
from engine.plan.lanes import holds_position

NAMED_MAX: Final = 10
"""Damaged rows that one message names; who sees ten knows that the table was overwritten."""


def check_positions(claimed: Claim, parse: Callable[[str], Position]) -> None:
    """Nobody but us writes them: one that cannot be read is another program's doing, or damage.

    Raises:
        PositionLostError: names every row.
    """
    damaged = [where for where, text in _stored(claimed) if not _readable(text, parse)]
    if not damaged:
        return
    more = f" and {len(damaged) - NAMED_MAX} more" if len(damaged) > NAMED_MAX else ""
    raise PositionLostError(
        f"stored positions on the target are damaged: {', '.join(damaged[:NAMED_MAX])}{more}",
        hint="put them back exactly as they were, or load the tables again (`penstock cleanup`,"
        " then `penstock run`)",
    )


def _stored(claimed: Claim) -> Iterator[tuple[str, str]]:
    """Every stored position, with where it stands."""
    for name, row in claimed.lanes.items():
        if holds_position(name):
            yield f"{name} in penstock.checkpoint", row.position
    for record in claimed.tables:
        if record.position:
            yield f"{record.table} in penstock.table_state", record.position
    for chunk in claimed.chunks:
        if chunk.until:
            yield f"{chunk.table}, chunk {chunk.ordinal}, in penstock.chunk", chunk.until


def _readable(text: str, parse: Callable[[str], Position]) -> bool:
    try:
        parse(text)
    except ValueError:
        return False
    return True
