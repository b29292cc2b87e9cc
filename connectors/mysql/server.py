"""Which server answers, and what of its settings decides how its log is read."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from connectors.mysql.flavour import Flavour
from connectors.mysql.gtid import GtidSet
from connectors.mysql.maria_gtid import MariaGtids
from connectors.mysql.position import AnyPosition, FilePosition, GtidPosition, LogPlace
from engine.errors import SourceError

Ask: TypeAlias = Callable[[str, str], Awaitable[Sequence[Sequence[str | None]]]]
"""Rows of a query as texts; the first argument words the error."""

STATUS_FROM: Final = (8, 2, 0)
"""MySQL version that has SHOW BINARY LOG STATUS; 8.4 has lost the older word."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server as it was when it was asked.

    `gtid`: transactions are named by GTIDs, always in MariaDB, in MySQL with `gtid_mode = ON`.
    `uuid` names its data: of MySQL `server_uuid`; MariaDB has none, there it is the server id.
    `lower_names`: names of databases and tables are kept in lower case, however they are written.
    """

    flavour: Flavour
    uuid: str
    server_id: int
    gtid: bool
    log_bin: bool
    lower_names: bool = False

    @property
    def identity(self) -> str:
        """Of a history of GTIDs, which any server may carry on; without GTIDs of the server."""
        if self.mariadb:
            return "mariadb gtid"
        return "mysql gtid" if self.gtid else f"mysql {self.uuid}"

    @property
    def mariadb(self) -> bool:
        return self.flavour.mariadb


OLDEST: Final = {True: (10, 2, 5), False: (5, 7, 6)}
"""By whether it is MariaDB: the first whose catalog tells of generated columns, which no older one
can be described without."""


async def read_server(ask: Ask) -> Server:
    """Raises what `ask` raises, SourceError for a server that is too old."""
    doing = "asking the source what it is"
    query = "SELECT @@version, @@server_id, @@log_bin, @@lower_case_table_names"
    ((text, server_id, log_bin, case),) = await ask(doing, query)
    flavour = Flavour.of(text or "")
    oldest = OLDEST[flavour.mariadb]
    if flavour.version < oldest:
        raise SourceError(
            f"{doing}: it is {flavour}, whose tables cannot be described;"
            f" {'.'.join(map(str, oldest))} is the oldest that can be read",
            hint="upgrade the server",
        )
    gtid, uuid = True, f"server {server_id}"
    if not flavour.mariadb:
        ((mode, uuid_text),) = await ask(doing, "SELECT @@gtid_mode, @@server_uuid")
        gtid, uuid = mode == "ON", uuid_text or ""
    return Server(flavour, uuid, int(server_id or 0), gtid, log_bin == "1", case != "0")


async def read_head(ask: Ask, server: Server) -> AnyPosition:
    """The newest position of the log. Raises what `ask` raises, SourceError without a log."""
    place, executed = await _end(ask, server)
    if server.mariadb:
        ((gtids,),) = await ask(END, "SELECT @@global.gtid_binlog_pos")
        return GtidPosition(MariaGtids.parse(gtids or ""), log=place)
    if server.gtid:
        return GtidPosition(GtidSet.parse(executed), log=place)
    return FilePosition(place)


async def read_end(ask: Ask, server: Server) -> LogPlace:
    """Where the log ends, which is between two transactions. Those before it may be committing
    still. Raises what `ask` raises, SourceError without a log."""
    return (await _end(ask, server))[0]


END: Final = "asking the source for the end of its binary log"


async def _end(ask: Ask, server: Server) -> tuple[LogPlace, str]:
    """The place, and MySQL's set of executed GTIDs."""
    old = server.mariadb or server.flavour.version < STATUS_FROM
    rows = await ask(END, "SHOW MASTER STATUS" if old else "SHOW BINARY LOG STATUS")
    if not rows:
        raise SourceError(
            f"{END}: it writes none", hint="turn it on: log_bin, and restart the server"
        )
    executed = (rows[0][4] or "").replace("\n", "") if server.gtid and not server.mariadb else ""
    return LogPlace(rows[0][0] or "", int(rows[0][1] or 0)), executed
