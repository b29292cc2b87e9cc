"""Log lines: short lower-case sentences, facts as fields, context bound once.

    log = log.bind(replication="orders", lane="t:public.a")
    log.info("table loaded", action="load.table", relation="public.a", rows=100)

A line names what happened (`message`), the call site (`action`, a fixed dotted word) and facts.
Field names are one vocabulary: action, replication, relation, position, transaction, lane, batch,
rows, bytes, duration_ms, attempt, error, hint. Logging never raises and never waits: a line is
handed to a `write` function, which in a worker puts it into a bounded queue of a writer thread
(`engine/observe/writer.py`). No row value and no secret gets through (`engine/observe/redact.py`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

from engine.errors import PenstockError
from engine.machine import Clock
from engine.observe.limit import LineLimit
from engine.observe.redact import Fact, clean, fact


class Level(IntEnum):
    """How much a line matters; the numbers are those of Python's `logging`."""

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40


@dataclass(frozen=True, slots=True)
class Line:
    """One log line. `at` is the wall clock's time, seconds since the Unix epoch."""

    at: float
    level: Level
    message: str
    fields: Mapping[str, Fact]


Write: TypeAlias = Callable[[Line], None]
"""Takes a finished line; must neither raise nor wait."""


class Log:
    """Writes lines with the context it is bound to. Cheap to bind, safe to share in one thread."""

    def __init__(
        self,
        write: Write,
        clock: Clock,
        *,
        level: Level = Level.INFO,
        limit: LineLimit | None = None,
        fields: Mapping[str, Fact] | None = None,
    ) -> None:
        self.write = write
        self._clock = clock
        self._level = level
        self._limit = limit or LineLimit()
        self._fields: dict[str, Fact] = dict(fields or {})

    def bind(self, **fields: object) -> "Log":
        """A log whose every line carries these fields too; they share one rate limit."""
        merged = {**self._fields, **{name: fact(value) for name, value in fields.items()}}
        return Log(self.write, self._clock, level=self._level, limit=self._limit, fields=merged)

    def debug(self, message: str, *, action: str, **fields: object) -> None:
        self._line(Level.DEBUG, message, action, fields)

    def info(self, message: str, *, action: str, **fields: object) -> None:
        self._line(Level.INFO, message, action, fields)

    def warning(self, message: str, *, action: str, **fields: object) -> None:
        self._line(Level.WARNING, message, action, fields)

    def error(self, message: str, *, action: str, **fields: object) -> None:
        """`error=exception` shows its class and, for a PenstockError, message, hint, context."""
        self._line(Level.ERROR, message, action, fields)

    def exception(
        self, message: str, *, action: str, error: BaseException, **fields: object
    ) -> None:
        """`error` where there is an exception to show; never a traceback, it may quote values."""
        self._line(Level.ERROR, message, action, {"error": error, **fields})

    def enabled(self, level: Level) -> bool:
        """Whether a line of this level would be written; for facts that are costly to gather."""
        return level >= self._level

    def flush(self) -> None:
        """Write the counts of lines that the rate limit held back. Call once at the end."""
        self._summaries(None)

    def _line(self, level: Level, message: str, action: str, fields: dict[str, object]) -> None:
        if level < self._level:
            return
        now = self._clock.monotonic()
        self._summaries(now)
        error = fields.get("error")
        cause = (action, type(error).__name__ if isinstance(error, BaseException) else "", level)
        if self._limit.admit(cause, now):
            facts = {"action": action, **_error_facts(error), **fields}
            self._emit(level, message, {name: fact(value) for name, value in facts.items()})

    def _summaries(self, now: float | None) -> None:
        for cause, count in self._limit.take_suppressed(now):
            action, error, level = cause if isinstance(cause, tuple) else (str(cause), "", 20)
            facts: dict[str, Fact] = {"action": action, "suppressed": count}
            if error:
                facts["error"] = error
            self._emit(Level(level), "more lines like this one were not written", facts)

    def _emit(self, level: Level, message: str, fields: Mapping[str, Fact]) -> None:
        merged = {**self._fields, **fields}
        self.write(Line(self._clock.wall(), level, clean(message), merged))


def _error_facts(error: object) -> dict[str, object]:
    if not isinstance(error, PenstockError):
        return {}
    return {**error.context, **({"hint": error.hint} if error.hint else {})}


def discard(line: Line) -> None:
    """A `Write` that keeps nothing, for tests and measurements."""
