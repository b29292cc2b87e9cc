"""Reads chunks of tables at snapshots, as lines of COPY or LOAD DATA."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from connectors.mysql.connecting import READ_BYTES_MAX, Link
from connectors.mysql.errors import DRIVER_ERRORS, NO_SUCH_TABLE, error_number, source_error
from connectors.mysql.held_table import changed
from connectors.mysql.load_lines import LineWriter
from connectors.mysql.load_sql import kinds, rows_query
from connectors.mysql.snapshot import Snapshots
from connectors.mysql.temporal import ZeroDates
from engine.errors import SourceConnectionError
from engine.machine import Clock
from engine.model.chunk import Chunk
from engine.model.snapshot import Snapshot

COM_QUERY: Final = 0x03
END: Final = b"\xfe"
"""Begins the packet behind the last row."""


class LoadReader:
    """See `contracts.SnapshotSource`: `snapshot`, `rows`; `ReaderSnapshots.read_at`."""

    def __init__(self, snapshots: Snapshots, zero: ZeroDates, clock: Clock) -> None:
        self.snapshots = snapshots
        self.decode_seconds = 0.0
        """Time that went into making lines of rows."""
        self._zero = zero
        self._clock = clock
        self._read_at: dict[tuple[str, int], Snapshot] = {}

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Snapshot]:
        async with self.snapshots.snapshot() as snapshot:
            self._read_at.clear()
            yield snapshot

    def read_at(self, chunk: Chunk) -> Snapshot:
        return self._read_at.pop((chunk.relation.qualified, chunk.ordinal))

    async def rows(self, chunk: Chunk, form: str) -> AsyncGenerator[bytes, None]:
        """Lines in one of `load_sql.FORMS`, in buffers of about a read each.

        Raises:
            SnapshotLostError: the snapshot is gone; with `table` in its context, the table cannot
                be read at it any more.
            SourceConnectionError, SourceError.
        """
        relation = chunk.relation
        doing = f"reading chunk {chunk.ordinal} of {relation.qualified}"
        async with self.snapshots.reader(relation, doing) as reader:
            link, description, finished = reader.link, reader.description, False
            try:
                writer = LineWriter(kinds(description, form), self._zero.policy)
                link.send(COM_QUERY, rows_query(chunk, description, form).encode())
                async for buffer in self._lines(link, writer, doing):
                    yield buffer
                finished = True
                self._zero.met += writer.met
            except DRIVER_ERRORS as error:
                if error_number(error) in NO_SUCH_TABLE:
                    raise changed(relation) from error
                raise source_error(error, doing) from error
            finally:
                if not finished:
                    link.close()  # what is still being sent would be taken for the next answer
            self._read_at[relation.qualified, chunk.ordinal] = reader.at

    async def _lines(self, link: Link, writer: LineWriter, doing: str) -> AsyncIterator[bytes]:
        """The lines of a query's rows, as they come. Raises the driver's errors,
        SourceConnectionError, DecodeError."""
        await link.head_of_rows()
        reader, now = link.reader, self._clock.monotonic
        while True:
            data = await reader.read(READ_BYTES_MAX)
            if not data:
                raise SourceConnectionError(f"{doing}: the source closed the connection")
            began = now()
            lines, end = writer.feed(data)
            self.decode_seconds += now() - began
            if lines:
                yield lines[0] if len(lines) == 1 else b"".join(lines)
            if end is not None:
                if end[:1] != END:
                    link.refused(end)
                return
