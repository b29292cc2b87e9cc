"""Logs of a replication as our own route answers them (`native`): the last lines, then what comes.

Nobody is told of new lines; the files are looked at every half a second while somebody waits.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

from engine.control.api.call import Services
from engine.control.api.faults import InvalidParameterValueException, ThrottlingException
from engine.control.api.native_replications import found
from engine.control.api.native_request import Asked, Document
from engine.control.logs.following import (
    LINES_MAX,
    WAIT_SECONDS_MAX,
    Cursor,
    Place,
    Read,
    last_lines,
    lines_since,
    streams,
)
from engine.control.logs.lines import GROUP, ORCHESTRATOR_STREAM

LINES: Final = 100
"""Last lines of each stream without being asked."""

LOOK_SECONDS: Final = 0.5
"""Between two looks at the files of who waits."""

WAITING_MAX: Final = 64
"""Who may wait at once: each keeps a connection, of which the API needs some too."""

KINDS: Final = ("orchestrator", "engine")


class Logs:
    """Reads streams below `folder`; nobody waits longer than half of `call_seconds`."""

    def __init__(self, folder: Path, services: Services, call_seconds: float) -> None:
        self._folder = folder
        self._services = services
        self._wait_seconds_max = call_seconds / 2
        self._waiting = 0

    async def read(self, asked: Asked) -> Document:
        """Lines by stream, and where to go on."""
        kind = asked.query.get("stream", "")
        if kind and kind not in KINDS:
            raise InvalidParameterValueException(
                f"The parameter stream must be one of {', '.join(KINDS)}."
            )
        lines = asked.number("lines", LINES, LINES_MAX)
        wait = asked.number("wait", 0, WAIT_SECONDS_MAX)
        cursor = _cursor(asked.query["after"]) if asked.query.get("after") else None
        async with self._services.store.read() as reading:
            record = await found(reading, asked.name, self._services.home)
        of = _Group(self._folder, record.id, kind)
        if cursor is None:
            read = await asyncio.to_thread(of.last, lines)
        else:
            read = await self._since(of.since, cursor, wait)
        more = {"more": True} if read.more else {}
        return {"streams": read.lines, "after": _text(read.cursor), **more}

    async def _since(self, since: Callable[[Cursor], Read], cursor: Cursor, wait: int) -> Read:
        read = await asyncio.to_thread(since, cursor)
        if read.lines or not wait:
            return read
        if self._waiting >= WAITING_MAX:
            raise ThrottlingException("Rate exceeded: too many wait for log lines; ask later.")
        self._waiting += 1
        try:
            async with asyncio.timeout(min(wait, self._wait_seconds_max)):
                while not read.lines:
                    await asyncio.sleep(LOOK_SECONDS)
                    read = await asyncio.to_thread(since, cursor)
        except TimeoutError:
            pass
        finally:
            self._waiting -= 1
        return read


class _Group:
    """The streams of one replication that are asked for."""

    def __init__(self, folder: Path, id: str, kind: str) -> None:
        self._folder = folder
        self._name = GROUP.format(id=id)
        self._orchestrator = ORCHESTRATOR_STREAM.format(id=id)
        self._kind = kind

    def last(self, count: int) -> Read:
        """Of the orchestrator's, and of the newest start's."""
        names = self._names()
        engines = [name for name in names if name != self._orchestrator]
        chosen = [name for name in names if name == self._orchestrator] + engines[-1:]
        return last_lines(self._folder, self._name, chosen, count)

    def since(self, cursor: Cursor) -> Read:
        """Of those that were read, and of starts since."""
        names = self._names()
        begun = max((name for name in cursor if name != self._orchestrator), default="")
        chosen = [name for name in names if name == self._orchestrator or name >= begun]
        read = lines_since(self._folder, self._name, chosen, cursor)
        # What an older start may still have to say is said by the time the next one has begun.
        newest = max((name for name in read.cursor if name != self._orchestrator), default="")
        kept = {
            name: place
            for name, place in read.cursor.items()
            if name in (self._orchestrator, newest) or read.more
        }
        return Read(read.lines, kept, read.more)

    def _names(self) -> list[str]:
        """Starts have the time in their names, so that the newest comes last."""
        return [name for name in streams(self._folder, self._name) if self._asked(name)]

    def _asked(self, name: str) -> bool:
        return not self._kind or (name == self._orchestrator) == (self._kind == KINDS[0])


def _text(cursor: Cursor) -> str:
    """`-` where nothing was there to be read."""
    places = (f"{name}:{':'.join(map(str, place))}" for name, place in sorted(cursor.items()))
    return ",".join(places) or "-"


def _cursor(text: str) -> Cursor:
    """Raises InvalidParameterValueException for what `_text` did not make."""
    cursor: dict[str, Place] = {}
    for part in text.split(",") if text != "-" else ():
        name, *place = part.split(":")
        numbers = [int(each) for each in place if each.isascii() and each.isdecimal()]
        if len(place) != 3 or len(numbers) != 3 or max(map(len, place)) > 20:
            raise InvalidParameterValueException(
                "The parameter after is none that this route gave. Ask without it."
            )
        cursor[name] = (numbers[0], numbers[1], numbers[2])
    return cursor
