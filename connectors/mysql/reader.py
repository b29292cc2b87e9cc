"""A session that reads chunks, inside a transaction with a snapshot."""

from dataclasses import dataclass
from typing import Final

from connectors.mysql.connecting import Link
from connectors.mysql.description import Description
from connectors.mysql.position import AnyPosition
from engine.model.snapshot import Snapshot

_BEGIN: Final = (
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
)


@dataclass(slots=True)
class Reader:
    """It sees a table, which has this description until the transaction ends, as it was at `at`."""

    link: Link
    at: Snapshot
    description: Description


async def begin(link: Link) -> None:
    """Open a snapshot; ends one that is open. Raises the driver's errors."""
    for statement in _BEGIN:
        await link.run(statement)


def described(at: AnyPosition) -> Snapshot:
    """A snapshot that has seen what is before a position, and nothing behind it."""
    return Snapshot(text=str(at), until=at, token=str(at))
