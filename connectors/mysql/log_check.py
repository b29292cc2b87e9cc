"""Whether a server's binary log goes on from a stored position."""

from collections.abc import Sequence
from typing import Final

from connectors.mysql.errors import LOAD_AGAIN
from connectors.mysql.gtid import GtidSet
from connectors.mysql.maria_gtid import MariaGtids
from connectors.mysql.position import AnyGtids, AnyPosition, FilePosition, GtidPosition
from connectors.mysql.server import Ask, Server, read_server
from engine.errors import PositionLostError, SourceIdentityError, SourceSwitchedError

_DOING: Final = "looking for the stored position in the source's binary log"


async def check_server(ask: Ask, expected: Server) -> None:
    """Check that the server is the one that was asked before.

    Raises:
        SourceIdentityError: a history of another kind, or without GTIDs another server.
        SourceSwitchedError: another server of the same history, perhaps.
        SourceConnectionError, SourceError.
    """
    now = await read_server(ask)
    if now.identity != expected.identity:
        raise SourceIdentityError(
            f"the source is {now.identity}, it was {expected.identity}",
            hint=f"restore the old address, or {LOAD_AGAIN}",
        )
    if now.uuid != expected.uuid:
        raise SourceSwitchedError(f"the source is server {now.uuid}, it was {expected.uuid}")


async def check_reachable(ask: Ask, after: AnyPosition) -> None:
    """Check that the log goes back to a position and holds what was read up to it.

    Raises:
        PositionLostError: it was purged past it, or never had all of it (RESET, a restored backup).
        SourceConnectionError, SourceError.
    """
    if isinstance(after, FilePosition):
        await _check_file(ask, after)
    elif isinstance(after.done, GtidSet):
        await _check_set(ask, after.done)
    else:
        await _check_list(ask, after.done)


async def _check_holds(ask: Ask, done: AnyGtids) -> None:
    """Whether the server has had these transactions, of which it may have purged some."""
    if isinstance(done, GtidSet):
        ((executed,),) = await ask(_DOING, "SELECT @@global.gtid_executed")
        missing = done - GtidSet.parse(executed or "")
        if missing:
            raise _never_had(str(missing))
    else:
        await _check_list(ask, done)


async def _check_set(ask: Ask, done: GtidSet) -> None:
    await _check_holds(ask, done)
    ((purged,),) = await ask(_DOING, "SELECT @@global.gtid_purged")
    purged_unread = GtidSet.parse(purged or "") - done
    if purged_unread:
        raise PositionLostError(
            f"the source has purged transactions that were not read: {purged_unread}",
            hint=f"keep its log longer (binlog_expire_logs_seconds); {LOAD_AGAIN}",
        )


async def _check_list(ask: Ask, done: MariaGtids) -> None:
    ((newest,),) = await ask(_DOING, "SELECT @@global.gtid_binlog_pos")
    there = MariaGtids.parse(newest or "")
    missing = [str(gtid) for gtid in done.newest if gtid not in there]
    if missing:
        raise _never_had(", ".join(missing))


async def _check_file(ask: Ask, after: FilePosition) -> None:
    rows = await ask(_DOING, "SHOW BINARY LOGS")
    sizes = {row[0]: int(row[1] or 0) for row in rows}
    size = sizes.get(after.place.file)
    if size is None:
        raise PositionLostError(
            f"the source has purged {after.place.file}, which was not read to its end",
            hint=f"keep its log longer (binlog_expire_logs_seconds); {LOAD_AGAIN}",
        )
    if size < after.place.offset:
        raise _never_had(str(after.place))


def _never_had(what: str) -> PositionLostError:
    return PositionLostError(
        f"the source's binary log does not have what was read from it: {what}",
        hint="its log was reset, or it is a restored or another server that lacks the end;"
        f" {LOAD_AGAIN}",
    )


async def check_history(
    ask: Ask, server: Server, left: str, reached: Sequence[AnyPosition]
) -> None:
    """Check that this server, which is not the one that was read, holds all that was reached.

    Raises:
        PositionLostError: it lacks some of it.
        SourceIdentityError: positions of the one before mean nothing here.
    """
    for position in reached:
        if isinstance(position, FilePosition):
            raise SourceIdentityError(
                f"the source is server {server.uuid}, it was {left}: without GTIDs a place in its"
                " log means nothing on another server",
                hint=LOAD_AGAIN,
            )
        if isinstance(position, GtidPosition):
            await _check_holds(ask, position.done)
