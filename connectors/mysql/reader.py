"""A session that reads chunks, inside a transaction with a snapshot."""

from dataclasses import dataclass
from typing import Final

from connectors.mysql.connecting import Link
from connectors.mysql.description import Description
from connectors.mysql.errors import DRIVER_ERRORS, source_error
from connectors.mysql.maria_gtid import MariaGtids
from connectors.mysql.position import AnyPosition, GtidPosition, LogPlace
from engine.errors import SourceConnectionError
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


async def begin_maria(link: Link) -> Snapshot:
    """Open a snapshot in MariaDB, which tells where it is. Raises SourceError's classes."""
    doing = "opening a snapshot"
    try:
        await begin(link)
        rows = await link.run("SHOW STATUS LIKE 'binlog_snapshot_%'")
        told = {(name or b"").lower(): (value or b"").decode() for name, value in rows}
        file, offset = told[b"binlog_snapshot_file"], told[b"binlog_snapshot_position"]
        place = LogPlace(file, int(offset))
        gtids = await link.value(f"SELECT BINLOG_GTID_POS('{place.file}', {place.offset})")
    except DRIVER_ERRORS as error:
        raise source_error(error, doing) from error
    if gtids is None:
        raise SourceConnectionError(f"{doing}: its place in the binary log is gone already")
    return described(GtidPosition(MariaGtids.parse(gtids.decode()), log=place))


def described(at: AnyPosition) -> Snapshot:
    """A snapshot that has seen what is before a position, and nothing behind it."""
    return Snapshot(text=str(at), until=at, token=str(at))
