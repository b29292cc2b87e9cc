"""Reads chunks of tables at snapshots, as lines of COPY or LOAD DATA."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from connectors.mysql.connecting import READ_BYTES_MAX, Link
from connectors.mysql.errors import DRIVER_ERRORS, NO_SUCH_TABLE, error_number, source_error
from connectors.mysql.held_table import changed
from connectors.mysql.load_sql import none_query, rows_query
from connectors.mysql.packets import PacketSplitter
from connectors.mysql.snapshot import Snapshots
from connectors.mysql.temporal import ZeroDates
from engine.errors import DecodeError, SourceConnectionError
from engine.model.chunk import Chunk
from engine.model.snapshot import Snapshot

COM_QUERY: Final = 0x03
END: Final = 0xFE
NULL: Final = 0xFB
END_BYTES_MAX: Final = 9
"""An end of rows is shorter; a row that begins like one is longer."""


class LoadReader:
    """See `contracts.SnapshotSource`: `snapshot`, `rows`; `ReaderSnapshots.read_at`."""

    def __init__(self, snapshots: Snapshots, zero: ZeroDates) -> None:
        self._snapshots = snapshots
        self._zero = zero
        self._read_at: dict[tuple[str, int], Snapshot] = {}

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Snapshot]:
        async with self._snapshots.snapshot() as snapshot:
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
        async with self._snapshots.reader(relation, doing) as reader:
            link, description, finished = reader.link, reader.description, False
            try:
                query = rows_query(
                    chunk,
                    description,
                    form,
                    self._zero.policy,
                    mariadb=self._snapshots.server.mariadb,
                )
                link.send(COM_QUERY, query.encode())
                async for buffer in _lines(link, doing):
                    yield buffer
                finished = True
                counting = none_query(chunk, description, form, self._zero.policy)
                if counting:
                    self._zero.met += int(await link.value(counting) or 0)
            except DRIVER_ERRORS as error:
                if error_number(error) in NO_SUCH_TABLE:
                    raise changed(relation) from error
                raise source_error(error, doing) from error
            finally:
                if not finished:
                    link.close()  # what is still being sent would be taken for the next answer
            self._read_at[relation.qualified, chunk.ordinal] = reader.at


async def _lines(link: Link, doing: str) -> AsyncIterator[bytes]:
    """The rows of a query of one column, each with a newline. Raises the driver's errors,
    SourceConnectionError, DecodeError."""
    await link.head_of_rows()
    splitter = PacketSplitter()
    reader = link.reader
    while True:
        data = await reader.read(READ_BYTES_MAX)
        if not data:
            raise SourceConnectionError(f"{doing}: the source closed the connection")
        lines: list[bytes] = []
        for payload in splitter.feed(data):
            first = payload[0] if payload else END
            if first < NULL:
                lines.append(payload[1:])
            elif first in (0xFC, 0xFD) or (first == END and len(payload) > END_BYTES_MAX):
                lines.append(payload[{0xFC: 3, 0xFD: 4}.get(first, 9) :])
            elif first == END:
                if lines:
                    yield b"\n".join(lines) + b"\n"
                return
            elif first == NULL:
                raise DecodeError(
                    f"{doing}: a row is longer than the server lets a text be",
                    hint="raise max_allowed_packet on the source",
                )
            else:
                link.refused(payload)
        if lines:
            yield b"\n".join(lines) + b"\n"
