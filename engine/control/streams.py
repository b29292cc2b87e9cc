"""One replication's two log streams, and its part of the daemon's own log."""

from collections import deque
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import orjson

from engine.config.settings import ReplicationSettings
from engine.control.bucket import Bucket
from engine.control.lifecycle import Status
from engine.control.logs import lines
from engine.control.logs.files import LogFiles, Stream
from engine.machine import Clock
from engine.observe.log import Level, Line, Log
from engine.observe.redact import clean
from engine.observe.writer import stamp

ENABLED: Final = "Logging.EnableLogging"
COMPONENTS: Final = "Logging.LogComponents"

HEAD: Final = ("time", "level", "message")

LINES_PER_SECOND: Final = 50
LINES_BURST: Final = 2_000
"""Lines of one worker that go on to log and files: a worker at work writes some a minute, one that
is started or told to be talkative some hundred; a fault in each row must not fill the disk with
its words. At this rate, 250 bytes each, a stream's files are full after three hours."""

HELD_MAX: Final = 200
"""Lines of a worker kept until its replication is said to run, the newest: how it came to that, and
what it does while that is stored."""


class Streams:
    """Where what is said of a replication goes. The orchestrator's stream is always on; the
    engine's is where EnableLogging says so: it begins when the replication runs, with what its
    worker said on the way there, and goes on to that worker's end."""

    def __init__(self, files: LogFiles, log: Log, clock: Clock, id: str) -> None:
        self._files = files
        self._log = log
        self._clock = clock
        self._rate = Bucket(LINES_PER_SECOND, LINES_BURST, clock.monotonic())
        self._left_out = 0
        self._group = lines.GROUP.format(id=id)
        self._orchestrator = Stream(self._group, lines.ORCHESTRATOR_STREAM.format(id=id))
        self._engine: Stream | None = None
        self._severities: Mapping[str, str] = {}
        self._ran = False
        self._held: deque[str] = deque(maxlen=HELD_MAX)

    def entered(self, status: Status, message: str = "", failure: str = "") -> None:
        """A status, or more about the one that is."""
        now = self._clock.wall()
        line = lines.orchestrator_line(now, status, message, failure)
        self._files.write(self._orchestrator, line)
        say = self._log.error if failure else self._log.info
        facts = {"reason": failure} if failure else {}
        text = message or lines.MESSAGES.get(status, status.value)
        say(text, action="replication.status", status=status.value, **facts)
        if status is Status.RUNNING:
            self._begin_engine()

    def begin(self, run: str, settings: ReplicationSettings) -> None:
        """A start with this name (`lines.run_id`) and these settings."""
        self._ran = False
        self._held.clear()
        self._engine = None
        if settings.value(ENABLED) is True:
            self._engine = Stream(self._group, lines.ENGINE_STREAM.format(run=run))
            self._severities = _severities(settings.value(COMPONENTS))

    def worker_line(self, text: str, pid: int) -> None:
        """A line that a worker wrote to its log, as JSON; anything else is a library's. What comes
        faster than `LINES_PER_SECOND` is left out, counted and told."""
        if not self._rate.take(self._clock.monotonic()):
            self._left_out += 1
            return
        if self._left_out:
            self._pass_on(_left_out(self._clock.wall(), self._left_out), pid)
            self._left_out = 0
        try:
            line: dict[str, Any] = orjson.loads(text)
        except orjson.JSONDecodeError:
            line = {"level": "warning", "message": clean(text), "action": "library"}
        self._pass_on(line, pid)

    def _pass_on(self, line: Mapping[str, Any], pid: int) -> None:
        self._log.write(_line(line))
        if self._engine is None or not lines.shown(line, self._severities):
            return
        text = lines.engine_line(line, pid)
        if self._ran:
            self._files.write(self._engine, text)
        else:
            self._held.append(text)

    def _begin_engine(self) -> None:
        self._ran = True
        while self._held and self._engine is not None:
            self._files.write(self._engine, self._held.popleft())


def _left_out(at: float, count: int) -> dict[str, Any]:
    return {
        "time": stamp(at),
        "level": "warning",
        "message": f"{count} lines of the worker were left out: it wrote more than"
        f" {LINES_PER_SECOND} a second",
        "action": "worker.talkative",
    }


def _severities(components: object) -> dict[str, str]:
    found = components if isinstance(components, list) else []
    return {str(each["Id"]): str(each["Severity"]) for each in found if "Severity" in each}


def _line(line: Mapping[str, Any]) -> Line:
    fields = {name: value for name, value in line.items() if name not in HEAD}
    level = Level.__members__.get(str(line.get("level", "")).upper(), Level.INFO)
    return Line(_at(line.get("time")), level, str(line.get("message", "")), fields)


def _at(text: object) -> float:
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return 0.0
