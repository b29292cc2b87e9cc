"""Snapshots of MySQL without a lock: each reader opens its own and finds its place in the log.

The log is written first, then the storage engine commits and rows become visible, then the GTID
counts as executed. So all that a snapshot shows stands in the log before the end that is asked for
after it (high), and shows all that was executed before it was opened (low). What is between the two
is a few milliseconds of the log, whatever the table's size. It is read: the rows there, compared
with what the snapshot has of their keys, say how many of its transactions the snapshot has seen.
The chunk is exact at the place behind the last of these.

Low is a place too: everything that stood in the log when its end was asked for has been executed
once those GTIDs are that were owned by a session then (`gtid_owned`). Where one of them is owned
for long (a replica that applies a long transaction), the log is asked for by the set instead, for
which the server reads its file from the beginning.

See: MySQL manual, "Replication and Binary Logging Options" (`binlog_order_commits`), "GTID Life
Cycle"; `sql/binlog.cc`, `ordered_commit`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from connectors.mysql.commits import owned
from connectors.mysql.connecting import Link
from connectors.mysql.description import Description
from connectors.mysql.dump import open_dump
from connectors.mysql.errors import DRIVER_ERRORS, error_number
from connectors.mysql.gtid import GtidSet
from connectors.mysql.held_table import hold
from connectors.mysql.load_lines import CHECKED, TOO_LONG
from connectors.mysql.load_sql import MYSQL_TEXT, keyed_query, kinds
from connectors.mysql.log_check import check_server
from connectors.mysql.log_prefix import seen_of, touched_keys
from connectors.mysql.log_window import LogWindow, Touching
from connectors.mysql.position import AnyPosition, FilePosition, GtidPosition
from connectors.mysql.quoting import literal
from connectors.mysql.reader import Reader, begin, described
from connectors.mysql.server import Server, read_end
from connectors.mysql.source_config import MysqlSourceConfig, replica_uuid
from connectors.mysql.sql import asker
from engine.errors import SourceError
from engine.model.relation import Relation
from engine.model.value import Key, Row

ATTEMPTS: Final = 50
"""Snapshots opened for one chunk. A table with a key is placed at the first, but beside a statement
in the window; one without needs a window in which nothing changes it."""

PAUSE_SECONDS: Final = 0.02
"""Time between two of them."""

COMMIT_SECONDS: Final = 1
"""How long those that are just committing are waited for."""

DEFINITION_CHANGED: Final = 1412
"""The table is younger than the snapshot."""


class Watermarks:
    """Opens snapshots and places them. `open_link` opens one more session."""

    def __init__(
        self, open_link: Callable[[], Awaitable[Link]], server: Server, config: MysqlSourceConfig
    ) -> None:
        self._open_link = open_link
        self._server = server
        self._config = config
        self._turn = asyncio.Lock()
        """The server ends the older of two readers of its log that have one name."""
        self.opened = 0
        """Snapshots opened so far; `placed`: those whose place was found."""
        self.placed = 0

    async def look(self, link: Link, relation: Relation) -> Reader:
        """Open a snapshot in this session, exact for this table.

        Raises:
            SnapshotLostError: the table is another one by now.
            SourceConnectionError, SourceError.
            The driver's errors.
        """
        await check_server(asker(link), self._server)
        why = ""
        for _ in range(ATTEMPTS):
            self.opened += 1
            start, done = await self._low(link)
            await begin(link)
            until = await read_end(asker(link), self._server)
            description = await hold(link, self._server, relation)
            window = LogWindow(description, relation, done, until)
            if start != FilePosition(until):
                await self._read(start, window)
            at, why = await self._place(link, window)
            if at is not None:
                self.placed += 1
                return Reader(link, described(at), description)
            await asyncio.sleep(PAUSE_SECONDS)
        raise _not_placed(relation, why)

    async def _low(self, link: Link) -> tuple[AnyPosition, GtidSet]:
        """Where the window begins, and what was executed before the snapshot is opened."""
        place = await read_end(asker(link), self._server)
        committing = await owned(asker(link))
        waited = b"0"
        if committing:
            names = literal(str(committing))
            wait = f"SELECT WAIT_FOR_EXECUTED_GTID_SET({names}, {COMMIT_SECONDS})"
            waited = await link.value(wait) or b""
        executed = await link.value("SELECT @@global.gtid_executed") or b""
        done = GtidSet.parse(executed.decode())
        return (FilePosition(place) if waited == b"0" else GtidPosition(done)), done

    async def _read(self, start: AnyPosition, window: LogWindow) -> None:
        """Give the window its part of the log."""
        server_id = self._config.server_id ^ 2  # nor that of the stream, nor of `log_mark`
        async with self._turn:
            link = await self._open_link()
            try:
                await check_server(asker(link), self._server)
            except BaseException:
                link.close()
                raise
            dump = await open_dump(
                link,
                start,
                mariadb=False,
                server_id=server_id,
                uuid=replica_uuid(self._config, server_id),
                silence_seconds=self._config.silence_seconds,
            )
            try:
                while not window.reached and not window.obscure:
                    window.feed(await dump.events(behind=False))
            finally:
                await dump.close()

    async def _place(self, link: Link, window: LogWindow) -> tuple[GtidPosition | None, str]:
        """The place of the session's snapshot; without one, why not."""
        touching, relation = window.touching, window.relation
        if window.obscure or not touching:
            return (None, window.obscure) if window.obscure else (window.end, "")
        keys = touched_keys(touching, relation)
        if not relation.key:
            return None, "changed rows, and the table has no key to find them by"
        wanted = [[v for v in key if isinstance(v, bytes)] for key in keys]
        if any(len(key) != len(relation.key) for key in wanted):
            return None, "changed rows without their whole key"
        try:
            rows = await _rows(link, window.description, relation, wanted)
        except DRIVER_ERRORS as error:
            if error_number(error) != DEFINITION_CHANGED:
                raise
            return None, "a statement"
        seen = None if rows is None else seen_of(touching, relation, rows)
        if seen is None:
            return None, "changed rows that were not seen in the order of the log"
        return _behind(touching, seen, window), ""


def _behind(touching: Sequence[Touching], seen: int, window: LogWindow) -> GtidPosition:
    """The place behind so many of the transactions."""
    return window.end if seen == len(touching) else touching[seen].before


async def _rows(
    link: Link, description: Description, relation: Relation, keys: Sequence[Sequence[bytes]]
) -> Mapping[Key, Row] | None:
    """Rows of the session's snapshot with these keys, by key; None when one is too long to be
    sent."""
    checked = [i for i, kind in enumerate(kinds(description, MYSQL_TEXT)) if kind == CHECKED]
    found: dict[Key, Row] = {}
    for row in await link.run(keyed_query(description, keys)):
        if any(row[i] == TOO_LONG for i in checked):
            return None
        found[relation.key_of(row)] = row
    return found


def _not_placed(relation: Relation, why: str) -> SourceError:
    return SourceError(
        f"the place of a snapshot of {relation.qualified} in the log was not found: each of"
        f" {ATTEMPTS} met {why} just then",
        hint="GRANT RELOAD ON *.* to the user of the source's url, so that the snapshot is opened"
        " under a lock, or load while the table is quieter",
    )
