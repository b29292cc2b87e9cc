"""One replication's two log streams, and its part of the daemon's own log."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import orjson

from engine.config.settings import ReplicationSettings
from engine.control.lifecycle import Status
from engine.control.logs import lines
from engine.control.logs.files import LogFiles, Stream
from engine.observe.log import Level, Line, Log
from engine.observe.redact import clean

ENABLED: Final = "Logging.EnableLogging"
COMPONENTS: Final = "Logging.LogComponents"

HEAD: Final = ("time", "level", "message")


class Streams:
    """Where what is said of a replication goes. The orchestrator's stream is always on; the
    engine's is where EnableLogging says so, from `running` on."""

    def __init__(self, files: LogFiles, log: Log, id: str) -> None:
        self._files = files
        self._log = log
        self._group = lines.GROUP.format(id=id)
        self._orchestrator = Stream(self._group, lines.ORCHESTRATOR_STREAM.format(id=id))
        self._engine: Stream | None = None
        self._severities: Mapping[str, str] = {}
        self.running = False
        """Whether the engine's stream is written to."""

    def entered(self, status: Status, message: str = "", failure: str = "") -> None:
        """A status, or more about the one that is."""
        self._files.write(self._orchestrator, lines.orchestrator_line(status, message, failure))
        say = self._log.error if failure else self._log.info
        facts = {"reason": failure} if failure else {}
        text = message or lines.MESSAGES.get(status, status.value)
        say(text, action="replication.status", status=status.value, **facts)

    def begin(self, run: str, settings: ReplicationSettings) -> None:
        """A start with this name (`lines.run_id`) and these settings."""
        self.running = False
        self._engine = None
        if settings.value(ENABLED) is True:
            self._engine = Stream(self._group, lines.ENGINE_STREAM.format(run=run))
            self._severities = _severities(settings.value(COMPONENTS))

    def worker_line(self, text: str, pid: int) -> None:
        """A line that a worker wrote to its log, as JSON; anything else is a library's."""
        try:
            line: dict[str, Any] = orjson.loads(text)
        except orjson.JSONDecodeError:
            line = {"level": "warning", "message": clean(text), "action": "library"}
        self._log.write(_line(line))
        if self.running and self._engine and lines.shown(line, self._severities):
            self._files.write(self._engine, lines.engine_line(line, pid))


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
