"""One libpq connection driven by the event loop: scripts with COPY, and pipelines.

psycopg makes the connection (name resolution, TLS, passwords); from then on its `pgconn` is driven
here, because two things that matter for applying are not in its own interface: several COPYs inside
one query string, and prepared statements with a wire format per parameter in one round trip.

The socket has one reader callback for its whole life. It takes in what arrives, also when nobody
waits: so a notice never fills the socket, and the server's farewell is seen while idle.
"""

import asyncio
import os
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Sequence
from typing import Final, TypeAlias

import psycopg
from psycopg import pq
from psycopg.pq.abc import PGconn, PGresult

from connectors.postgres.prepared import Call

FLUSH_STATEMENTS: Final = 100
"""Statements queued in a pipeline between two attempts to hand them to the socket: the server works
on the first while the rest is still being written."""

COPY_PIECE_BYTES_MAX: Final = 262_144
"""Largest piece handed to libpq at once, in bytes. It copies each into its own send buffer, which
never shrinks."""

RECHECK_SECONDS: Final = 0.25
"""How long a wait believes that nothing has happened, in seconds. uvloop answers an error on
a socket, such as a reset, by closing its watch (libuv's `uv__poll_io`) and calls nobody: without a
look of our own the wait would never end."""

Feed: TypeAlias = Iterable[bytes] | AsyncIterable[bytes]

_STATE_FIELDS: Final = {
    "message": pq.DiagnosticField.MESSAGE_PRIMARY,
    "severity": pq.DiagnosticField.SEVERITY_NONLOCALIZED,
    "schema": pq.DiagnosticField.SCHEMA_NAME,
    "table": pq.DiagnosticField.TABLE_NAME,
    "column": pq.DiagnosticField.COLUMN_NAME,
    "type": pq.DiagnosticField.DATATYPE_NAME,
    "constraint": pq.DiagnosticField.CONSTRAINT_NAME,
    "context": pq.DiagnosticField.CONTEXT,
}


class ServerError(Exception):
    """The server refused a statement. `index` is the statement's place in what was sent.

    `message` is the server's own text and may hold values of the row: only
    `target_errors.refusal` decides what of it may be shown.
    """

    def __init__(self, sqlstate: str, fields: dict[str, str], index: int) -> None:
        super().__init__(sqlstate)
        self.sqlstate = sqlstate
        self.message = fields.get("message", "")
        self.fields = fields
        self.index = index


class LinkLostError(Exception):
    """The connection is gone; what had been sent may or may not have been done."""


class Link:
    """Not shared; one call at a time. After an error other than ServerError, and after a
    cancellation, `broken` is True and only `close` is left."""

    def __init__(self, connection: "psycopg.AsyncConnection[tuple[object, ...]]") -> None:
        self._connection = connection
        self._pgconn: PGconn = connection.pgconn
        self._pgconn.nonblocking = 1
        # Our own descriptor of the socket: libpq closes its own inside any call once it finds the
        # link broken, and the next connection of the process may get the same number.
        self._descriptor = os.dup(self._pgconn.socket)
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] | None = None
        self._reading = True
        self._prepared: set[bytes] = set()
        self.broken = False
        self.waits_since: float | None = None
        """Since when the server is waited for, by the loop's clock; None while it is not."""
        self._loop.add_reader(self._descriptor, self._readable)

    @property
    def pgconn(self) -> PGconn:
        return self._pgconn

    @property
    def prepared(self) -> int:
        """Number of statements prepared so far."""
        return len(self._prepared)

    def forget_prepared(self) -> None:
        """The server has dropped its prepared statements (DEALLOCATE ALL)."""
        self._prepared.clear()

    async def close(self) -> None:
        """Close at once; an open transaction is rolled back by the server. Idempotent."""
        self.broken = True
        self._stop_reading()
        await self._connection.close()

    # --- sending ------------------------------------------------------------------------------

    async def script(self, sql: str, feeds: Sequence[Feed] = ()) -> list[PGresult]:
        """Run statements in one query string; each COPY FROM STDIN in it takes the next feed.

        Returns a result per statement. A feed that raises ends its COPY, and with it the script,
        then its error leaves as it is and the connection stays usable.

        Raises:
            ServerError: the first refused statement; nothing after it was run.
            LinkLostError: the connection is gone.
        """
        try:
            return await self._script(sql, feeds)
        except ServerError:
            raise
        except psycopg.Error as error:
            raise self._lost() from error
        except BaseException:
            self._break_unless_idle()
            raise

    async def pipeline(self, calls: Sequence[Call]) -> list[PGresult]:
        """Run prepared statements in one round trip, preparing those that are new.

        Raises:
            ServerError: the first refused statement; nothing after it was run.
            LinkLostError: the connection is gone.
        """
        try:
            return await self._pipeline(calls)
        except ServerError:
            raise
        except psycopg.Error as error:
            raise self._lost() from error
        except BaseException:
            self._break_unless_idle()
            raise

    async def _script(self, sql: str, feeds: Sequence[Feed]) -> list[PGresult]:
        pgconn = self._pgconn
        pgconn.send_query(sql.encode())
        await self._flush()
        results: list[PGresult] = []
        error: BaseException | None = None
        left = iter(feeds)
        while (result := await self._result()) is not None:
            if result.status == pq.ExecStatus.COPY_IN:
                error = await self._feed(next(left)) or error
            elif result.status == pq.ExecStatus.FATAL_ERROR:
                error = error or _server_error(result, len(results))
            else:
                results.append(result)
        if error is not None:
            raise error
        return results

    async def _feed(self, feed: Feed) -> BaseException | None:
        """Send a COPY's data. What the feed raised is returned once the server has been told."""
        try:
            if isinstance(feed, AsyncIterable):
                await self._feed_awaited(feed)
            else:
                for piece in feed:
                    await self._put(piece)
        except psycopg.Error:
            raise
        except Exception as error:  # noqa: BLE001 - raised again once the server knows
            self._pgconn.put_copy_end(b"the reader of the rows failed")
            await self._flush()
            return error
        self._pgconn.put_copy_end()
        await self._flush()
        return None

    async def _feed_awaited(self, feed: AsyncIterable[bytes]) -> None:
        iterator: AsyncIterator[bytes] = aiter(feed)
        async for piece in iterator:
            await self._put(piece)

    async def _put(self, piece: bytes) -> None:
        put, flush = self._pgconn.put_copy_data, self._pgconn.flush
        if len(piece) <= COPY_PIECE_BYTES_MAX:
            put(piece)
            if flush():
                await self._flush()
            return
        view = memoryview(piece)
        for start in range(0, len(piece), COPY_PIECE_BYTES_MAX):
            put(view[start : start + COPY_PIECE_BYTES_MAX])
            if flush():
                await self._flush()

    async def _pipeline(self, calls: Sequence[Call]) -> list[PGresult]:
        pgconn = self._pgconn
        pgconn.enter_pipeline_mode()
        origins = self._queue(calls)
        pgconn.pipeline_sync()
        await self._flush()
        results: list[PGresult] = []
        error: Exception | None = None
        for name, index in origins:
            result = await self._result()
            if result is None:
                raise psycopg.OperationalError("a result is missing")
            await self._result()
            if result.status == pq.ExecStatus.FATAL_ERROR:
                error = error or _server_error(result, index)
            elif error is None and name:
                self._prepared.add(name)
            elif error is None:
                results.append(result)
        at_end = await self._synced(len(calls) - 1)
        error = error or at_end
        pgconn.exit_pipeline_mode()
        if error is not None:
            raise error
        return results

    async def _synced(self, index: int) -> Exception | None:
        """The pipeline's end. What its commit met is told as of its last call."""
        error: Exception | None = None
        while (result := await self._result()) is None or (
            result.status != pq.ExecStatus.PIPELINE_SYNC
        ):
            if result is not None and result.status == pq.ExecStatus.FATAL_ERROR:
                error = _server_error(result, index)
        return error

    def _queue(self, calls: Sequence[Call]) -> list[tuple[bytes, int]]:
        """Queue the calls; tell for each result to come which statement it prepares (or none) and
        the index of its call."""
        pgconn = self._pgconn
        send, prepared = pgconn.send_query_prepared, self._prepared
        origins: list[tuple[bytes, int]] = []
        sending: set[bytes] = set()
        for index, (statement, values) in enumerate(calls):
            name = statement.name
            if name not in prepared and name not in sending:
                pgconn.send_prepare(name, statement.sql, statement.types)
                sending.add(name)
                origins.append((name, index))
            send(name, values, statement.formats)  # type: ignore[arg-type]
            origins.append((b"", index))
            if index % FLUSH_STATEMENTS == FLUSH_STATEMENTS - 1:
                pgconn.flush()
        return origins

    # --- waiting ------------------------------------------------------------------------------

    async def _result(self) -> PGresult | None:
        pgconn = self._pgconn
        while pgconn.is_busy():
            await self._wait()
        self.waits_since = None
        return pgconn.get_result()

    async def _flush(self) -> None:
        while self._pgconn.flush():
            self._watch_writing()
            try:
                await self._wait()
            finally:
                if self._reading:
                    self._loop.remove_writer(self._descriptor)
        self.waits_since = None

    def _watch_writing(self) -> None:
        try:
            self._loop.add_writer(self._descriptor, self._taken)
        except RuntimeError as error:
            # uvloop has given the socket up after an error on it.
            raise psycopg.OperationalError("the connection is gone") from error

    def _taken(self) -> None:
        """The other side has taken some of what was sent: it is no silence, however long all of it
        takes."""
        self.waits_since = None
        self._wake()

    async def _wait(self) -> None:
        if not self._reading or self._pgconn.status == pq.ConnStatus.BAD:
            raise psycopg.OperationalError("the connection is gone")
        if self.waits_since is None:
            self.waits_since = self._loop.time()
        self._waiter = self._loop.create_future()
        timer = self._loop.call_later(RECHECK_SECONDS, self._recheck)
        try:
            await self._waiter
        finally:
            timer.cancel()
            self._waiter = None

    def _recheck(self) -> None:
        """Look at the socket without having been told to."""
        if self._reading:
            self._readable()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _readable(self) -> None:
        try:
            self._pgconn.consume_input()
        except psycopg.Error as error:
            self._stop_reading()
            self.broken = True
            if self._waiter is not None and not self._waiter.done():
                self._waiter.set_exception(error)
            return
        self._wake()

    def _stop_reading(self) -> None:
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._descriptor)
            self._loop.remove_writer(self._descriptor)
            os.close(self._descriptor)

    # --- breaking -----------------------------------------------------------------------------

    def _lost(self) -> LinkLostError:
        self.broken = True
        return LinkLostError("the connection to the server is gone")

    def _break_unless_idle(self) -> None:
        """After a feed's own error the exchange is complete; after a cancellation it is not."""
        status = self._pgconn.transaction_status
        if status in (pq.TransactionStatus.ACTIVE, pq.TransactionStatus.UNKNOWN):
            self.broken = True
        if self._pgconn.pipeline_status != pq.PipelineStatus.OFF:
            self.broken = True


def _server_error(result: PGresult, index: int) -> Exception:
    state = result.error_field(pq.DiagnosticField.SQLSTATE)
    if state is None:
        # libpq made this result itself: the socket failed under it.
        raise psycopg.OperationalError("the connection is gone")
    fields = {
        name: value.decode(errors="replace")
        for name, field in _STATE_FIELDS.items()
        if (value := result.error_field(field)) is not None
    }
    return ServerError(state.decode(), fields, index)


def cells(result: PGresult) -> list[list[str | None]]:
    """A result's values as text."""
    return [
        [
            None if (value := result.get_value(row, column)) is None else value.decode()
            for column in range(result.nfields)
        ]
        for row in range(result.ntuples)
    ]
