"""How MySQL's readers place snapshots of their own in the log."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from connectors.mysql.connecting import Link
from connectors.mysql.reader import Reader
from connectors.mysql.server import Server
from connectors.mysql.source_config import MysqlSourceConfig
from connectors.mysql.table_lock import TableLocks
from connectors.mysql.watermarks import Watermarks
from engine.model.relation import Relation


class Places(Protocol):
    """Opens a snapshot for one table and says where in the log it is."""

    async def look(self, link: Link, relation: Relation) -> Reader: ...


def places_of(
    open_link: Callable[[], Awaitable[Link]], server: Server, config: MysqlSourceConfig
) -> Places | None:
    """What suits the server; None where no log is read, so that a place means nothing."""
    if not config.streams or not server.log_bin:
        return None
    if server.gtid:
        return Watermarks(open_link, server, config)
    return TableLocks(open_link, server)
