"""Opening the stream: everything checked that makes it the continuation of what was read before."""

import math
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from typing import Final

from connectors.postgres.added_columns import added_columns
from connectors.postgres.catalog import Catalog
from connectors.postgres.commit_times import FirstCommit, first_commit
from connectors.postgres.config import STATUS_SECONDS_MAX, PostgresSourceConfig
from connectors.postgres.ddl_capture import MESSAGES_FROM
from connectors.postgres.errors import LOAD_AGAIN, TextModeNeededError
from connectors.postgres.feedback import Feedback
from connectors.postgres.lsn import lsn_text, parse_lsn
from connectors.postgres.origins import PREFIX
from connectors.postgres.pgoutput import PgOutputDecoder
from connectors.postgres.published import PublishedTables
from connectors.postgres.relation_message import RelationMessage
from connectors.postgres.replication import DATA_HEADER_BYTES, ReplicationConnection
from connectors.postgres.running_transactions import become_visible
from connectors.postgres.server import FAILOVER_FROM, ORIGIN_FROM, Server, check_fork, check_log
from connectors.postgres.slot import Slot, Slots
from connectors.postgres.sql import Sql
from connectors.postgres.stream import CHECK_SECONDS, LogStream
from engine.config.endpoint import Origin
from engine.errors import (
    PositionLostError,
    SlotBusyError,
    SourceConnectionError,
    SourceError,
)
from engine.machine import Clock
from engine.model.change import SchemaStep
from engine.model.relation import Relation

DUPLICATE_OBJECT: Final = "42710"

SENDER_TIMEOUT_SHARE: Final = 3
"""Status updates in one `wal_sender_timeout`."""

LEFT_OUT: Final = {Origin.NONE: "", Origin.EXCEPT_PENSTOCK: PREFIX}
"""How the names of those origins begin whose transactions are left out."""


class StreamOpener:
    """Opens the log of one replication, again and again.

    `token`: what the messages of the event triggers begin with; where it is known they tell of
    schema changes, and the catalog is not asked for the numbers of columns. The relations that were
    described stay known from stream to stream. `published` has the names of the others.
    """

    def __init__(
        self,
        sql: Sql,
        catalog: Catalog,
        slots: Slots,
        published: PublishedTables,
        clock: Clock,
        config: PostgresSourceConfig,
        application: str,
    ) -> None:
        self.token: bytes | None = None
        self._sql = sql
        self._catalog = catalog
        self._slots = slots
        self._published = published
        self._clock = clock
        self._config = config
        self._application = application
        self._known: dict[int, Relation] = {}
        self.timeline: int | None = None
        """The one that is read, once `check_timeline` or the first stream has chosen it."""

    def slot_missing(self) -> PositionLostError:
        return PositionLostError(
            f"replication slot {self._config.slot} does not exist any more",
            hint=f"the changes since the stored position cannot be had; {LOAD_AGAIN}",
        )

    async def create_slot(
        self, server: Server, hold: Callable[[str], Awaitable[None]] | None
    ) -> int:
        """Make the slot; gives its start. `hold` takes the snapshot it exports over; without one
        none is made, as it would keep the source from cleaning up dead rows."""
        config = self._config
        if config.failover and server.version >= FAILOVER_FROM:
            options = f"(SNAPSHOT '{'export' if hold else 'nothing'}', FAILOVER true)"
        else:
            options = "EXPORT_SNAPSHOT" if hold else "NOEXPORT_SNAPSHOT"
        command = f'CREATE_REPLICATION_SLOT "{config.slot}" LOGICAL pgoutput {options}'
        connection = await self._replication()
        try:
            doing = f"making replication slot {config.slot} on the source"
            (row,) = await self._made(connection, doing, command)
            if hold is not None:
                await hold(row["snapshot_name"] or "")
        finally:
            await connection.close()
        return parse_lsn(row["consistent_point"] or "")

    async def _made(
        self, connection: ReplicationConnection, doing: str, command: str
    ) -> list[dict[str, str | None]]:
        """Run the command. A slot that was not there a moment ago was made by another process of
        this replication: who lost the claim to it learns so by claiming again."""
        try:
            return await connection.query(doing, command)
        except SourceError as error:
            if error.context.get("sqlstate") == DUPLICATE_OBJECT:
                raise SourceConnectionError(f"{doing}: it was made meanwhile") from error
            raise

    async def slot(self, server: Server, after: int) -> Slot:
        """The slot, checked: it is ours, free, and reaches back to `after`.

        Raises:
            PositionLostError, SlotBusyError, SourceConnectionError, SourceError.
        """
        slot = await self._slots.find()
        if slot is None:
            raise self.slot_missing()
        slot.check(server.database)
        slot.check_position(after)
        await self._slots.check_free()
        return slot

    async def check_timeline(self, server: Server, left: int, reached: int) -> None:
        """Check that the server's timeline holds all of timeline `left` up to `reached`.

        Raises:
            SourceIdentityError, PositionLostError, SourceConnectionError, SourceError.
        """
        connection = await self._replication()
        try:
            await check_fork(connection, left, server.timeline, reached)
        finally:
            await connection.close()

    async def open(
        self,
        server: Server,
        after: int,
        flushed: int,
        check: Callable[[], Awaitable[None]],
    ) -> LogStream:
        """The stream after a position. `flushed`: what the server was told; `check` is called now
        and then while it runs.

        Raises:
            SourceIdentityError, SourceSwitchedError, PositionLostError, SlotBusyError,
            SourceConnectionError, SourceError.
        """
        connection = await self._replication()
        try:
            self.timeline = self.timeline or server.timeline
            await check_log(connection, server, self.timeline, after)
            await self._start(connection, server, after)
            return self._log_stream(connection, server, after, flushed, check)
        except BaseException:
            await connection.close()
            raise

    async def committed_from(
        self, server: Server, slot: Slot, moment_us: int, end: int
    ) -> FirstCommit:
        """Look through the slot's log, up to `end`, and tell the slot nothing. Raises as `open`."""
        after = slot.confirmed or 0
        connection = await self._replication()
        try:
            await self._start(connection, server, after)
            with closing(self._feedback(connection, server, after)) as feedback:
                return await first_commit(
                    connection, feedback, moment_us, end, self._config.block_bytes_max
                )
        finally:
            await connection.close()

    def _feedback(
        self, connection: ReplicationConnection, server: Server, flushed: int
    ) -> Feedback:
        interval = self._sender_timeout_ms(server) / 1000 / SENDER_TIMEOUT_SHARE
        interval = min(interval or STATUS_SECONDS_MAX, STATUS_SECONDS_MAX)
        return Feedback(connection, self._clock, interval, flushed)

    def _sender_timeout_ms(self, server: Server) -> int:
        timeout = self._config.wal_sender_timeout_ms
        return server.sender_timeout_ms if timeout is None else timeout

    async def _start(self, connection: ReplicationConnection, server: Server, after: int) -> None:
        names = ",".join('"' + name.replace('"', '""') + '"' for name in self._config.publications)
        options = {"proto_version": "1", "publication_names": names}
        if not self._catalog.text_mode:
            options["binary"] = "true"
        if self._config.capture_ddl and server.version >= MESSAGES_FROM:
            options["messages"] = "true"
        if self._config.origin is Origin.NONE and server.version >= ORIGIN_FROM:
            options["origin"] = "none"
        try:
            await connection.start(self._config.slot, lsn_text(after), options)
        except SlotBusyError:
            await self._slots.check_free()
            raise

    def _log_stream(
        self,
        connection: ReplicationConnection,
        server: Server,
        after: int,
        flushed: int,
        check: Callable[[], Awaitable[None]],
    ) -> LogStream:
        timeout_ms = self._sender_timeout_ms(server)
        # A server that wants to hear from us that often lets us hear from it as often.
        heartbeat = min(self._config.heartbeat_seconds, timeout_ms / 2000 or math.inf)
        return LogStream(
            connection,
            PgOutputDecoder(
                self._known,
                name_of=self._published.name_of,
                start=DATA_HEADER_BYTES,
                xid=server.next_xid,
                token=self.token,
                left_out=LEFT_OUT.get(self._config.origin),
            ),
            self._feedback(connection, server, flushed),
            self._describe,
            self._clock,
            after=after,
            heartbeat=heartbeat,
            bytes_max=self._config.block_bytes_max,
            check=check,
            check_seconds=min(
                CHECK_SECONDS,
                self._config.heartbeat_write_seconds or math.inf,
                math.inf if self.token is None else self._config.partitions_seconds,
            ),
        )

    async def _describe(
        self, message: RelationMessage, xid: int
    ) -> tuple[Relation, Sequence[SchemaStep]]:
        await become_visible(self._sql, xid)
        relation, facts = await self._catalog.describe(message, numbered=self.token is None)
        if not self._catalog.text_mode:
            for column in relation.columns:
                if facts.unsendable(column.type.oid):
                    raise TextModeNeededError(
                        f"{relation.qualified}, column {column.name}: {column.type.name} has no"
                        " binary form that means the same elsewhere"
                    )
        return relation, await added_columns(self._sql, message, relation)

    async def _replication(self) -> ReplicationConnection:
        timeout = self._config.wal_sender_timeout_ms
        settings = {} if timeout is None else {"wal_sender_timeout": f"{timeout}ms"}
        return await ReplicationConnection.open(self._config.conninfo, self._application, settings)
