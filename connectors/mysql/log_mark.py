"""Whether a server's binary log is still the one that was read: it may have been begun anew.

A reset log counts from the beginning again: after a while its GTIDs, files and offsets are those of
the old one and stand for other changes. What tells them apart is when a file was created, which is
the first thing in it. So the newest file and its time are remembered at every start.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Self

from connectors.mysql.binlog import codes
from connectors.mysql.binlog.decoder import EventDecoder
from connectors.mysql.connecting import Link
from connectors.mysql.dump import open_dump
from connectors.mysql.errors import LOAD_AGAIN
from connectors.mysql.position import FILE_BEGINNING, FilePosition, LogPlace
from connectors.mysql.server import Ask, Server
from connectors.mysql.source_config import MysqlSourceConfig, replica_uuid
from engine.errors import PositionLostError

_TEXT: Final = re.compile(r"(?P<server>[^;]*)(?:;(?P<file>[^\s@]+\.[0-9]+)@(?P<created>[0-9]+))?")


@dataclass(frozen=True, slots=True)
class LogMark:
    """A server, by `Server.uuid`, and a file of its log with the second of its creation, which is 0
    for a server without log."""

    server: str
    file: str = ""
    created: int = 0

    def __str__(self) -> str:
        return f"{self.server};{self.file}@{self.created}" if self.file else self.server

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a stored mark."""
        match = _TEXT.fullmatch(text)
        if match is None or not match["file"]:
            return cls(text)
        return cls(match["server"], match["file"], int(match["created"]))


class LogMarks:
    """Looks at files of a server's log. `open_link` opens one more session."""

    def __init__(
        self,
        ask: Ask,
        open_link: Callable[[], Awaitable[Link]],
        server: Server,
        config: MysqlSourceConfig,
    ) -> None:
        self._ask = ask
        self._open_link = open_link
        self._server = server
        self._config = config

    async def newest(self) -> LogMark:
        """The mark of now. Raises SourceConnectionError, SourceError."""
        file = (await self.files())[-1]
        return LogMark(self._server.uuid, file, await self._created(file))

    async def check(self, mark: LogMark) -> None:
        """Check that the log of this server, which `mark` is of, was not begun anew.

        Raises:
            PositionLostError: it was.
            SourceConnectionError, SourceError.
        """
        files = await self.files()
        there = mark.file in files and await self._created(mark.file) == mark.created
        number = LogPlace(mark.file, 0).file_number
        purged = number < LogPlace(files[0], 0).file_number
        if not there and not purged:
            raise PositionLostError(
                f"the source's binary log was begun anew: its file {mark.file} is not the one that"
                " was there",
                hint=f"its log was reset, or it was restored or made again; {LOAD_AGAIN}",
            )

    async def files(self) -> list[str]:
        """Their names, the oldest first. Raises SourceConnectionError, SourceError."""
        rows = await self._ask("listing the files of the source's binary log", "SHOW BINARY LOGS")
        return [row[0] or "" for row in rows]

    async def _created(self, file: str) -> int:
        """Seconds since the Unix epoch. Read under a `server_id` that no stream of ours has."""
        server_id = self._config.server_id ^ 1
        dump = await open_dump(
            await self._open_link(),
            FilePosition(LogPlace(file, FILE_BEGINNING)),
            mariadb=self._server.mariadb,
            server_id=server_id,
            uuid=replica_uuid(self._config, server_id),
            silence_seconds=self._config.silence_seconds,
        )
        decoder = EventDecoder()
        try:
            while True:
                for event in await dump.events(behind=False):
                    header, _ = decoder.decode(event)
                    if header.code == codes.FORMAT_DESCRIPTION:
                        return header.timestamp
        finally:
            await dump.close()
