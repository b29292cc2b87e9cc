"""What a worker tells, as the daemon takes it: counts kept at once, the rest handed on in order."""

import asyncio
from collections.abc import Mapping
from typing import TypeAlias

from engine import allowance
from engine.control.size import Size
from engine.control.streams import Streams
from engine.control.supervisor import OUT_OF_MEMORY
from engine.control.tallies import Tallies

Told: TypeAlias = Mapping[str, object]


class Listener:
    """A view of a supervisor (`supervisor.View`). `events` are those to act on; None is the end."""

    takes_log = True

    def __init__(self, tallies: Tallies, streams: Streams, size: Size) -> None:
        """`size` is told at once of what concerns it: a worker waits for its answer."""
        self.events: asyncio.Queue[Told | None] = asyncio.Queue()
        self.figures: dict[str, object] = {}
        """The newest `metrics` without `tables`; empty while no worker tells any."""
        self.address = ""
        """Where the worker's own metrics are served."""
        self._tallies = tallies
        self._size = size
        self._streams = streams
        self._pid = 0
        self.position = ""
        """The source's position that is durable in the target; empty while none was told."""

    def event(self, event: Told) -> None:
        """Take an event of the worker's or of its supervisor's."""
        match event["event"]:
            case "metrics":
                self._tallies.counted(event.get("tables"))
                self.figures = {k: v for k, v in event.items() if k not in ("event", "tables")}
                self.position = str(event.get("position", self.position))
                return
            case "table":
                self._tallies.table(event)
                return
            case "known":
                self._tallies.known(event.get("tables"))
                return
            case allowance.WANTED:
                self._size.wanted(_whole(event.get("units")))
                return
            case allowance.KEPT:
                self._size.kept(_whole(event.get("units")))
                return
            case "listening":
                self.address = str(event.get("address", ""))
                return
            case "started":
                self._tallies.began()
                self._pid = _whole(event.get("pid"))
            case "restarting":
                if event.get("reason") == OUT_OF_MEMORY.reason:
                    self._size.died()
                self.figures, self.address = {}, ""
        self.events.put_nowait(event)

    def log_line(self, line: str) -> None:
        """A line of the worker's log."""
        self._streams.worker_line(line, self._pid)

    def ended(self) -> None:
        """No worker will tell anything any more."""
        self.figures, self.address = {}, ""
        self.events.put_nowait(None)

    @property
    def units(self) -> int:
        """What the worker is provisioned with; 0 while it has not said so."""
        return _whole(self.figures.get("units"))


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0
